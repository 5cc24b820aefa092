"""A virtual list of lines with a cursor: thousands of them cost what is on the screen."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.plain import Part, segments
from tui.theme import SELECTED_HEX, SELECTED_QUIET_HEX

_FOCUSED = Style(bgcolor=SELECTED_HEX)
_REVERSED = Style(reverse=True)
_QUIET = Style(bgcolor=SELECTED_QUIET_HEX)


class LineView(ScrollView, Acting, can_focus=True, inherit_bindings=False):
    """Subclasses say how many lines there are and draw one; this moves, scrolls and paints."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.MOVE,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.MOVE)]
    CURSOR_WITHOUT_FOCUS = True

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # the library's own name
        super().__init__(id=id, classes=classes)
        self.cursor = 0

    def line_count(self) -> int:
        raise NotImplementedError

    def draw_line(self, line: int, width: int) -> list[Part]:
        """The parts of one line, at most `width` cells."""
        raise NotImplementedError

    def cursor_moved(self) -> None:
        """The cursor is on another line."""

    def lines_changed(self, *, keep_scroll: bool = False) -> None:
        """The number or the content of the lines changed."""
        self.cursor = max(0, min(self.cursor, self.line_count() - 1))
        self.virtual_size = Size(0, self.line_count())
        if not keep_scroll:
            self._show_cursor()
        self.refresh()

    def move_cursor(self, line: int) -> None:
        """Put the cursor on a line, as near as there is one, and show it."""
        target = max(0, min(line, self.line_count() - 1))
        if target == self.cursor:
            self._show_cursor()
            return
        before, self.cursor = self.cursor, target
        self._show_cursor()
        self.refresh_line(before)
        self.refresh_line(target)
        self.cursor_moved()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        line = y + round(self.scroll_y)
        if not 0 <= line < self.line_count():
            return Strip.blank(width, self.rich_style)
        strip = Strip(segments(self.draw_line(line, width))).adjust_cell_length(width)
        style = self.rich_style
        if line == self.cursor and (self.has_focus or self.CURSOR_WITHOUT_FOCUS):
            style += _FOCUSED if self.has_focus else _QUIET
            if self.app.no_color and self.has_focus:
                style += _REVERSED
        return strip.apply_style(style)

    def _show_cursor(self) -> None:
        height = self.scrollable_content_region.height
        if height <= 0:
            return
        top = round(self.scroll_y)
        if self.cursor < top:
            self._jump_to(self.cursor)
        elif self.cursor >= top + height:
            self._jump_to(self.cursor - height + 1)

    def _jump_to(self, top: int) -> None:
        self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        self.lines_changed()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        self.move_cursor(event.y + round(self.scroll_y))

    @property
    def page(self) -> int:
        """Visible lines, at least one."""
        return max(1, self.scrollable_content_region.height)

    def do_line_down(self) -> None:
        self.move_cursor(self.cursor + 1)

    def do_line_up(self) -> None:
        self.move_cursor(self.cursor - 1)

    def do_half_page_down(self) -> None:
        self.move_cursor(self.cursor + max(1, self.page // 2))

    def do_half_page_up(self) -> None:
        self.move_cursor(self.cursor - max(1, self.page // 2))

    def do_page_down(self) -> None:
        self.move_cursor(self.cursor + self.page)

    def do_page_up(self) -> None:
        self.move_cursor(self.cursor - self.page)

    def do_first_line(self) -> None:
        self.move_cursor(0)

    def do_last_line(self) -> None:
        self.move_cursor(self.line_count() - 1)
