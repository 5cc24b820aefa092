"""The app's own look at tmux: pictures of panes over one control connection, and how to attach.

It only looks. Whatever is typed into a pane goes through the store to the worker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from core.errors import BuilderError, NotFoundError
from core.models.session import SessionKey
from core.paths import RuntimePaths
from tmux_bridge.tmux.attach import (
    attach_argv,
    attach_environment,
    inside_tmux,
    is_inside_own,
    nested_attach_argv,
)
from tmux_bridge.tmux.connection import ControlListener
from tmux_bridge.tmux.panes import PaneInfo, Panes
from tmux_bridge.tmux.reconnecting import ReconnectingConnection
from tmux_bridge.tmux.server import TmuxServer
from tui.ports import AttachCommand, PaneFrame

CONNECT_S = 2.0


class TmuxPaneView(ControlListener):
    """Implements `PaneView`; connects on first use and never starts a server."""

    def __init__(self, runtime: RuntimePaths) -> None:
        self._server = TmuxServer(runtime)
        self._lock = threading.Lock()
        self._connection: ReconnectingConnection | None = None
        self._panes: Panes | None = None
        self._listeners: dict[str, Callable[[], None]] = {}

    def capture(self, key: SessionKey) -> PaneFrame | None:
        try:
            panes, pane = self._find(key)
            if pane is None or panes is None:
                return None
            view = panes.capture_view(pane.pane_id)
        except BuilderError:
            return None
        return PaneFrame(
            lines=tuple(view.lines),
            width=pane.width,
            height=pane.height,
            cursor=view.cursor if view.cursor_visible else None,
            captured_at=time.monotonic(),
        )

    def listen(self, key: SessionKey, on_output: Callable[[], None]) -> Callable[[], None]:
        with suppress(BuilderError):
            panes, pane = self._find(key)
            if panes is not None and pane is not None:
                self._listeners = {pane.pane_id: on_output}
                panes.show(pane.session_id)

        def stop() -> None:
            self._listeners = {}
            with suppress(BuilderError):
                if self._panes is not None:
                    self._panes.show_hub()

        return stop

    def output(self, pane_id: str) -> None:
        listener = self._listeners.get(pane_id)
        if listener is not None:
            listener()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _find(self, key: SessionKey) -> tuple[Panes | None, PaneInfo | None]:
        panes = self._open()
        return panes, panes.find(key.tmux_name) if panes is not None else None

    def _open(self) -> Panes | None:
        with self._lock:
            if self._connection is None:
                if not self._server.is_running():
                    return None
                self._connection = ReconnectingConnection(self._server.connect)
                self._connection.add_listener(self)
                self._panes = Panes(self._connection, self._server)
                self._connection.start()
            self._connection.wait_connected(timeout_s=CONNECT_S)
            return self._panes


class TmuxAttach:
    """Implements `Attach`: tmux's own attach outside, a window of the outer tmux inside."""

    def __init__(self, runtime: RuntimePaths, environ: Mapping[str, str]) -> None:
        self._runtime = runtime
        self._environ = environ
        self._server = TmuxServer(runtime)

    def command(self, key: SessionKey, *, read_only: bool) -> AttachCommand:
        if not self._server.is_running():
            raise NotFoundError(
                "No tmux server runs yet, so there is nothing to attach to.",
                remedy="Send a message: that starts the session's Claude.",
            )
        if inside_tmux(self._environ):
            argv = nested_attach_argv(
                self._runtime, key.tmux_name, environ=self._environ, read_only=read_only
            )
            own = is_inside_own(self._runtime, self._environ)
            keys = "Ctrl+b d" if own else "Ctrl+b Ctrl+b d"
            return AttachCommand(
                argv=argv, environment=dict(self._environ), takes_terminal=False,
                hint=f"{keys} leaves the session's own terminal",
            )  # fmt: skip
        return AttachCommand(
            argv=attach_argv(self._runtime, key.tmux_name, read_only=read_only),
            environment=attach_environment(self._environ),
            hint="Ctrl+b d leads back",
        )
