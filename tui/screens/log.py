"""The log of a session's newest run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen

from core.errors import BuilderError
from core.models.execution import LogEntry, LogLevel
from core.models.session import SessionKey
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.background import in_background
from tui.hints import hints
from tui.messages import ActFailed, LogLoaded
from tui.plain import Part, clean_line, fit, spread
from tui.quantities import short_session, time_of_day
from tui.situation import Situation
from tui.theme import Ink
from tui.widgets.bars import FooterBar
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from core.services.services import Services

EVERY_S = 0.5
_LEVELS = {
    LogLevel.DEBUG: Ink.FAINT, LogLevel.INFO: Ink.MUTED, LogLevel.WARN: Ink.WARN,
    LogLevel.ERROR: Ink.BAD_STRONG,
}  # fmt: skip
_LOUD = {LogLevel.WARN, LogLevel.ERROR}


class LogView(LineView):
    """One entry a line."""

    def __init__(self) -> None:
        super().__init__(id="log-view")
        self.entries: list[LogEntry] = []
        self.follows = True

    def line_count(self) -> int:
        return len(self.entries)

    def add(self, entries: list[LogEntry]) -> None:
        self.entries += entries
        if self.follows:
            self.cursor = len(self.entries) - 1
        self.lines_changed(keep_scroll=not self.follows)

    def cursor_moved(self) -> None:
        self.follows = self.cursor >= len(self.entries) - 1

    def draw_line(self, line: int, width: int) -> list[Part]:
        entry = self.entries[line]
        step = f"{entry.step} {entry.step_name}" if entry.step else ""
        details = "  ".join(f"{name} {value}" for name, value in entry.details.items())
        left = [
            (f" {time_of_day(entry.timestamp, seconds=True)} ", Ink.FAINT),
            (f"{fit(step, 17)} ", Ink.MUTED),
            (f"{fit(entry.level.lower(), 6)}", _LEVELS[entry.level]),
            (clean_line(entry.message), Ink.TEXT if entry.level not in _LOUD else Ink.STRONG),
            (f"  {clean_line(details)}", Ink.FAINT),
        ]
        return spread(left, [], width)

    def error_after(self, step: int) -> int | None:
        """The next (1) or previous (-1) line that warns or fails."""
        line = self.cursor + step
        while 0 <= line < len(self.entries):
            if self.entries[line].level in _LOUD:
                return line
            line += step
        return None


class LogScreen(Screen[None], Acting, inherit_bindings=False):
    """Follows the log while it grows."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.LOG,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.LOG)]
    AUTO_FOCUS = "#log-view"

    def __init__(self, services: Services, key: SessionKey) -> None:
        super().__init__()
        self._services = services
        self._key = key
        self._is_reading = False

    def compose(self) -> ComposeResult:
        panel = Vertical(classes="panel")
        panel.border_title = Content(
            f"Log of the newest run  {short_session(self._key.session_id)}"
        )
        panel.border_subtitle = Content("reading")
        with panel:
            yield LogView()
        yield FooterBar()

    def on_mount(self) -> None:
        self.set_interval(EVERY_S, self._read)
        self._read()
        self.query_one(FooterBar).show(hints(self, Situation()))

    def _read(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self.run_worker(self._fetch(), name="log", group="log")

    async def _fetch(self) -> None:
        entries = self.query_one(LogView).entries
        after = entries[-1].line if entries else 0
        try:
            found = await in_background(
                lambda: self._services.status.logs(self._key, after_line=after)
            )
        except BuilderError as error:
            self.post_message(ActFailed(error.message, error.remedy))
        else:
            self.post_message(LogLoaded(found))
        finally:
            self._is_reading = False

    @on(LogLoaded)
    def _take(self, message: LogLoaded) -> None:
        view = self.query_one(LogView)
        if message.entries:
            is_first = not view.entries
            view.add(list(message.entries))
            if is_first and (error := self._first_error(view)) is not None:
                view.move_cursor(error)
        if isinstance(view.parent, Vertical):
            follow = "follow on" if view.follows else "follow off, f"
            text = f"{len(view.entries):,} lines   {follow}"
            view.parent.border_subtitle = Content(text if view.entries else "no lines yet")

    @staticmethod
    def _first_error(view: LogView) -> int | None:
        levels = [entry.level for entry in view.entries]
        return levels.index(LogLevel.ERROR) if LogLevel.ERROR in levels else None

    @on(ActFailed)
    def _failed(self, message: ActFailed) -> None:
        self.notify(f"{message.message}\n{message.remedy}", severity="error", markup=False)

    def do_close(self) -> None:
        self.dismiss()

    def do_next_error(self) -> None:
        self._go_error(1)

    def do_previous_error(self) -> None:
        self._go_error(-1)

    def _go_error(self, step: int) -> None:
        view = self.query_one(LogView)
        line = view.error_after(step)
        if line is None:
            self.notify("No further warning or error.", markup=False, timeout=3)
        else:
            view.move_cursor(line)

    def do_follow(self) -> None:
        self.query_one(LogView).do_last_line()
