"""The list of users and their sessions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import BindingType

from core.models.cost import Spending
from core.models.states import AgentState, SessionState
from tui import states
from tui.actions import Scope, bindings
from tui.messages import SessionHighlighted, SessionOpened
from tui.plain import Part, clean_line, clip, fit, spread
from tui.quantities import age, dollars, short_session
from tui.session_index import Line, SessionIndex
from tui.theme import Ink
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from core.models.overview import SessionRow
    from core.models.session import SessionKey

_AGE_EVERY_S = 10.0
_ROOMY = 58
_NOTHING = Spending()
_SHORT_STEPS = {
    "create_user": "user", "create_session": "session", "generate_site": "writing",
    "health_check": "health", "screenshot": "photo", "e2e_tests": "tests",
}  # fmt: skip


class SessionList(LineView):
    """Draws a `SessionIndex` and keeps the cursor on the same session while it changes."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.LIST, Scope.MOVE)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.LIST, Scope.MOVE)]

    def __init__(self, index: SessionIndex, glyphs: states.Glyphs) -> None:
        super().__init__(id="list")
        self.index = index
        self._glyphs = glyphs
        self._at: Line | None = None

    def on_mount(self) -> None:
        self.set_interval(_AGE_EVERY_S, self.refresh)

    def line_count(self) -> int:
        return len(self.index.lines)

    @property
    def highlighted(self) -> Line | None:
        lines = self.index.lines
        return lines[self.cursor] if self.cursor < len(lines) else None

    def index_changed(self) -> None:
        """The index was rebuilt: find the cursor's session again."""
        if self._at is None:
            self.cursor = self.index.first_session()
        else:
            place = self.index.position(self._at.user_id, self._at.key)
            if place is not None and self._at.key is None and not self._at.count:
                place = self._first_of(place)
            self.cursor = self.index.first_session() if place is None else place
        self.lines_changed()
        self._remember()

    def _first_of(self, place: int) -> int:
        """A user's first session has come: the cursor goes on to it."""
        has_session = place + 1 < len(self.index.lines) and self.index.lines[place + 1].key
        return place + 1 if has_session else place

    def go_to(self, key: SessionKey) -> bool:
        """Put the cursor on a session; False where the list does not have it."""
        if self.index.is_folded(key.user_id):
            self.index.fold(key.user_id, folded=False)
            self.lines_changed()
        place = self.index.position(None, key)
        if place is None:
            return False
        self.move_cursor(place)
        self._remember()
        return True

    def cursor_moved(self) -> None:
        self._remember()

    def _remember(self) -> None:
        line = self.highlighted
        before = self._at
        self._at = line if line is not None else None
        identity = None if line is None else (line.user_id, line.key)
        if before is None or identity != (before.user_id, before.key):
            self.post_message(
                SessionHighlighted(
                    None if line is None else line.user_id, None if line is None else line.key
                )
            )

    def do_open(self) -> None:
        line = self.highlighted
        if line is None:
            return
        if line.key is not None:
            self.post_message(SessionOpened(line.key))
        else:
            self._fold(line.user_id, folded=not self.index.is_folded(line.user_id))

    def do_fold_user(self) -> None:
        if (line := self.highlighted) is not None:
            self._fold(line.user_id, folded=True)

    def do_unfold_user(self) -> None:
        if (line := self.highlighted) is not None:
            self._fold(line.user_id, folded=False)

    def _fold(self, user_id: str, *, folded: bool) -> None:
        self.index.fold(user_id, folded=folded)
        self.index_changed()

    def on_click(self, event: events.Click) -> None:
        if event.chain > 1:
            self.do_open()

    def draw_line(self, line: int, width: int) -> list[Part]:
        entry = self.index.lines[line]
        if entry.key is None:
            return self._draw_user(entry, width)
        return self._draw_session(self.index.rows[entry.key], width, at=line == self.cursor)

    def _draw_user(self, entry: Line, width: int) -> list[Part]:
        user = self.index.users.get(entry.user_id)
        mark = self._glyphs.folded if self.index.is_folded(entry.user_id) else self._glyphs.open
        email = clean_line(user.user.email) if user else entry.user_id[:8]
        name = f"  {clean_line(user.user.name)}" if user and user.user.name else ""
        right = [(f" {entry.user_id[:8]}", Ink.FAINT), (f" {entry.count:>2} ", Ink.MUTED)]
        left = [(f" {mark if entry.count else ' '} ", Ink.FAINT), (email, Ink.STRONG)]
        if width >= _ROOMY:
            left.append((name, Ink.MUTED))
        return spread(left, right, width)

    def _draw_session(self, row: SessionRow, width: int, *, at: bool) -> list[Part]:
        look = states.SESSION[row.state]
        now = datetime.now(UTC)
        bar = self._glyphs.bar if at else " "
        left: list[Part] = [
            (f" {bar} ", Ink.ACCENT),
            (f"{self._glyphs.of(look)} ", look.style),
            (f"{short_session(row.key.session_id)} ", Ink.TEXT),
        ]
        if width >= _ROOMY:
            place = f"{row.session.host_provider} {row.session.site_type}"
            left += [(fit(look.word, 10), look.style), (fit(place, 15), Ink.MUTED)]
            left.append((clip(clean_line(reason(row)), width), Ink.MUTED))
        else:
            left.append((short_reason(row), look.style))
        right: list[Part] = [(f" {age(row.session.updated_at, now):>3} ", Ink.FAINT)]
        if width >= _ROOMY and row.cost.total != _NOTHING:
            right.insert(0, (f" {dollars(row.cost.total.usd):>8}", Ink.MUTED))
        return spread(left, right, width)


def short_reason(row: SessionRow) -> str:
    """The state in at most ten letters, with the step where one is under way."""
    if row.state is SessionState.NEEDS_YOU:
        return "needs you"
    running = row.execution is not None and not row.execution.status.is_over
    if row.state is SessionState.WORKING and running and row.step is not None:
        return f"{row.step.n}/7 {_SHORT_STEPS.get(row.step.name, row.step.name)}"
    if row.state is SessionState.WORKING and row.agent.state is AgentState.STARTING:
        return "starting"
    if row.state is SessionState.FAILED and row.step is not None:
        return f"failed {row.step.n}/7"
    return states.SESSION[row.state].word


def reason(row: SessionRow) -> str:
    """What a wide row says beside the state."""
    if row.state is SessionState.NEEDS_YOU and row.agent.question:
        return row.agent.question
    if row.state is SessionState.FAILED and row.execution is not None and row.execution.error:
        return row.execution.error
    if row.state is SessionState.WORKING:
        return short_reason(row)
    return row.session.url or row.session.brief or ""
