"""The worker's hold on tmux: server, connection and pane watch, started on first need."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from core.paths import RuntimePaths
from tmux_bridge.tmux.panes import Key, PaneInfo, Panes
from tmux_bridge.tmux.reconnecting import ReconnectingConnection
from tmux_bridge.tmux.server import TmuxServer
from tmux_bridge.tmux.watch import PaneEvents, PaneWatch

CONNECT_DEADLINE_S = 10.0

logger = logging.getLogger(__name__)


class Terminal:
    """Panes for whoever runs Claudes. A lost server or connection is rebuilt, not reported.

    Args:
        runtime: Where socket, configuration and hub live.
        changed: Called from another thread whenever a pane appeared, died or vanished.
    """

    def __init__(self, runtime: RuntimePaths, changed: Callable[[], None]) -> None:
        self._server = TmuxServer(runtime)
        self._changed = changed
        self._lock = threading.Lock()
        self._connection: ReconnectingConnection | None = None
        self._watch: PaneWatch | None = None
        self._panes: Panes | None = None

    def is_server_running(self) -> bool:
        return self._server.is_running()

    def ensure(self) -> Panes:
        """The panes of a running server, starting it where none runs.

        Raises:
            MissingProgramError: tmux is missing or too old.
            TmuxGoneError: It cannot be started or reached.
        """
        with self._lock:
            if self._panes is None:
                self._server.ensure_running()
                self._open()
            elif not self._server.is_running():
                self._server.ensure_running()
            assert self._connection is not None  # noqa: S101 - opened above
            self._connection.wait_connected(timeout_s=CONNECT_DEADLINE_S)
            assert self._panes is not None  # noqa: S101 - opened above
            return self._panes

    def living(self) -> dict[str, PaneInfo]:
        """Panes by session name as tmux lists them now; empty where no server runs."""
        if self._panes is None and not self._server.is_running():
            return {}
        return {pane.session_name: pane for pane in self.ensure().list()}

    def close(self) -> None:
        """Let go of tmux; the sessions go on."""
        with self._lock:
            if self._watch is not None:
                self._watch.close()
            if self._connection is not None:
                self._connection.close()
            self._watch = self._connection = self._panes = None

    def create(self, name: str, argv: tuple[str, ...], folder: Path) -> PaneInfo:
        return self.ensure().create(name, argv, folder=folder)

    def kill(self, name: str) -> None:
        self.ensure().kill(name)

    def set_buffer(self, buffer: str, text: str) -> None:
        self.ensure().set_buffer(buffer, text)

    def has_buffer(self, buffer: str) -> bool:
        return self.ensure().has_buffer(buffer)

    def delete_buffer(self, buffer: str) -> None:
        self.ensure().delete_buffer(buffer)

    def paste_and_enter(self, pane_id: str, buffer: str) -> None:
        self.ensure().paste_and_enter(pane_id, buffer)

    def press(self, pane_id: str, key: Key) -> None:
        self.ensure().press(pane_id, key)

    def capture(self, pane_id: str) -> list[str]:
        return self.ensure().capture(pane_id, colours=False)

    def _open(self) -> None:
        self._connection = ReconnectingConnection(
            lambda listener: self._server.connect(listener, no_output=True),
            before_attach=self._server.ensure_running,
        )
        self._panes = Panes(self._connection, self._server)
        self._watch = PaneWatch(self._connection, server=self._server, events=_Bell(self._changed))
        self._watch.start()
        self._connection.start()


class _Bell(PaneEvents):
    """Every event means the same here: list the panes again."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def appeared(self, pane: PaneInfo) -> None:  # noqa: ARG002 - the listing tells
        self._ring()

    def died(self, pane: PaneInfo) -> None:  # noqa: ARG002 - the listing tells
        self._ring()

    def vanished(self, pane: PaneInfo) -> None:  # noqa: ARG002 - the listing tells
        self._ring()

    def server_gone(self, panes: tuple[PaneInfo, ...]) -> None:  # noqa: ARG002 - same
        self._ring()
