"""Which panels are on the screen and where the focus goes; part of the main screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import Screen
from textual.widget import Widget

from tui.acting import Acting
from tui.widgets.bars import TabStrip

if TYPE_CHECKING:
    from tui.screens.parts import Parts
    from tui.widgets.session_list import SessionList

NARROW = 100
WIDE = 160
SESSIONS, CHAT, PANE, DEPLOY = 1, 2, 3, 4
_PANEL_IDS = {SESSIONS: "#sessions", CHAT: "#middle", PANE: "#pane", DEPLOY: "#deploy"}
_FOCUS_IDS = {SESSIONS: "#list", CHAT: "#chat-view", PANE: "#pane-view", DEPLOY: "#pipeline"}
_RING = ("#list", "#chat-view", "#approval", "#question", "#message", "#pane-view", "#pipeline")


class Panels(Screen[None], Acting, inherit_bindings=False):
    """One column with tabs, three columns, or four: nothing is ever just hidden."""

    tab = SESSIONS
    shows_pane = False
    parts: Parts | None = None
    """None until the first paint is out."""

    def panels_changed(self) -> None:
        """Which panels are visible changed."""

    def arrange_panels(self) -> None:
        """Show the panels that fit the terminal's width."""
        visible = self._visible()
        for number, selector in _PANEL_IDS.items():
            panel = self.query_one(selector)
            panel.display = number in visible
            panel.set_class(len(visible) == 1, "-only")
        is_narrow = self.app.size.width < NARROW
        tabs = self.query_one(TabStrip)
        tabs.display = is_narrow
        tabs.show(self.tab)
        self.set_class(is_narrow, "-one")
        self.query_one("#pane").set_class(PANE in visible and CHAT not in visible, "-broad")
        self.panels_changed()

    def _visible(self) -> set[int]:
        width = self.app.size.width
        if width < NARROW:
            return {self.tab}
        if width >= WIDE:
            return (
                {SESSIONS, CHAT, PANE, DEPLOY} if self.has_pane_view else {SESSIONS, CHAT, DEPLOY}
            )
        return {SESSIONS, PANE} if self.shows_pane else {SESSIONS, CHAT, DEPLOY}

    @property
    def has_pane_view(self) -> bool:
        raise NotImplementedError

    def is_visible(self, panel: int) -> bool:
        return panel in self._visible()

    def focus_panel(self, panel: int) -> None:
        """Show a panel and give it the focus at once, so that the next key is already its own."""
        self.tab = panel
        if panel == PANE:
            self.shows_pane = True
        elif panel in {CHAT, DEPLOY}:
            self.shows_pane = False
        self.arrange_panels()
        part = next(iter(self.query(_FOCUS_IDS[panel])), None)
        if part is not None:
            self.set_focus(part)

    def focus_message(self) -> None:
        """The message box, or the question card while Claude waits and nothing is written."""
        self.focus_panel(CHAT)
        if self.parts is not None:
            card, box = self.parts.open_card, self.parts.message
            self.set_focus(card if card is not None and box.is_blank else box)

    def do_panel_1(self) -> None:
        self.focus_panel(SESSIONS)

    def do_panel_2(self) -> None:
        self.focus_panel(CHAT)

    def do_panel_4(self) -> None:
        self.focus_panel(DEPLOY)

    def do_next_panel(self) -> None:
        self._step(1)

    def do_previous_panel(self) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        ring = [part for selector in _RING for part in self.query(selector)]
        here = self.focused
        at = ring.index(here) if here in ring else 0
        for distance in range(1, len(ring) + 1):
            part = ring[(at + step * distance) % len(ring)]
            panel = _panel_of(part)
            if self._can_go(part, panel):
                self.tab = panel
                self.arrange_panels()
                self.set_focus(part)
                return

    def _can_go(self, part: Widget, panel: int) -> bool:
        if self.parts is not None and part in self.parts.cards:
            return part is self.parts.open_card
        if self.app.size.width < NARROW:
            return panel != PANE or self.has_pane_view
        return self.is_visible(panel)

    @property
    def session_list(self) -> SessionList:
        raise NotImplementedError


def _panel_of(part: Widget) -> int:
    names = {"list": SESSIONS, "pane-view": PANE, "pipeline": DEPLOY}
    return names.get(part.id or "", CHAT)
