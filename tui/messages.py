"""What happened, as messages: background work and widgets post them, screens act on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from core.models.approval import Approval, Decision
    from core.models.execution import LogEntry
    from core.models.overview import SessionRow, UserRow
    from core.models.session import SessionKey
    from core.services.doctor import DoctorReport
    from tui.ports import PaneFrame
    from tui.session_detail import SessionDetail


@dataclass
class RowsLoaded(Message):
    """Every user and session, as the store has them now."""

    users: Sequence[UserRow]
    rows: Sequence[SessionRow]


@dataclass
class RowsChanged(Message):
    """Sessions that changed; `users` is given where the users were read again."""

    rows: Sequence[SessionRow]
    users: Sequence[UserRow] | None = None


@dataclass
class DetailLoaded(Message):
    """Chat, receipts and run of one session."""

    detail: SessionDetail


@dataclass
class PaneCaptured(Message):
    """A picture of the pane; None where there is no pane."""

    key: SessionKey
    frame: PaneFrame | None


@dataclass
class LogLoaded(Message):
    """The log of a session's run."""

    entries: Sequence[LogEntry]


@dataclass
class DoctorReported(Message):
    """The checks are done."""

    report: DoctorReport


@dataclass
class SessionHighlighted(Message):
    """The list's cursor is on another row; a user's own row has no session."""

    user_id: str | None
    key: SessionKey | None


@dataclass
class SessionOpened(Message):
    """The operator chose a session."""

    key: SessionKey


@dataclass
class FilterKept(Message):
    """The filter's text stays and the list gets the focus back."""


@dataclass
class FilterCleared(Message):
    """The filter is empty again and the list gets the focus back."""


@dataclass
class WishWritten(Message):
    """The operator pressed Enter on a text for Claude."""

    text: str


@dataclass
class WishQueued(Message):
    """A text for Claude is in the store and will be typed."""

    key: SessionKey
    text: str


@dataclass
class WishRefused(Message):
    """A text for Claude could not be queued; it goes back to the message box."""

    key: SessionKey
    text: str


@dataclass
class DigitChosen(Message):
    """The operator answered Claude's question by its number."""

    digit: int


@dataclass
class DecisionChosen(Message):
    """The operator answered a permission; `message` is what Claude is told with a deny."""

    approval: Approval
    decision: Decision
    message: str | None = None


@dataclass
class DecisionRefused(Message):
    """An answer was not taken, so that it may be given again."""

    approval: Approval


@dataclass
class SentenceWanted(Message):
    """The operator wants to deny with a sentence."""

    approval: Approval


@dataclass
class SectionMoved(Message):
    """Tab in a form-like place: the next or the previous field."""

    backwards: bool = False


@dataclass
class ActFinished(Message):
    """Something the operator asked for is done."""

    text: str
    key: SessionKey | None = None


@dataclass
class ActFailed(Message):
    """Something the operator asked for was refused or failed."""

    message: str
    remedy: str


@dataclass
class CeilingTold(Message):
    """A ceiling over a day's spending is near or reached."""

    text: str
    is_reached: bool


@dataclass
class SessionMade(Message):
    """A user or a session was created, or found again."""

    text: str
    key: SessionKey | None
