"""The application object: theme, first screen, leaving. What is on the screen is in `screens`."""

from __future__ import annotations

import asyncio
import locale
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import BindingType

from core.errors import BuilderError
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.states import Glyphs
from tui.theme import THEME

if TYPE_CHECKING:
    from types import FrameType

    from textual.screen import Screen

    from core.models.session import SessionKey
    from core.services.services import Services
    from tui.feeds import Changes
    from tui.ports import Terminal

_LEAVE_WITHIN_S = 2.0


class BuilderApp(App[None], Acting, inherit_bindings=False):
    """Shows the main screen; the services are first asked for anything after its first paint."""

    TITLE = "tmux-builder"
    ENABLE_COMMAND_PALETTE = False
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.APP,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.APP)]
    CSS_PATH = "app.tcss"

    def __init__(
        self,
        services: Services,
        terminal: Terminal,
        *,
        first: SessionKey | None = None,
        changes: Callable[[], Changes] | None = None,
    ) -> None:
        # With NO_COLOR the library only turns grey unless it takes colours for the terminal's own.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        self.services = services
        self.terminal = terminal
        self.glyphs = Glyphs(ascii_only=not _speaks_unicode())
        self.register_theme(THEME)
        # Without its watcher: nothing is styled yet, so there is nothing to style again.
        self.set_reactive(BuilderApp.theme, THEME.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self._first = first
        self._changes = changes or self._store_changes
        self._leaving = False
        self.failure: BuilderError | None = None
        """Why there are no services; the app ended for it."""
        self._early: list[events.Event] | None = []

    async def on_event(self, event: events.Event) -> None:
        """Keys pressed before the screen is built wait for it, in their order."""
        if self._early is not None and isinstance(event, events.Key | events.Paste):
            self._early.append(event)
        else:
            await super().on_event(event)

    async def take_early_keys(self) -> None:
        """The screen is built: what was typed before belongs to it."""
        early, self._early = self._early or [], None
        for event in early:
            await self.on_event(event)

    def get_default_screen(self) -> Screen[Any]:
        from tui.screens.main import MainScreen  # noqa: PLC0415  # imports this module's types

        return MainScreen(self.services, self.terminal, self._changes, first=self._first)

    def on_mount(self) -> None:
        self.set_class(self.glyphs.ascii_only, "-ascii")
        self.set_class(self.no_color, "-mono")
        with suppress(ValueError, RuntimeError):  # not the main thread: its owner decides
            loop = asyncio.get_running_loop()
            signal.signal(signal.SIGHUP, self._hung_up)
            loop.add_signal_handler(signal.SIGTERM, self._end_by_signal, signal.SIGTERM)

        self.call_after_refresh(self._open_services)

    def _open_services(self) -> None:
        threading.Thread(target=self._try_services, name="open", daemon=True).start()

    def _try_services(self) -> None:
        """The services are built now; without them there is nothing to show."""
        try:
            _ = self.services.environment
        except BuilderError as error:
            self.failure = error
            self.call_from_thread(self.exit, return_code=int(error.exit_code))

    def _end_by_signal(self, number: int) -> None:
        """Leave in order, so that the terminal is as it was before."""
        self.exit(return_code=128 + number)

    def _hung_up(self, number: int, _frame: FrameType | None) -> None:
        """A terminal that is gone cannot be restored, and writing to it would block for ever.

        A handler of the interpreter and not of the event loop, which may be the one that is
        blocked.
        """
        try:
            termios.tcgetattr(sys.__stdout__ or 1)
        except (OSError, ValueError, termios.error):
            os._exit(128 + number)
        self.call_later(self._end_by_signal, number)

    def _store_changes(self) -> Changes:
        from core.services.changes import ChangeFeed  # noqa: PLC0415  # not before first paint

        return ChangeFeed(self.services.environment.store)

    def do_palette(self) -> None:
        from tui.screens.pick_action import PickAction  # noqa: PLC0415  # on use

        PickAction.open_palette(self)

    def do_help(self) -> None:
        from tui.screens.pick_action import PickAction  # noqa: PLC0415  # on use

        PickAction.open_help(self)

    def do_copy_or_leave(self) -> None:
        selected = self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
            self.screen.clear_selection()
        elif self._leaving:
            self.leave()
        else:
            self._leaving = True
            self.set_timer(_LEAVE_WITHIN_S, self._stay)
            self.notify("Ctrl+C again to quit; sessions go on.", timeout=2, markup=False)

    def _stay(self) -> None:
        self._leaving = False

    def leave(self) -> None:
        """End the app, and say what goes on without it."""
        self.exit(message="tmux-builder closed. Sessions and runs go on; start it again any time.")


def _speaks_unicode() -> bool:
    return "utf" in locale.getpreferredencoding(do_setlocale=False).lower()
