"""The live pane: the real cells and colours of the terminal, cropped, never reflowed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.sgr import parse_row

if TYPE_CHECKING:
    from tui.ports import PaneFrame

_AGE_EVERY_S = 0.5
_PAN_CELLS = 8


class PaneView(ScrollView, Acting, can_focus=True, inherit_bindings=False):
    """Shows the newest frame and repaints only the rows that differ from the one before."""

    DEFAULT_CSS = "PaneView { background: $background; height: 1fr; }"
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.PANE, Scope.MOVE)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.PANE, Scope.MOVE)]

    def __init__(self) -> None:
        super().__init__(id="pane-view")
        self._frame: PaneFrame | None = None
        self._strips: list[Strip] = []
        self._notice = "no session is selected"

    def on_mount(self) -> None:
        self.set_interval(_AGE_EVERY_S, self._show_age)

    def forget(self, notice: str) -> None:
        """Another session: its old picture must not stand there for a moment."""
        self._frame, self._strips, self._notice = None, [], notice
        self.virtual_size = Size(0, 0)
        self._show_age()
        self.refresh()

    def show(self, frame: PaneFrame) -> None:
        before, self._frame = self._frame, frame
        same_shape = before is not None and (before.width, len(before.lines)) == (
            frame.width,
            len(frame.lines),
        )
        if not same_shape or before is None:
            self._strips = [self._row(line) for line in frame.lines]
            self.virtual_size = Size(frame.width, len(frame.lines))
            self.call_after_refresh(self._to_bottom)
            self.refresh()
            return
        for number, (old, new) in enumerate(zip(before.lines, frame.lines, strict=True)):
            if old != new:
                self._strips[number] = self._row(new)
                self._repaint(number)
        self._move_pane_cursor(before, frame)

    def _row(self, line: str) -> Strip:
        return Strip(parse_row(line))

    def _move_pane_cursor(self, before: PaneFrame, frame: PaneFrame) -> None:
        if before.cursor != frame.cursor:
            for cursor in (before.cursor, frame.cursor):
                if cursor is not None:
                    self._repaint(cursor[1])

    def _repaint(self, number: int) -> None:
        y = number - round(self.scroll_y)
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _to_bottom(self) -> None:
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        self.call_after_refresh(self._to_bottom)

    def _show_age(self) -> None:
        if not isinstance(self.parent, Widget) or not self.parent.display:
            return
        if self._frame is None:
            self.parent.border_subtitle = None
            return
        age_s = max(0.0, time.monotonic() - self._frame.captured_at)
        size = f"{self._frame.width}x{self._frame.height}"
        self.parent.border_subtitle = Content(f"read only  {size}  age {age_s:.1f}s")

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        number = y + round(self.scroll_y)
        left = round(self.scroll_x)
        if not self._strips:
            text = f" {self._notice}" if y == 0 else ""
            return Strip([Segment(text)]).adjust_cell_length(width).apply_style(self.rich_style)
        if number >= len(self._strips):
            return Strip.blank(width, self.rich_style)
        strip = self._with_cursor(self._strips[number], number)
        strip = strip.crop(left, left + width).adjust_cell_length(width)
        return strip.apply_style(self.rich_style)

    def _with_cursor(self, strip: Strip, number: int) -> Strip:
        frame = self._frame
        if frame is None or frame.cursor is None or frame.cursor[1] != number:
            return strip
        x = frame.cursor[0]
        strip = strip.adjust_cell_length(max(strip.cell_length, x + 1))
        parts = [strip.crop(0, x), strip.crop(x, x + 1), strip.crop(x + 1, strip.cell_length)]
        parts[1] = Strip(Segment.apply_style(list(parts[1]), post_style=Style(reverse=True)))
        return Strip.join(parts)

    def _scroll_by(self, x: int = 0, y: int = 0) -> None:
        self.scroll_to(
            x=max(0, self.scroll_x + x), y=max(0, self.scroll_y + y), animate=False, immediate=True
        )

    def do_line_down(self) -> None:
        self._scroll_by(y=1)

    def do_line_up(self) -> None:
        self._scroll_by(y=-1)

    def do_half_page_down(self) -> None:
        self._scroll_by(y=max(1, self.size.height // 2))

    def do_half_page_up(self) -> None:
        self._scroll_by(y=-max(1, self.size.height // 2))

    def do_page_down(self) -> None:
        self._scroll_by(y=self.size.height)

    def do_page_up(self) -> None:
        self._scroll_by(y=-self.size.height)

    def do_first_line(self) -> None:
        self._scroll_by(y=-round(self.scroll_y))

    def do_last_line(self) -> None:
        self._to_bottom()

    def do_pan_left(self) -> None:
        self._scroll_by(x=-_PAN_CELLS)

    def do_pan_right(self) -> None:
        self._scroll_by(x=_PAN_CELLS)
