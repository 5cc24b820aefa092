"""Lines of a transcript as items of the chat: prompts, Claude's words, tool calls with results."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import msgspec

from core.models.transcript import ChatItem, Speaker
from tmux_bridge.claude.receipts import without_escape
from tmux_bridge.claude.state import TranscriptTail

_TEXT_LIMIT = 64 * 1024
_TITLE_LIMIT = 120
_INTERRUPT = "[Request interrupted by user"
_DENIED = ("Permission to use", "The user doesn't want to proceed", "User rejected")
_EXIT = re.compile(r"(?:Error: )?Exit code (\d+)")
_MARKUP = re.compile(r"\s*<(command-name|command-message|local-command-\w+|task-notification)\b")
_COMMAND = re.compile(r"<command-name>(.*?)</command-name>", re.DOTALL)
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_TITLE_FIELDS = ("command", "file_path", "path", "pattern", "url", "query", "description", "skill")


class _Origin(msgspec.Struct):
    kind: str = "human"


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    tool_use_id: str = ""
    content: msgspec.Raw = msgspec.Raw(b'""')
    is_error: bool = False


class _Message(msgspec.Struct):
    content: str | list[_Block] = ""
    stop_reason: str | None = None


class _Line(msgspec.Struct, rename="camel"):
    type: str
    uuid: str = ""
    timestamp: datetime | None = None
    is_sidechain: bool = False
    is_meta: bool = False
    origin: _Origin = msgspec.field(default_factory=_Origin)
    message: _Message | None = None
    tool_use_result: msgspec.Raw = msgspec.Raw(b"null")


class _Kind(msgspec.Struct):
    type: str = ""


class _Hunk(msgspec.Struct):
    lines: list[str] = []


class _ReadFile(msgspec.Struct, rename="camel"):
    num_lines: int = 0


class _Outcome(msgspec.Struct, rename="camel"):
    structured_patch: list[_Hunk] = []
    type: str = ""
    content: msgspec.Raw = msgspec.Raw(b'""')
    file: _ReadFile | None = None
    num_files: int | None = None


class Chat:
    """The items of one transcript, built line by line."""

    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        self._items: dict[str, ChatItem] = {}
        self._last: _Line | None = None

    def items(self) -> list[ChatItem]:
        return list(self._items.values())

    def add(self, line: bytes) -> None:
        """Take one line; what is not understood adds nothing."""
        if not line.startswith(b"{"):
            return
        try:
            if msgspec.json.decode(line, type=_Kind).type not in {"user", "assistant"}:
                return
            entry = msgspec.json.decode(line, type=_Line)
        except ValueError:
            return
        if entry.message is None or entry.is_sidechain or entry.is_meta:
            return
        if entry.timestamp is not None and entry.timestamp.tzinfo is None:
            entry.timestamp = None
        self._last = entry
        if entry.type == "assistant":
            self._add_answer(entry, entry.message)
        else:
            self._add_input(entry, entry.message)

    def tail(self) -> TranscriptTail:
        """Judged by the last line alone: a newer prompt makes an older interrupt irrelevant."""
        if self._last is None or self._last.message is None:
            return TranscriptTail()
        message = self._last.message
        text = "\n".join(block.text for block in _blocks(message) if block.type == "text")
        if self._last.type == "user":
            return TranscriptTail(is_interrupted=text.startswith(_INTERRUPT))
        finished = message.stop_reason == "end_turn"
        return TranscriptTail(is_finished=finished, message=text or None if finished else None)

    def _add_answer(self, entry: _Line, message: _Message) -> None:
        for index, block in enumerate(_blocks(message)):
            key = f"{entry.uuid}:{index}"
            if block.type == "text" and block.text.strip():
                self._put(key, entry, Speaker.CLAUDE, block.text)
            elif block.type == "tool_use":
                self._items[block.id or key] = ChatItem(
                    item_id=block.id or key, at=entry.timestamp, speaker=Speaker.TOOL, text="",
                    tool=block.name[:_TITLE_LIMIT], title=self._title(block.input),
                )  # fmt: skip

    def _add_input(self, entry: _Line, message: _Message) -> None:
        for index, block in enumerate(_blocks(message)):
            key = f"{entry.uuid}:{index}"
            if block.type == "tool_result":
                self._settle(entry, block)
            elif block.type == "text" and block.text.startswith(_INTERRUPT):
                self._put(key, entry, Speaker.NOTE, "Interrupted")
            elif block.type == "text" and entry.origin.kind == "human":
                self._add_prompt(key, entry, block.text)

    def _add_prompt(self, key: str, entry: _Line, text: str) -> None:
        if _MARKUP.match(text):
            command = _COMMAND.search(text)
            if command is not None and command[1].strip():
                self._put(key, entry, Speaker.OPERATOR, command[1].strip())
            return
        plain = without_escape(_REMINDER.sub("", text))
        if plain:
            self._put(key, entry, Speaker.OPERATOR, plain)

    def _put(self, key: str, entry: _Line, speaker: Speaker, text: str) -> None:
        self._items[key] = ChatItem(
            item_id=key, at=entry.timestamp, speaker=speaker, text=text[:_TEXT_LIMIT]
        )

    def _settle(self, entry: _Line, block: _Block) -> None:
        """Fold a result into its call."""
        call = self._items.get(block.tool_use_id)
        if call is None or call.speaker is not Speaker.TOOL:
            return
        output = _output(block.content)
        self._items[block.tool_use_id] = replace(
            call,
            text=output[:_TEXT_LIMIT],
            ok=not block.is_error,
            result=_result(output, entry.tool_use_result, is_error=block.is_error),
            duration_ms=_between_ms(call.at, entry.timestamp),
        )

    def _title(self, raw: msgspec.Raw) -> str:
        """The one argument that tells the call from others."""
        try:
            arguments = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        except ValueError:
            return ""
        names = [name for name in _TITLE_FIELDS if name in arguments] or list(arguments)
        for name in names:
            text = _as_text(arguments[name])
            if text:
                return self._short(text)
        return ""

    def _short(self, text: str) -> str:
        if self._folder and text.startswith(f"{self._folder}/"):
            text = text[len(self._folder) + 1 :]
        first = text.strip().partition("\n")[0]
        return first if len(first) <= _TITLE_LIMIT else f"{first[: _TITLE_LIMIT - 1]}…"


def _blocks(message: _Message) -> list[_Block]:
    if isinstance(message.content, str):
        return [_Block(type="text", text=message.content)]
    return message.content


def _as_text(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except ValueError:
        return ""


def _output(raw: msgspec.Raw) -> str:
    try:
        content = msgspec.json.decode(raw, type=str | list[_Block])
    except ValueError:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(block.text for block in content if block.text)


def _result(output: str, raw: msgspec.Raw, *, is_error: bool) -> str:
    """One word or count for the folded line."""
    if is_error:
        code = _EXIT.match(output)
        if code is not None:
            return f"exit {code[1]}"
        return "denied" if output.startswith(_DENIED) else "failed"
    try:
        outcome = msgspec.json.decode(raw, type=_Outcome)
    except ValueError:
        return "ok"
    if outcome.file is not None and outcome.file.num_lines:
        return f"{outcome.file.num_lines} lines"
    if outcome.num_files is not None:
        return f"{outcome.num_files} files"
    return _changes(outcome) or "ok"


def _changes(outcome: _Outcome) -> str:
    lines = [line for hunk in outcome.structured_patch for line in hunk.lines]
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    if outcome.type == "create":
        added = len(_as_text(outcome.content).splitlines())
    parts = [f"+{added}"] if added else []
    return " ".join([*parts, f"-{removed}"] if removed else parts)


def _between_ms(begun: datetime | None, ended: datetime | None) -> int | None:
    """Both instants were written by the CLI; a clock that was set back counts as nothing."""
    if begun is None or ended is None:
        return None
    return max(0, round((ended - begun).total_seconds() * 1000))
