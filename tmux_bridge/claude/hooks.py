"""Events of the CLI's hooks: one file per event, written by a pane, so everything here is foreign.

A forged, broken or flooded folder harms its own session only: files are read without following
links, bounded in size and number, and what cannot be understood is set aside.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

SIZE_LIMIT = 1024 * 1024
_NAME = re.compile(r"(\d{9,19})N?-\d{1,10}\.json")
_QUESTION_CHARS = 500
_NAME_CHARS = 200
QUESTION_TOOL = "AskUserQuestion"
"""The tool by which Claude itself asks: answered by keys, never by an approval."""


class HookName(StrEnum):
    """The events that the settings register; others are kept by their name."""

    SESSION_START = "SessionStart"
    SESSION_END = "SessionEnd"
    PROMPT = "UserPromptSubmit"
    PERMISSION = "PermissionRequest"
    TAKEN = "ApprovalTaken"
    """Not the CLI's but our own hook's: it has handed an answer on. `prompt_id` names which."""
    TOOL_DONE = "PostToolUse"
    STOP = "Stop"
    STOP_FAILURE = "StopFailure"
    INSTRUCTIONS = "InstructionsLoaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionAsk:
    """A call of a tool that Claude may not make by itself.

    Attributes:
        tool_input: Its input, JSON as the CLI wrote it.
        sha256: Digest of the whole event, as it was read.
    """

    tool_name: str
    tool_input: bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEvent:
    """One event. `name` is its file's name: later events have greater names.

    Attributes:
        source: Why a session started or ended (startup, resume, fork, clear, other, ...).
        message: Claude's last words (Stop), or what it shows about a failure.
        error: The kind of failure (StopFailure): rate_limit, authentication_failed, ...
        background_tasks: How many sub-agents still run at a Stop.
        question: What a waiting Claude asks, one line.
        file_path: The memory file of InstructionsLoaded.
        permission: What a PermissionRequest asks for; None for a question of Claude's own.
    """

    name: str
    at: datetime
    event: str
    session_id: str
    transcript_path: str | None = None
    prompt: str | None = None
    prompt_id: str | None = None
    source: str | None = None
    message: str | None = None
    error: str | None = None
    background_tasks: int = 0
    tool_name: str | None = None
    question: str | None = None
    file_path: str | None = None
    permission: PermissionAsk | None = None

    @property
    def is_synthetic(self) -> bool:
        """A prompt that the CLI gave itself, such as the news of a finished sub-agent."""
        return (self.prompt or "").lstrip().startswith("<task-notification>")


class _Question(msgspec.Struct):
    question: str = ""


class _ToolInput(msgspec.Struct):
    command: str = ""
    file_path: str = ""
    url: str = ""
    questions: list[_Question] = []


class _Payload(msgspec.Struct):
    hook_event_name: str
    session_id: str
    transcript_path: str | None = None
    prompt: str | None = None
    prompt_id: str | None = None
    source: str | None = None
    reason: str | None = None
    error: str | None = None
    last_assistant_message: str | None = None
    background_tasks: list[msgspec.Raw] = []
    tool_name: str | None = None
    tool_input: msgspec.Raw = msgspec.Raw(b"{}")
    file_path: str | None = None


def decode_event(name: str, content: bytes) -> HookEvent:
    """The event in a file of that name.

    Raises:
        ValueError: The name or the content is not one of an event.
    """
    payload = msgspec.json.decode(content, type=_Payload)
    return HookEvent(
        name=name,
        at=_instant(name),
        event=payload.hook_event_name,
        session_id=payload.session_id,
        transcript_path=payload.transcript_path,
        prompt=payload.prompt,
        prompt_id=payload.prompt_id,
        source=payload.source or payload.reason,
        message=payload.last_assistant_message,
        error=payload.error,
        background_tasks=len(payload.background_tasks),
        tool_name=payload.tool_name,
        question=_question(payload) if payload.tool_name else None,
        file_path=payload.file_path,
        permission=_permission(payload, content),
    )


def is_event_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def name_order(name: str) -> tuple[int, str]:
    digits = name.partition("-")[0].rstrip("N")
    return int(digits.ljust(19, "0")), name


def _instant(name: str) -> datetime:
    if not is_event_name(name):
        raise ValueError("not the name of an event")
    return datetime.fromtimestamp(name_order(name)[0] / 1e9, tz=UTC)


def _permission(payload: _Payload, content: bytes) -> PermissionAsk | None:
    is_ask = payload.hook_event_name == HookName.PERMISSION and payload.tool_name
    if not is_ask or payload.tool_name == QUESTION_TOOL:
        return None
    return PermissionAsk(
        tool_name=str(payload.tool_name)[:_NAME_CHARS],
        tool_input=bytes(payload.tool_input),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _question(payload: _Payload) -> str:
    """One line that a person can decide on."""
    try:
        tool = msgspec.json.decode(payload.tool_input, type=_ToolInput)
    except ValueError:
        tool = _ToolInput()
    if tool.questions:
        text = tool.questions[0].question
    else:
        text = f"{payload.tool_name}: {tool.command or tool.file_path or tool.url}".rstrip(": ")
    return " ".join(text.split())[:_QUESTION_CHARS]
