"""Dialogs that ask before something cannot be taken back. Cancel has the focus."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.plain import clean


class Confirm(ModalScreen[bool], Acting, inherit_bindings=False):
    """A moderate act: y does it, Escape and Enter on Cancel do not."""

    AUTO_FOCUS = "#cancel"
    CSS_PATH = "pages.tcss"
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.CONFIRM, Scope.DIALOG)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.CONFIRM, Scope.DIALOG)]

    def __init__(self, question: str, body: str, verb: str) -> None:
        super().__init__()
        self._question, self._body, self._verb = question, body, verb

    def compose(self) -> ComposeResult:
        page = Vertical(classes="page")
        page.border_title = Content(self._question)
        with page:
            yield Static(Content(clean(self._body)))
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel", compact=True)
                yield Button(Content(self._verb), id="act", compact=True)
                yield Static(Content(f"   y {self._verb.lower()}, Esc cancel"), classes="quiet")

    def do_confirm(self) -> None:
        self.dismiss(True)

    def do_cancel(self) -> None:
        self.dismiss(False)

    def do_next_button(self) -> None:
        self.focus_next()

    def do_previous_button(self) -> None:
        self.focus_previous()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "act")


class ConfirmName(ModalScreen[bool], Acting, inherit_bindings=False):
    """A severe act: only the typed name sets the button free."""

    AUTO_FOCUS = "#cancel"
    CSS_PATH = "pages.tcss"
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.DIALOG,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.DIALOG)]

    def __init__(self, question: str, body: str, *, expected: str) -> None:
        super().__init__()
        self._question, self._body, self._expected = question, body, expected

    def compose(self) -> ComposeResult:
        page = Vertical(classes="page -severe")
        page.border_title = Content(self._question)
        with page:
            yield Static(Content(clean(self._body)))
            yield Static(Content(f"\nType the session's name to confirm: {self._expected}"))
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel", compact=True)
            yield Input(id="name", placeholder="name", compact=True, select_on_focus=False)
            with Horizontal(classes="buttons"):
                yield Button(Content("Destroy"), id="act", compact=True, disabled=True)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#act", Button).disabled = event.value.strip() != self._expected

    def on_key(self, event: events.Key) -> None:
        """What is typed while Cancel has the focus belongs to the name."""
        name = self.query_one("#name", Input)
        if event.is_printable and event.character and self.focused is not name:
            event.stop()
            self.set_focus(name)
            name.insert_text_at_cursor(event.character)

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.focus_next()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "act")

    def do_cancel(self) -> None:
        self.dismiss(False)

    def do_next_button(self) -> None:
        self.focus_next()

    def do_previous_button(self) -> None:
        self.focus_previous()
