"""The filter above the list."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import Input

from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.messages import FilterCleared, FilterKept


class FilterBox(Input, Acting):
    """Enter keeps what is written, Escape clears it; both go back to the list."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.FILTER,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.FILTER)]

    def __init__(self) -> None:
        super().__init__(id="filter", placeholder="/ filter", compact=True, select_on_focus=False)

    def do_keep_filter(self) -> None:
        self.post_message(FilterKept())

    def do_clear_filter(self) -> None:
        self.value = ""
        self.post_message(FilterCleared())
