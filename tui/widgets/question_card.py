"""The card that is there while Claude waits for the operator."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from core.models.session import Agent
from core.models.states import AgentState, Needs
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.messages import DigitChosen
from tui.plain import clean
from tui.theme import FAINT_HEX, TEXT_HEX, WARN_HEX

_ASKED = {
    Needs.PERMISSION: "Claude asks for permission",
    Needs.QUESTION: "Claude asks",
    Needs.LOGIN: "Claude is not logged in",
}


class QuestionCard(Widget, Acting, can_focus=True, inherit_bindings=False):
    """Digits answer only while the card has the focus; elsewhere they stay text or panels."""

    DEFAULT_CSS = """
    QuestionCard {
        display: none; height: auto; max-height: 12; padding: 0 1; border: round $warning;
        border-title-color: $warning; border-title-style: bold;
        &:focus { border: heavy $warning; }
    }
    """
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.QUESTION,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.QUESTION)]

    def __init__(self) -> None:
        super().__init__(id="question")
        self._agent: Agent | None = None
        self._note = ""

    @property
    def is_open(self) -> bool:
        return self._agent is not None

    def show(self, agent: Agent | None) -> bool:
        """Show what a waiting Claude asks; returns whether it is a new question."""
        waiting = agent if agent is not None and agent.state is AgentState.NEEDS_YOU else None
        before, self._agent = self._agent, waiting
        is_new = waiting is not None and (
            before is None or (before.key, before.question) != (waiting.key, waiting.question)
        )
        if is_new or waiting is None:
            self._note = ""
        self.display = waiting is not None
        if waiting is not None:
            self.border_title = Content(_ASKED[waiting.needs or Needs.QUESTION])
            self.refresh(layout=True)
        return is_new

    def answered(self, digit: int) -> None:
        self.set_note(f"sent {digit}, waiting for Claude to take it")

    def doubt(self) -> None:
        """The question is still there some time after an answer."""
        if self.is_open and self._note:
            self.set_note("not accepted yet; press a to attach and look")

    def set_note(self, text: str) -> None:
        self._note = text
        self.refresh(layout=True)

    def render(self) -> Content:
        agent = self._agent
        question = clean(agent.question or agent.evidence or "It waits.") if agent else ""
        keys = (
            "a attach to log in"
            if agent and agent.needs is Needs.LOGIN
            else (
                "1-9 answer   a attach for anything else"
                if self.has_focus
                else "Tab to this card, then 1-9 answer   a attach"
            )
        )
        lines = [(question, TEXT_HEX), ("\n" + keys, FAINT_HEX)]
        if self._note:
            lines.append(("\n" + self._note, WARN_HEX))
        return Content.assemble(*lines)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def do_answer(self, key: str) -> None:
        self.post_message(DigitChosen(int(key)))
