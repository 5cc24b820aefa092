"""The card that is there while a supervised Claude asks for a permission."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from core.models.approval import Approval, Decision
from core.models.session import Agent
from core.models.states import AgentState, Needs
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.messages import DecisionChosen, SentenceWanted
from tui.plain import clean_line
from tui.quantities import duration
from tui.theme import FAINT_HEX, MUTED_HEX, TEXT_HEX, WARN_HEX

WHY = "The settings do not allow it, and this session is supervised."
ONLY_ONCE = "this call can only be allowed once: no rule covers exactly it"
_CHOICES = (
    ("1", "allow once"),
    ("2", "allow for this session"),
    ("3", "deny"),
    ("4", "deny with a sentence"),
)
_ROWS_BEGIN = frozenset({"1", "3"})
"""The choices that begin a row: all four in one would not fit a narrow chat."""


class ApprovalCard(Widget, Acting, can_focus=True, inherit_bindings=False):
    """Shows one question until Claude has taken its answer; no key of it reaches the pane."""

    DEFAULT_CSS = """
    ApprovalCard {
        display: none; height: auto; max-height: 12; padding: 0 1; border: round $warning;
        border-title-color: $warning; border-title-style: bold;
        &:focus { border: heavy $warning; }
    }
    """
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.APPROVAL,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.APPROVAL)]

    def __init__(self) -> None:
        super().__init__(id="approval")
        self._approval: Approval | None = None
        self._waiting = 0
        self._is_answered = False
        self._note = ""

    def on_mount(self) -> None:
        self.border_title = Content("Claude asks for permission")
        self.set_interval(1.0, self._tick)

    @property
    def is_open(self) -> bool:
        return self._approval is not None

    @property
    def approval(self) -> Approval | None:
        return self._approval

    def show(self, agent: Agent | None, approvals: Sequence[Approval] | None) -> bool:
        """Show what is asked first; whether that is a new question.

        Args:
            approvals: The open ones, oldest first; None where it is not known yet.
        """
        asks = agent is not None and agent.state is AgentState.NEEDS_YOU
        before = self._approval
        if not asks or agent is None or agent.needs is not Needs.PERMISSION:
            self._approval = None
        elif before is not None and before.key != agent.key:
            self._approval = approvals[0] if approvals else None
        elif approvals:
            self._approval = approvals[0]
        elif approvals is not None and before is not None and not self._is_answered:
            self._is_answered, self._note = True, "answered elsewhere, waiting for Claude"
        self._waiting = len(approvals or ())
        return self._changed_from(before)

    def answered(self, text: str) -> None:
        """An answer is on its way."""
        self._is_answered = True
        self.set_note(f"{text}, waiting for Claude to take it")

    def refused(self) -> None:
        """The answer was not taken: it may be given again while it is asked."""
        self._is_answered = False

    def doubt(self, approval_id: str) -> None:
        """Some time after an answer: is that question still here?"""
        if self._approval is not None and self._approval.approval_id == approval_id:
            self.set_note("not accepted, press a to attach")

    def set_note(self, text: str) -> None:
        self._note = text
        self.refresh(layout=True)

    def render(self) -> Content:
        approval = self._approval
        if approval is None:
            return Content("")
        left = approval.deadline_at - datetime.now(UTC)
        time = f"{duration(max(0, int(left.total_seconds())) * 1000)} left"
        more = f", {self._waiting - 1} more after it" if self._waiting > 1 else ""
        lines = [
            (f"{clean_line(approval.tool_name)}  ", MUTED_HEX),
            (clean_line(approval.subject), TEXT_HEX),
            (f"\n{WHY}  {time}{more}", FAINT_HEX),
            *self._choices(approval),
        ]
        if self._note:
            lines.append((f"\n{self._note}", WARN_HEX))
        return Content.assemble(*lines)

    def _choices(self, approval: Approval) -> list[tuple[str, str]]:
        if not self.has_focus:
            return [("\nTab to this card, then 1-4 answer   a attach", FAINT_HEX)]
        parts: list[tuple[str, str]] = []
        for key, label in _CHOICES:
            is_possible = key != "2" or approval.rule_subject is not None
            ink = TEXT_HEX if is_possible and not self._is_answered else FAINT_HEX
            begin = "\n" if key in _ROWS_BEGIN else "   "
            parts.append((f"{begin}{key} {label}", ink))
        return parts

    def on_focus(self) -> None:
        self.refresh(layout=True)

    def on_blur(self) -> None:
        self.refresh(layout=True)

    def do_allow_once(self) -> None:
        self._choose(Decision.ALLOW)

    def do_allow_session(self) -> None:
        if self._approval is not None and self._approval.rule_subject is None:
            self.set_note(ONLY_ONCE)
        else:
            self._choose(Decision.ALLOW_SESSION)

    def do_deny(self) -> None:
        self._choose(Decision.DENY)

    def do_deny_with(self) -> None:
        if self._approval is not None and not self._is_answered:
            self.post_message(SentenceWanted(self._approval))

    def _choose(self, decision: Decision) -> None:
        if self._approval is not None and not self._is_answered:
            self.post_message(DecisionChosen(self._approval, decision))

    def _changed_from(self, before: Approval | None) -> bool:
        now = self._approval
        is_new = now is not None and (before is None or before.approval_id != now.approval_id)
        if is_new or now is None:
            self._is_answered, self._note = False, ""
        self.display = now is not None
        if now is not None:
            self.refresh(layout=True)
        return is_new

    def _tick(self) -> None:
        if self.is_open:
            self.refresh()
