"""Events of the CLI's hooks: one file per event, written by a pane, so everything here is foreign.

A forged, broken or flooded folder harms its own session only: files are read without following
links, bounded in size and number, and what cannot be understood is set aside.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from core.clock import Clock, SystemClock
from core.files import read_regular

logger = logging.getLogger(__name__)

SIZE_LIMIT = 1024 * 1024
SWEEP_LIMIT = 200
_LISTING_LIMIT = 5000
_SET_ASIDE_LIMIT = 20
_FUTURE_S = 60
_SETTLED_NS = 50_000_000
_NAME = re.compile(r"(\d{9,19})N?-\d{1,10}\.json")
_ASIDE = ".bad-"
_QUESTION_CHARS = 500


class HookName(StrEnum):
    """The events that the settings register; others are kept by their name."""

    SESSION_START = "SessionStart"
    SESSION_END = "SessionEnd"
    PROMPT = "UserPromptSubmit"
    PERMISSION = "PermissionRequest"
    TOOL_DONE = "PostToolUse"
    STOP = "Stop"
    STOP_FAILURE = "StopFailure"
    INSTRUCTIONS = "InstructionsLoaded"


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
    )


class HookInbox:
    """The events of one session's `state/hooks/`, oldest first, each until it is consumed."""

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self._seen_change: int | None = None
        self._undeletable: set[str] = set()

    def newest(self) -> str | None:
        """The name of the newest event now: only later ones answer what is typed next."""
        names = self._names()
        return names[-1] if names else None

    def pending(self, limit: int = SWEEP_LIMIT) -> list[HookEvent]:
        """Events that nobody consumed, at most `limit`; one stat when nothing has changed."""
        change = self._change()
        if change is None or change == self._seen_change:
            return []
        settled = self._clock.now().timestamp() * 1e9 - change > _SETTLED_NS
        names = [name for name in self._names() if name not in self._undeletable]
        events = [event for name in names[:limit] if (event := self._read(name)) is not None]
        complete = len(names) <= limit and not events
        self._seen_change = change if settled and complete else None
        return events

    def consume(self, events: Iterable[HookEvent]) -> None:
        """The events are in the store: remove their files.

        A pane may have taken the right to remove them; they are not read a second time then.
        """
        for event in events:
            try:
                (self._folder / Path(event.name).name).unlink(missing_ok=True)
            except OSError:
                self._undeletable.add(event.name)

    def _change(self) -> int | None:
        try:
            return self._folder.stat().st_ctime_ns
        except OSError:
            return None

    def _names(self) -> list[str]:
        names: list[str] = []
        hidden: list[str] = []
        try:
            with os.scandir(self._folder) as entries:
                for _, entry in zip(range(_LISTING_LIMIT), entries, strict=False):
                    (hidden if entry.name.startswith(".") else names).append(entry.name)
        except OSError:
            return []
        self._clear_hidden(hidden)
        return sorted(self._accepted(names), key=_order)

    def _accepted(self, names: Sequence[str]) -> list[str]:
        latest = self._clock.now().timestamp() + _FUTURE_S
        good = []
        for name in names:
            if _NAME.fullmatch(name) is None:
                self._set_aside(name, "not the name of an event")
            elif _instant(name).timestamp() > latest:
                self._set_aside(name, "from the future")
            else:
                good.append(name)
        return good

    def _read(self, name: str) -> HookEvent | None:
        content = read_regular(self._folder, name, limit=SIZE_LIMIT)
        if content is None:
            self._set_aside(name, "not a regular file within the limit")
            return None
        try:
            return decode_event(name, content)
        except ValueError as error:
            self._set_aside(name, str(error)[:200])
            return None

    def _set_aside(self, name: str, reason: str) -> None:
        """Out of the way under a hidden name, kept for a look; it never blocks the others."""
        logger.warning("hook event set aside", extra={"folder": str(self._folder), "why": reason})
        with contextlib.suppress(OSError):
            os.rename(self._folder / name, self._folder / f"{_ASIDE}{name[:200]}")  # noqa: PTH104 - never follows a link

    def _clear_hidden(self, names: Sequence[str]) -> None:
        """Keep the last ones; a temporary file that is still being written is a new one."""
        if len(names) <= _SET_ASIDE_LIMIT:
            return
        aged = sorted(names, key=self._changed_at)
        for name in aged[:-_SET_ASIDE_LIMIT]:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _changed_at(self, name: str) -> int:
        try:
            info = (self._folder / name).lstat()
        except OSError:
            return 0
        return info.st_ctime_ns if stat.S_ISREG(info.st_mode) else 0


def _order(name: str) -> tuple[int, str]:
    digits = name.partition("-")[0].rstrip("N")
    return int(digits.ljust(19, "0")), name


def _instant(name: str) -> datetime:
    if _NAME.fullmatch(name) is None:
        raise ValueError("not the name of an event")
    return datetime.fromtimestamp(_order(name)[0] / 1e9, tz=UTC)


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
