"""The chat of the shown session, drawn from its transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from core.models.session import SessionKey
from tui.actions import Scope, bindings
from tui.chat_lines import Drawing, Line, draw, folds, starts_open
from tui.plain import Part
from tui.states import Glyphs
from tui.theme import Ink
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from tui.session_detail import ChatEntry

_CacheKey = tuple["ChatEntry", bool, int, bool]


class ChatView(LineView):
    """Follows the end while the cursor is on the last line; scrolling up stops that."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.CHAT, Scope.MOVE)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.CHAT, Scope.MOVE)]
    CURSOR_WITHOUT_FOCUS = False

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="chat-view")
        self._glyphs = glyphs
        self._key: SessionKey | None = None
        self._entries: tuple[ChatEntry, ...] = ()
        self._lines: list[tuple[Line, int]] = []
        self._cache: dict[_CacheKey, list[Line]] = {}
        self._flipped: set[str] = set()
        self._all_open = False
        self._seen = 0
        self._empty = ""
        self.follows = True

    def line_count(self) -> int:
        return len(self._lines) or 1

    def draw_line(self, line: int, width: int) -> list[Part]:  # noqa: ARG002  # wrapped before
        if not self._lines:
            return [(f" {self._empty}", Ink.FAINT)]
        return self._lines[line][0]

    def show(
        self, key: SessionKey | None, entries: tuple[ChatEntry, ...], *, empty: str = ""
    ) -> None:
        """Show a chat; the same session keeps its place and its folds."""
        if key != self._key:
            self._key, self.follows = key, True
            self._cache.clear()
            self._flipped.clear()
            self._seen = len(entries)
        elif entries == self._entries and empty == self._empty:
            return
        self._entries, self._empty = entries, empty
        self._lay_out()

    def _is_open(self, entry: ChatEntry) -> bool:
        default = self._all_open or starts_open(entry)
        return default != (entry.item.item_id in self._flipped)

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        drawing = Drawing(width, self._glyphs)
        fresh: dict[_CacheKey, list[Line]] = {}
        lines: list[tuple[Line, int]] = []
        before: ChatEntry | None = None
        for number, entry in enumerate(self._entries):
            is_open = self._is_open(entry)
            speaker_is_new = before is None or before.item.speaker != entry.item.speaker
            cache_key = (entry, is_open, width, speaker_is_new)
            drawn = self._cache.get(cache_key)
            if drawn is None:
                drawn = draw(entry, drawing, is_open=is_open, before=before)
            fresh[cache_key] = drawn
            lines.extend((line, number) for line in drawn)
            before = entry
        self._cache = fresh
        self._lines = lines
        if self.follows:
            self.cursor = len(lines) - 1
            self._seen = len(self._entries)
        self.lines_changed(keep_scroll=not self.follows)
        if self.follows:
            self.call_after_refresh(self._stay_at_end)
        self._show_follow()

    def _stay_at_end(self) -> None:
        if self.follows:
            self._jump_to(max(0, self.line_count() - self.page))

    def _show_follow(self) -> None:
        new = len(self._entries) - self._seen
        if self.follows:
            text = "follow on"
        else:
            text = f"{new} new below, G" if new > 0 else "follow off, G"
        if isinstance(self.parent, Widget):
            self.parent.border_subtitle = Content(text) if self._entries else None

    def on_mouse_scroll_up(self) -> None:
        self.follows = False
        self._show_follow()

    def cursor_moved(self) -> None:
        self.follows = self.cursor >= self.line_count() - 1
        if self.follows:
            self._seen = len(self._entries)
        self._show_follow()

    def on_resize(self) -> None:
        self._lay_out()

    def do_fold_one(self) -> None:
        if not self._lines:
            return
        entry = self._entries[self._lines[self.cursor][1]]
        if not folds(entry):
            self.notify("There is nothing to fold on this line.", markup=False, timeout=3)
            return
        self._flipped ^= {entry.item.item_id}
        self.follows = False
        self._lay_out()

    def do_fold_all(self) -> None:
        self._all_open = not self._all_open
        self._flipped.clear()
        self._lay_out()
