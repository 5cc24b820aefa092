"""What a session's own pane asks for, and the answer: two small files, decoded strictly."""

from __future__ import annotations

from typing import Any

import msgspec


class PaneRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`state/requests/<id>.json`, written by the pane and hostile until decoded."""

    id: str
    verb: str
    arguments: dict[str, str | int | bool | None] = {}


class PaneAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`state/answers/<id>.json`, written by the worker: the parts of the envelope.

    Attributes:
        error: None or `code`, `message`, `fix`, `retryable`.
        warnings: Each with `code` and `message`.
    """

    id: str
    ok: bool
    exit: int
    data: Any = None
    error: dict[str, str | bool | None] | None = None
    warnings: list[dict[str, str | None]] = []
