"""A wish on its way to Claude, the receipt that proves how far it came, and the turn it started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.models.session import SessionKey
from core.models.states import PromptKind, Receipt, TurnOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One text for one pane. `seq` orders the prompts of a session."""

    prompt_id: str
    key: SessionKey
    seq: int
    kind: PromptKind
    text: str
    receipt: Receipt
    created_at: datetime
    reason: str | None = None
    error_exit: int | None = None
    """The exit code of what refused it, where an error of the product did."""
    settled_at: datetime | None = None
    execution_id: str | None = None
    claude_prompt_id: str | None = None
    server_pid: int | None = None
    mark: str | None = None
    """Name of the newest hook event when the intent was written: only newer ones count."""


NOT_LOGGED_IN = "Claude is not logged in or its key is not valid"
RATE_LIMITED = "Claude is rate-limited; try again later"
"""How the message of a failed turn begins where the reason has an exit code of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What Claude did for one accepted prompt. `outcome` is None while it works."""

    prompt_id: str
    key: SessionKey
    started_at: datetime
    ended_at: datetime | None = None
    outcome: TurnOutcome | None = None
    message: str | None = None
    """Claude's last words, or the reason of the failure."""
