"""Help and palette: the live rows of the action table, filtered by typing, run by Enter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from tui.acting import Acting, active_scopes, parts_with_focus
from tui.actions import ACTIONS, BY_ID, Action, Scope, bindings, of_scopes
from tui.plain import Part, fit, spread
from tui.situation import Situation
from tui.theme import Ink
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from textual.app import App

_KEY_CELLS = 12
_LABEL_CELLS = 18


class ActionList(LineView, can_focus=False, inherit_bindings=False):
    """One action a line, what is not possible now dim and with its reason."""

    SCOPES: ClassVar[tuple[Scope, ...]] = ()

    def __init__(self) -> None:
        super().__init__(id="actions")
        self.rows: list[tuple[Action, str | None]] = []

    def line_count(self) -> int:
        return len(self.rows)

    def draw_line(self, line: int, width: int) -> list[Part]:
        action, why_not = self.rows[line]
        dim = why_not is not None
        text = f"not now: {why_not}" if dim else action.help
        left = [
            (f" {fit(action.shown_keys, _KEY_CELLS)} ", Ink.FAINT if dim else Ink.ACCENT),
            (f"{fit(action.label, _LABEL_CELLS)} ", Ink.FAINT if dim else Ink.TEXT),
            (text, Ink.FAINT if dim else Ink.MUTED),
        ]
        return spread(left, [], width)


class PickAction(ModalScreen[str], Acting, inherit_bindings=False):
    """Answers with the id of the action to run."""

    CSS_PATH = "pages.tcss"
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.PICK,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.PICK)]
    AUTO_FOCUS = "#pick-filter"

    def __init__(self, title: str, rows: list[tuple[Action, str | None]]) -> None:
        super().__init__()
        self._title = title
        self._rows = rows

    @classmethod
    def open_help(cls, app: App[None]) -> None:
        """The keys that work where the focus is."""
        scopes = active_scopes(app.screen)
        place = next((str(scope) for scope in scopes if scope is not Scope.MOVE), "here")
        ordered = [action for scope in dict.fromkeys(scopes) for action in of_scopes([scope])]
        cls._open(app, f"Help: keys that work here ({place})", ordered)

    @classmethod
    def open_palette(cls, app: App[None]) -> None:
        """Every command of the screen, whether or not it has a key."""
        scopes = set(active_scopes(app.screen))
        small = {Scope.LOG, Scope.DOCTOR}
        rows = [row for row in ACTIONS if row.in_palette or row.scope in small]
        cls._open(app, "Commands", [row for row in rows if row.scope in scopes])

    @classmethod
    def _open(cls, app: App[None], title: str, actions: Iterable[Action]) -> None:
        screen = app.screen
        if isinstance(screen, PickAction):
            return
        situation = getattr(screen, "situation", Situation)()
        rows = [
            (action, action.reason(situation) if action.reason is not None else None)
            for action in actions
        ]

        async def run(action_id: str | None) -> None:
            if action_id is not None:
                await run_action(app, screen, action_id)

        app.push_screen(cls(title, rows), run)

    def compose(self) -> ComposeResult:
        page = Vertical(classes="page picker")
        page.border_title = Content(self._title)
        page.border_subtitle = Content("type to filter   Enter runs   Esc closes")
        with page:
            yield Input(id="pick-filter", placeholder="type to filter", compact=True)
            yield ActionList()

    def on_mount(self) -> None:
        self._filter("")

    @on(Input.Changed, "#pick-filter")
    def _typed(self, event: Input.Changed) -> None:
        self._filter(event.value)

    def _filter(self, text: str) -> None:
        found = self.query_one(ActionList)
        found.rows = matching(self._rows, text)
        found.cursor = 0
        found.lines_changed()

    def do_pick_next(self) -> None:
        self.query_one(ActionList).do_line_down()

    def do_pick_previous(self) -> None:
        self.query_one(ActionList).do_line_up()

    def do_pick(self) -> None:
        found = self.query_one(ActionList)
        if not found.rows:
            return
        action, why_not = found.rows[found.cursor]
        if why_not is not None:
            self.notify(f"{action.label}: {why_not}", markup=False, timeout=4)
        else:
            self.dismiss(action.id)

    def do_close_pick(self) -> None:
        self.dismiss(None)


def matching(rows: list[tuple[Action, str | None]], text: str) -> list[tuple[Action, str | None]]:
    """Rows that hold every word; those whose label begins with the text come first."""
    wanted = text.lower().strip()
    words = wanted.split()
    found = [
        row
        for row in rows
        if all(
            word in f"{row[0].label} {row[0].help} {row[0].aliases} {row[0].shown_keys}".lower()
            for word in words
        )
    ]
    return sorted(found, key=lambda row: not row[0].label.startswith(wanted)) if words else found


async def run_action(app: App[None], screen: Screen[Any], action_id: str) -> None:
    """Do an action where it belongs: in the focused part, the screen, or the app."""
    key = BY_ID[action_id].keys.split(",")[0]
    owners = [*parts_with_focus(screen), screen, app]
    for owner in owners:
        if isinstance(owner, Acting) and hasattr(owner, f"do_{action_id}"):
            await owner.action_act(action_id, key)
            return
