"""The chat as it is shown: rendered from Claude's transcript, never from the screen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Speaker(StrEnum):
    """Who says an item of the chat."""

    OPERATOR = "operator"
    CLAUDE = "claude"
    TOOL = "tool"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatItem:
    """One thing said or done. For a tool call `title` is the short argument, `text` its output."""

    item_id: str
    at: datetime | None
    speaker: Speaker
    text: str
    tool: str | None = None
    title: str | None = None
    ok: bool | None = None
    """A tool's outcome; None while it runs."""
    result: str | None = None
    """One word or count for the folded line, such as +182 or exit 6."""
    duration_ms: int | None = None
