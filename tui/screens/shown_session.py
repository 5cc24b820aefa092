"""The session that the panels show: what is known of it, when it is read again, and its pane."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from textual.screen import Screen

from core.errors import BuilderError
from core.models.states import SessionState
from tui.messages import ActFailed

if TYPE_CHECKING:
    from textual.timer import Timer

    from core.models.overview import SessionRow
    from core.models.session import SessionKey
    from core.services.services import Services
    from tui.feeds import DetailFeed, PaneFeed
    from tui.ports import PaneView
    from tui.session_detail import SessionDetail

logger = logging.getLogger(__name__)

SETTLE_S = 0.08
"""While the cursor runs through the list nothing is read."""
WORKING_S = 0.5
RECENT = 32


class ShownSession:
    """Reads the shown session when it changes, and twice a second while it works."""

    def __init__(
        self, screen: Screen[None], services: Services, pane_view: PaneView | None
    ) -> None:
        self.key: SessionKey | None = None
        self.detail: SessionDetail | None = None
        self._screen = screen
        self._services = services
        self._pane_view = pane_view
        self._recent: dict[SessionKey, SessionDetail] = {}
        self._settle: Timer | None = None
        self._is_reading = False
        self._again = False
        self._is_working = False
        self._pane_visible = False
        self._pane: PaneFeed | None = None
        self._feed: DetailFeed | None = None

    def start(self) -> None:
        """Begin to read; called after the first paint."""
        from tui.feeds import DetailFeed  # noqa: PLC0415  # not before the first paint

        self._feed = DetailFeed(self._services, self._screen.post_message)
        self._screen.set_interval(WORKING_S, self._while_working)
        self.read()

    def stop(self) -> None:
        self._stop_pane()

    def select(self, key: SessionKey | None, row: SessionRow | None) -> None:
        """Show another session: at once what is known of it, soon what it is now."""
        self.key = key
        self.detail = self._recent.get(key) if key is not None else None
        self._is_working = row is not None and row.state is SessionState.WORKING
        self._stop_pane()
        if self._settle is not None:
            self._settle.stop()
        self._settle = self._screen.set_timer(SETTLE_S, self._settled)

    def changed(self, row: SessionRow | None) -> None:
        """The store has something new of the shown session."""
        self._is_working = row is not None and row.state is SessionState.WORKING
        self.read()

    def take(self, detail: SessionDetail) -> None:
        self.detail = detail
        self._recent.pop(detail.key, None)
        self._recent[detail.key] = detail
        while len(self._recent) > RECENT:
            self._recent.pop(next(iter(self._recent)))

    def read(self) -> None:
        """Read now, or once more after the reading that is under way."""
        if self._feed is None or self.key is None:
            return
        if self._is_reading:
            self._again = True
            return
        self._is_reading = True
        self._screen.run_worker(self._read(self._feed), name="detail", group="detail")

    async def _read(self, feed: DetailFeed) -> None:
        from tui.background import in_background  # noqa: PLC0415  # not before the first paint

        try:
            key = self.key
            if key is not None:
                await in_background(lambda: feed.read(key))
        except BuilderError as error:
            self._screen.post_message(ActFailed(error.message, error.remedy))
        except Exception as error:  # the edge: a fault of ours must not end the app
            logger.exception("session not read")
            text = f"This session cannot be shown: {type(error).__name__}: {error}"
            self._screen.post_message(ActFailed(text, "The trace is in the program's log."))
        finally:
            self._is_reading = False
            if self._again:
                self._again = False
                self.read()

    def _settled(self) -> None:
        self._settle = None
        self.read()
        self._start_pane()

    def _while_working(self) -> None:
        if self._is_working:
            self.read()

    def watch_pane(self, *, is_visible: bool) -> None:
        """The live pane came into sight or went out of it."""
        if is_visible != self._pane_visible:
            self._pane_visible = is_visible
            self._start_pane() if is_visible else self._stop_pane()

    def nudge_pane(self) -> None:
        if self._pane is not None:
            self._pane.nudge()

    def _start_pane(self) -> None:
        from tui.background import as_worker  # noqa: PLC0415  # not before the first paint
        from tui.feeds import PaneFeed  # noqa: PLC0415

        self._stop_pane()
        if self._pane_view is None or self.key is None or not self._pane_visible:
            return
        feed = PaneFeed(self._pane_view, self.key, self._screen.post_message)
        self._pane = feed
        self._screen.run_worker(as_worker(feed.run), name="pane", group="pane", exclusive=True)

    def _stop_pane(self) -> None:
        if self._pane is not None:
            self._pane.stop()
            self._pane = None
