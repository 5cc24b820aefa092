"""What a supervised Claude asks its operator: approvals, their answers and standing allowances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.models.session import SessionKey


class ApprovalState(StrEnum):
    """Where an approval stands; only an open one can be answered."""

    OPEN = "open"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"
    """Nobody answered in its time, which is a deny."""
    WITHDRAWN = "withdrawn"
    """The question went away: answered in the pane, interrupted, or its Claude ended."""


class Decision(StrEnum):
    """What the operator answers."""

    ALLOW = "allow"
    ALLOW_SESSION = "allow_session"
    DENY = "deny"

    @property
    def state(self) -> ApprovalState:
        return ApprovalState.DENIED if self is Decision.DENY else ApprovalState.ALLOWED


class AnsweredBy(StrEnum):
    """Who answered."""

    OPERATOR = "operator"
    RULE = "rule"
    """An allowance of the session."""
    WORKER = "worker"
    """The deadline, or the limit of open approvals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One call of a tool that waits, or waited, for the operator's word.

    Attributes:
        approval_id: The name of Claude's event, so that the same event is the same approval.
        tool_name: The CLI's name of the tool, such as `Bash`.
        subject: One line that a person can decide on.
        tool_input: The call's input as JSON text, cut where it is long.
        rule_subject: What an allowance for the session would cover, exactly; None where the call
            can only be allowed once.
        event_sha256: Digest of the event as it was read: an answer holds for these bytes alone.
        message: The sentence that Claude is given with a deny.
        deadline_at: From then on it is denied.
    """

    key: SessionKey
    approval_id: str
    tool_name: str
    subject: str
    tool_input: str
    rule_subject: str | None
    event_sha256: str
    created_at: datetime
    deadline_at: datetime
    state: ApprovalState = ApprovalState.OPEN
    message: str | None = None
    answered_by: AnsweredBy | None = None
    answered_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.state is ApprovalState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A session's standing permission: this tool on exactly this subject."""

    key: SessionKey
    tool_name: str
    subject: str
    created_at: datetime
