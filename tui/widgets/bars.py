"""The one-line strips of the frame: header, tabs, notice and footer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.strip import Strip
from textual.widget import Widget

from core.models.states import SessionState
from tui import states
from tui.plain import Part, clean_line, parts_width, segments, spread
from tui.quantities import short_session, time_of_day
from tui.theme import Ink

if TYPE_CHECKING:
    from core.models.overview import SessionRow
    from tui.hints import Hint

SCRIPTED = "model is scripted"
UNCONTAINED = "isolation is off"


class Bar(Widget):
    """One line, drawn as parts."""

    def parts(self, width: int) -> list[Part]:
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line = self.parts(width) if y == 0 else []
        strip = Strip(segments(line)).crop(0, width).adjust_cell_length(width)
        return strip.apply_style(self.rich_style)


class HeaderBar(Bar):
    """The counts by state, whether a model is scripted, and the time."""

    def __init__(self, glyphs: states.Glyphs) -> None:
        super().__init__(id="header")
        self._glyphs = glyphs
        self._counts: dict[SessionState, int] | None = None
        self._row: SessionRow | None = None
        self._scripted = self._uncontained = False

    def on_mount(self) -> None:
        self.set_interval(20, self.refresh)

    def show(
        self, counts: dict[SessionState, int], *, scripted: bool, row: SessionRow | None,
        uncontained: bool = False,
    ) -> None:  # fmt: skip
        """`row` is the session to name where the list itself is out of sight.

        `uncontained` says that the operator switched the walls around sessions off.
        """
        shown = (self._counts, self._scripted, self._row, self._uncontained)
        if (counts, scripted, row, uncontained) != shown:
            self._counts, self._scripted, self._row = dict(counts), scripted, row
            self._uncontained = uncontained
            self.refresh()

    def parts(self, width: int) -> list[Part]:
        left: list[Part] = [(" tmux-builder ", Ink.TITLE), (" ", Ink.NONE)]
        if self._row is not None and width < 100:
            look = states.SESSION[self._row.state]
            name = f"{clean_line(self._row.email)} {short_session(self._row.key.session_id)}"
            left = [(f" {name}  ", Ink.STRONG), (look.word.upper(), look.style)]
        elif self._counts is None:
            left.append((" reading …", Ink.FAINT))
        else:
            left += self._count_parts(self._counts, width - 36)
        right: list[Part] = []
        if self._uncontained:
            right.append((f" {self._glyphs.dot} {UNCONTAINED} ", Ink.BAD))
        if self._scripted:
            right.append((f" {self._glyphs.dot} {SCRIPTED} ", Ink.WARN))
        if width >= 70:
            right.append((f" {time_of_day(datetime.now(UTC))} ", Ink.FAINT))
        return spread(left, right, width)

    def _count_parts(self, counts: dict[SessionState, int], room: int) -> list[Part]:
        parts: list[Part] = []
        for state, look in states.SESSION.items():
            count = counts.get(state, 0)
            if count and parts_width(parts) + len(look.word) + 6 <= room:
                parts.append((f" {self._glyphs.of(look)} ", look.style))
                parts.append((f"{count:,} {look.word} ", look.style))
        return parts or [(" no sessions yet", Ink.FAINT)]


class TabStrip(Bar):
    """Which of the four panels a narrow terminal shows."""

    NAMES = ("Browse", "Chat", "Pane", "Deploy")

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._current = 1

    def show(self, current: int) -> None:
        self._current = current
        self.refresh()

    def parts(self, width: int) -> list[Part]:  # noqa: ARG002  # short enough for any width
        parts: list[Part] = [(" ", Ink.NONE)]
        for number, name in enumerate(self.NAMES, start=1):
            shown = f"[{number} {name}]" if number == self._current else f" {number} {name} "
            parts.append((f"{shown} ", Ink.TITLE if number == self._current else Ink.MUTED))
        return parts


class NoticeBar(Bar):
    """The last thing that happened, with its time."""

    def __init__(self) -> None:
        super().__init__(id="notice")
        self._text = ""
        self._at: datetime | None = None
        self._is_bad = False

    def show(self, text: str, *, is_bad: bool = False) -> None:
        self._text, self._is_bad, self._at = clean_line(text), is_bad, datetime.now(UTC)
        self.refresh()

    @property
    def text(self) -> str:
        return self._text

    def parts(self, width: int) -> list[Part]:
        if not self._text:
            return []
        left: list[Part] = [
            (f" {time_of_day(self._at, seconds=True)}  ", Ink.FAINT),
            (self._text, Ink.BAD if self._is_bad else Ink.MUTED),
        ]
        return spread(left, [(" ", Ink.NONE)], width)


class FooterBar(Bar):
    """Keys that work here, most useful first; what is not possible now is dim."""

    def __init__(self) -> None:
        super().__init__(id="footer")
        self._hints: list[Hint] = []

    def show(self, hints: Sequence[Hint]) -> None:
        """Hints that do not fit are left out; the last three stay where there are many."""
        self._hints = list(hints)
        self.refresh()

    @property
    def hints(self) -> list[tuple[str, str]]:
        """Keys and labels, for whoever checks that the footer is true."""
        return [(hint.keys, hint.label) for hint in self._hints]

    def parts(self, width: int) -> list[Part]:
        hints = [self._draw(hint) for hint in self._hints]
        always = 3 if len(hints) > 6 else 0
        tail = hints[len(hints) - always :]
        room = width - sum(parts_width(hint) for hint in tail) - 1
        kept: list[Part] = [(" ", Ink.NONE)]
        for hint in hints[: len(hints) - always]:
            if parts_width(kept) + parts_width(hint) <= room:
                kept += hint
        return [*kept, *(part for hint in tail for part in hint)]

    @staticmethod
    def _draw(hint: Hint) -> list[Part]:
        if not hint.is_possible:
            return [(f"{hint.keys} {hint.label}  ", Ink.FAINT)]
        return [(f"{hint.keys} ", Ink.ACCENT), (f"{hint.label}  ", Ink.MUTED)]


class TooSmall(Bar):
    """The only line of a terminal that is too small for the app."""

    def __init__(self, least: str) -> None:
        super().__init__(id="too-small")
        self._least = least

    def parts(self, width: int) -> list[Part]:
        size = self.app.size
        text = f"tmux-builder needs {self._least}, this is {size.width}x{size.height}"
        return spread([(text, Ink.WARN)], [], width)
