"""The first page of a product without users."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.theme import ACCENT_HEX, FAINT_HEX, MUTED_HEX, TEXT_HEX

_CHOICES = (
    ("t", "Try the demo", "a minute, no account, no login: a scripted",
     "model builds, deploys and tests a page here"),
    ("n", "New user", "makes a customer, starts a real Claude", ""),
    ("i", "Doctor", "what this computer has and what it lacks", ""),
    ("q", "Quit", "", ""),
)  # fmt: skip


class Welcome(ModalScreen[str], Acting, inherit_bindings=False):
    """Answers which way the operator chose."""

    CSS_PATH = "pages.tcss"
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.WELCOME,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.WELCOME)]

    def __init__(self, *, has_demo: bool) -> None:
        super().__init__()
        self._has_demo = has_demo

    def compose(self) -> ComposeResult:
        page = Vertical(classes="page")
        page.border_title = Content("Welcome")
        with page:
            yield Static(self._text())

    def _text(self) -> Content:
        parts = [("No users yet. Press one:\n\n", TEXT_HEX)]
        for key, name, first, second in _CHOICES:
            parts.append((f"  {key}  ", ACCENT_HEX))
            parts.append((f"{name:<14}", TEXT_HEX))
            parts.append((f"{first}\n", MUTED_HEX))
            if second:
                parts.append((f"{'':19}{second}\n", MUTED_HEX))
        note = (
            "\nNothing leaves this computer until you deploy a site of a user\n"
            "whose hosting is aws or azure.   ? shows the keys, Esc looks around."
        )
        return Content.assemble(*parts, (note, FAINT_HEX))

    def do_start_demo(self) -> None:
        if self._has_demo:
            self.dismiss("demo")
        else:
            self.notify("The demo is not available here.", markup=False)

    def do_start_user(self) -> None:
        self.dismiss("new_user")

    def do_start_doctor(self) -> None:
        self.dismiss("doctor")

    def do_leave_welcome(self) -> None:
        self.dismiss("leave")

    def do_close_welcome(self) -> None:
        self.dismiss(None)
