"""A connection that heals itself: attaches again with back-off and tells when to read afresh."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from core.clock import wait_for
from core.errors import BuilderError
from tmux_bridge.tmux.connection import COMMAND_S, ControlConnection, ControlListener
from tmux_bridge.tmux.errors import gone

logger = logging.getLogger(__name__)
FIRST_DELAY_S = 0.05
LAST_DELAY_S = 1.0


class _Relay(ControlListener):
    """Passes one connection's life on to the listeners of the lasting one."""

    def __init__(self, owner: ReconnectingConnection) -> None:
        self._owner = owner
        self.has_ended = threading.Event()

    def lost(self) -> None:
        self.has_ended.set()

    def output(self, pane_id: str) -> None:
        for listener in self._owner.listeners:
            listener.output(pane_id)

    def subscription(self, name: str, text: str) -> None:
        for listener in self._owner.listeners:
            listener.subscription(name, text)

    def sessions_changed(self) -> None:
        for listener in self._owner.listeners:
            listener.sessions_changed()


class ReconnectingConnection:
    """Runs commands on whatever connection is alive; fails at once while there is none.

    Listeners hear `connected` and `lost` on the connection's own supervising thread, where they
    may run commands, and everything else on the reader's. A new connection shows the hub and has
    no subscriptions: whoever wants more asks again in `connected`.

    Args:
        connect: Attaches, usually `TmuxServer.connect` with its options.
        before_attach: Runs before every try; the worker passes `TmuxServer.ensure_running`.
    """

    def __init__(
        self,
        connect: Callable[[ControlListener], ControlConnection],
        *,
        before_attach: Callable[[], object] | None = None,
    ) -> None:
        self._connect = connect
        self._before_attach = before_attach
        self._current: ControlConnection | None = None
        self._closing = threading.Event()
        self._relay: _Relay | None = None
        self._thread: threading.Thread | None = None
        self._failure: BuilderError | None = None
        self.listeners: tuple[ControlListener, ...] = ()

    @property
    def is_connected(self) -> bool:
        return self._current is not None and self._current.is_alive

    @property
    def shown_session(self) -> str | None:
        return self._current.shown_session if self._current else None

    def add_listener(self, listener: ControlListener) -> None:
        """Hear what happens from now on; a connection that already works is not announced."""
        self.listeners = (*self.listeners, listener)

    def remove_listener(self, listener: ControlListener) -> None:
        self.listeners = tuple(known for known in self.listeners if known is not listener)

    def start(self) -> None:
        """Begin to attach in the background and return at once."""
        self._thread = threading.Thread(target=self._supervise, name="tmux-keeper", daemon=True)
        self._thread.start()

    def wait_connected(self, *, timeout_s: float) -> None:
        """Wait for a working connection.

        Raises:
            BuilderError: The reason of the last failed try, or that there is none yet.
        """
        if not wait_for(lambda: self.is_connected, deadline_s=timeout_s, interval_s=0.01):
            raise self._failure or gone(f"tmux could not be reached within {timeout_s:g} s.")

    def submit(self, line: str) -> Future[list[str]]:
        current = self._current
        if current is not None:
            return current.submit(line)
        answer: Future[list[str]] = Future()
        answer.set_exception(gone("There is no connection to tmux at the moment."))
        return answer

    def command(self, line: str, *, timeout_s: float = COMMAND_S) -> list[str]:
        current = self._current
        if current is None:
            raise gone("There is no connection to tmux at the moment.")
        return current.command(line, timeout_s=timeout_s)

    def close(self) -> None:
        """Detach for good. Idempotent; never called by a listener."""
        self._closing.set()
        if self._relay is not None:
            self._relay.has_ended.set()
        if self._current is not None:
            self._current.close()
        if self._thread is not None:
            self._thread.join(2 * COMMAND_S)

    def _supervise(self) -> None:
        delay_s = FIRST_DELAY_S
        while not self._closing.is_set():
            if self._attach():
                delay_s = FIRST_DELAY_S
                self._live()
            self._closing.wait(delay_s)
            delay_s = min(2 * delay_s, LAST_DELAY_S)

    def _attach(self) -> bool:
        self._relay = _Relay(self)
        try:
            if self._before_attach is not None:
                self._before_attach()
            self._current = self._connect(self._relay)
        except BuilderError as error:
            self._failure = error
            logger.debug("tmux not reachable", extra={"code": error.code})
            return False
        self._failure = None
        return True

    def _live(self) -> None:
        """From attach to loss."""
        logger.info("tmux connected")
        self._tell(ControlListener.connected.__name__)
        if self._relay is not None and not self._closing.is_set():
            self._relay.has_ended.wait()
        lost, self._current = self._current, None
        if lost is not None:
            lost.close()
        if not self._closing.is_set():
            logger.warning("tmux connection lost")
        self._tell(ControlListener.lost.__name__)

    def _tell(self, event: str) -> None:
        """A listener's failure must not end the supervision."""
        for listener in self.listeners:
            try:
                getattr(listener, event)()
            except Exception:
                logger.exception("tmux listener failed")
