"""Who lives: pane births, deaths and disappearances of the whole server, and the server's own end.

One subscription makes tmux report a change within a second, notifications report sooner; either
only triggers one listing, which is compared with the last. A listing every 30 s finds the rest.
"""

from __future__ import annotations

import logging
import threading

from core.clock import wait_for
from core.errors import BuilderError
from tmux_bridge.tmux.connection import ControlListener
from tmux_bridge.tmux.errors import TmuxGoneError
from tmux_bridge.tmux.panes import PaneInfo, Panes
from tmux_bridge.tmux.reconnecting import ReconnectingConnection
from tmux_bridge.tmux.server import TmuxServer
from tmux_bridge.tmux.settings import HUB

logger = logging.getLogger(__name__)
RESYNC_S = 30.0
_UNREACHABLE_S = 0.5
_CAUSE_S = 0.3
# Ids and numbers only; a comma would end the loop's format.
_SUBSCRIPTION = (
    "refresh-client -B 'panes::#{S:#{W:#{P:"
    "#{session_id} #{pane_id} #{pane_pid} #{pane_dead} #{pane_dead_status} #{pane_dead_signal};"
    "}}}'"
)


class PaneEvents:
    """What a watch reports, one after the other on its own thread, where commands may be run."""

    def appeared(self, pane: PaneInfo) -> None:
        """A pane exists, or its program was started again."""

    def died(self, pane: PaneInfo) -> None:
        """A pane's program ended; the pane and its last screen are still there."""

    def vanished(self, pane: PaneInfo) -> None:
        """A pane is no longer there; `pane` is what was last known."""

    def server_gone(self, panes: tuple[PaneInfo, ...]) -> None:
        """The server ended with all these panes; `appeared` follows when there is a new one."""


class PaneWatch(ControlListener):
    """Keeps a picture of all panes and reports what changes in it; the hub is not reported."""

    def __init__(
        self,
        connection: ReconnectingConnection,
        *,
        server: TmuxServer,
        events: PaneEvents,
        resync_s: float = RESYNC_S,
    ) -> None:
        self._connection = connection
        self._panes = Panes(connection, server)
        self._server = server
        self._events = events
        self._resync_s = resync_s
        self._wake = threading.Event()
        self._closing = False
        self._needs_subscription = True
        self._is_reachable = True
        self._known: dict[tuple[int, str], PaneInfo] = {}
        self._thread = threading.Thread(target=self._run, name="tmux-watch", daemon=True)

    @property
    def known(self) -> tuple[PaneInfo, ...]:
        """The panes as last listed, without the hub's."""
        return tuple(self._known.values())

    def start(self) -> None:
        self._connection.add_listener(self)
        self._thread.start()
        self._wake.set()

    def close(self) -> None:
        self._closing = True
        self._connection.remove_listener(self)
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(5)

    def connected(self) -> None:
        self._needs_subscription = True
        self._wake.set()

    def lost(self) -> None:
        self._is_reachable = False
        self._wake.set()

    def subscription(self, name: str, text: str) -> None:  # noqa: ARG002 - only that it changed
        self._wake.set()

    def sessions_changed(self) -> None:
        self._wake.set()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._resync_s if self._is_reachable else _UNREACHABLE_S)
            self._wake.clear()
            if not self._closing:
                self._look_safely()

    def _look_safely(self) -> None:
        """The thread's edge: a failing receiver must not end the watch."""
        try:
            self._look()
        except Exception:
            logger.exception("pane watch failed")

    def _look(self) -> None:
        try:
            self._subscribe()
            panes = self._settled(self._panes.list())
        except TmuxGoneError:
            self._is_reachable = False
            self._report_gone()
            return
        except BuilderError as error:
            logger.warning("panes could not be listed", extra={"code": error.code})
            return
        self._is_reachable = True
        self._compare([pane for pane in panes if pane.session_name != HUB])

    def _settled(self, panes: list[PaneInfo]) -> list[PaneInfo]:
        """The listing again where a new death has no cause yet, for a short while."""
        if not any(self._lacks_cause(pane) for pane in panes):
            return panes
        self._panes.settle()

        def caused() -> list[PaneInfo] | None:
            again = self._panes.list()
            return None if any(self._lacks_cause(pane) for pane in again) else again

        return wait_for(caused, deadline_s=_CAUSE_S, interval_s=0.02) or self._panes.list()

    def _lacks_cause(self, pane: PaneInfo) -> bool:
        old = self._known.get((pane.server_pid, pane.pane_id))
        was_dead = old is not None and old.dead and old.pane_pid == pane.pane_pid
        is_unknown = pane.dead_status is None and pane.dead_signal is None
        return pane.dead and is_unknown and not was_dead

    def _subscribe(self) -> None:
        if self._needs_subscription:
            self._needs_subscription = False
            try:
                self._connection.command(_SUBSCRIPTION)
            except BuilderError:
                self._needs_subscription = True
                raise

    def _report_gone(self) -> None:
        """Losing the connection is not losing the server: ask its socket."""
        if self._known and not self._server.is_running():
            lost, self._known = self.known, {}
            self._events.server_gone(lost)

    def _compare(self, panes: list[PaneInfo]) -> None:
        before = self._known
        self._known = {(pane.server_pid, pane.pane_id): pane for pane in panes}
        self._report_replaced(before)
        for key, pane in self._known.items():
            old = before.get(key)
            is_new = old is None or old.pane_pid != pane.pane_pid
            if is_new:
                self._events.appeared(pane)
            if pane.dead and (is_new or (old is not None and not old.dead)):
                self._events.died(pane)

    def _report_replaced(self, before: dict[tuple[int, str], PaneInfo]) -> None:
        """Panes of another server went with it; the others were closed one by one."""
        servers = {server_pid for server_pid, _ in self._known}
        missing = [pane for key, pane in before.items() if key not in self._known]
        of_other = tuple(p for p in missing if servers and p.server_pid not in servers)
        if of_other:
            self._events.server_gone(of_other)
        for pane in missing:
            if pane not in of_other:
                self._events.vanished(pane)
