"""What a call of a tool is about: a line that a person decides on, and what a rule would cover.

The input is foreign. A line says what the call does; a rule covers exactly that and no more: the
whole command, the one path, the one host. What cannot be covered exactly can be allowed once only.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from core.redaction import redacted
from tmux_bridge.claude.hooks import PermissionAsk

SUBJECT_CHARS = 300
INPUT_CHARS = 4000
RULE_CHARS = 2000
"""A longer command or path is not shown whole, so it is not allowed for good."""

FILE_TOOLS = frozenset({"Edit", "MultiEdit", "NotebookEdit", "Read", "Write"})


class _Input(msgspec.Struct):
    command: str = ""
    file_path: str = ""
    notebook_path: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A call in words. `rule` is None where no rule can cover it exactly."""

    line: str
    shown_input: str
    rule: str | None


def subject_of(ask: PermissionAsk) -> Subject:
    """The call as it is shown and stored; secrets in it are masked."""
    try:
        fields = msgspec.json.decode(ask.tool_input, type=_Input)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        fields = None
    text = ask.tool_input.decode(errors="replace")
    shown = text if len(text) <= INPUT_CHARS else f"{text[: INPUT_CHARS - 1]}…"
    line = ask.tool_name if fields is None else _line(ask.tool_name, fields)
    rule = None if fields is None else _rule(ask.tool_name, fields)
    return Subject(line=redacted(line), shown_input=redacted(shown), rule=_storable(rule))


def _line(tool_name: str, fields: _Input) -> str:
    """Whitespace is drawn together: a line break must not hide the rest of a command."""
    about = fields.command or fields.file_path or fields.notebook_path or fields.url
    words = " ".join(about.split())
    if len(words) > SUBJECT_CHARS:
        words = f"{words[: SUBJECT_CHARS - 1]}… ({len(about)} characters)"
    return words or tool_name


def _rule(tool_name: str, fields: _Input) -> str | None:
    if tool_name == "Bash":
        return fields.command or None
    if tool_name in FILE_TOOLS:
        return fields.file_path or fields.notebook_path or None
    if tool_name == "WebFetch":
        return _host(fields.url)
    return tool_name


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _storable(rule: str | None) -> str | None:
    """A rule is stored as it is, so it must be short enough to be shown, and hold no secret."""
    if rule is None or not 0 < len(rule) <= RULE_CHARS or redacted(rule) != rule:
        return None
    return rule
