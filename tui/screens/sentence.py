"""Asks for the sentence that Claude is given with a deny."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from core.models.approval import Approval
from core.services.approvals import MESSAGE_CHARS
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.plain import clean


class DenySentence(ModalScreen[str | None], Acting, inherit_bindings=False):
    """Enter denies with what was written; Escape leaves the question open."""

    AUTO_FOCUS = "#sentence"
    CSS_PATH = "pages.tcss"
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.DIALOG,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.DIALOG)]

    def __init__(self, approval: Approval) -> None:
        super().__init__()
        self._approval = approval

    def compose(self) -> ComposeResult:
        page = Vertical(classes="page")
        page.border_title = Content("Deny with a sentence")
        with page:
            asked = f"{self._approval.tool_name}  {self._approval.subject}"
            yield Static(Content(clean(asked)))
            yield Static(Content("\nWhat should Claude do instead?"), classes="quiet")
            yield Input(
                id="sentence", compact=True, max_length=MESSAGE_CHARS,
                placeholder="It reads this word for word", select_on_focus=False,
            )  # fmt: skip
            with Horizontal(classes="buttons"):
                yield Button(Content("Deny"), id="act", compact=True)
                yield Button(Content("Cancel"), id="cancel", compact=True)
                yield Static(Content("   Enter deny, Esc cancel"), classes="quiet")

    @on(Input.Submitted)
    def _entered(self) -> None:
        self._deny()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "act":
            self._deny()
        else:
            self.dismiss(None)

    def do_cancel(self) -> None:
        self.dismiss(None)

    def do_next_button(self) -> None:
        self.focus_next()

    def do_previous_button(self) -> None:
        self.focus_previous()

    def _deny(self) -> None:
        """Without a word it would be a plain deny, which is another key."""
        sentence = self.query_one("#sentence", Input).value.strip()
        if sentence:
            self.dismiss(sentence)
