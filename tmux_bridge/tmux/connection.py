"""One control-mode connection to the tmux server: all frequent work, no fork.

Threads: any thread submits, one reader thread resolves the futures and calls the listener. Every
submission is followed by a secret fence (see the parser), so an answer can never be attributed
to another question, whatever panes print and however many replies a line gives.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import select
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Protocol

from core.clock import wait_for
from tmux_bridge.tmux.errors import (
    TmuxCommandError,
    TmuxGoneError,
    gone,
    missing_tmux,
    silent,
)
from tmux_bridge.tmux.parser import (
    Answer,
    ControlParser,
    Event,
    Notification,
    Reply,
    pane_of,
    subscription_of,
)

logger = logging.getLogger(__name__)
COMMAND_S = 5.0
_CHUNK_BYTES = 65536
_LINE = re.compile(r"[a-z][^\n\r\0]*")
_OUTPUT = frozenset({"output", "extended-output"})
_SESSIONS = frozenset(
    {"sessions-changed", "unlinked-window-add", "unlinked-window-close", "window-add",
     "window-close", "session-renamed", "layout-change", "client-detached"}
)  # fmt: skip


class ControlListener:
    """What happens on a connection; every method runs on its reader thread.

    They must be quick and must not wait for a command of the same connection.
    """

    def connected(self) -> None:
        """A connection works: read again whatever you remember about the server."""

    def lost(self) -> None:
        """The connection ended; pending commands have failed already."""

    def output(self, pane_id: str) -> None:
        """A pane of the shown session printed something: a dirty flag, often and without rest."""

    def subscription(self, name: str, text: str) -> None:
        """A subscribed format has a new value."""

    def sessions_changed(self) -> None:
        """Sessions or windows came, went or changed size somewhere on the server."""


class ControlChannel(Protocol):
    """Something that runs tmux commands: one connection, or one that heals itself."""

    @property
    def shown_session(self) -> str | None:
        """The `$N` of the session whose output arrives here."""

    def submit(self, line: str) -> Future[list[str]]: ...

    def command(self, line: str, *, timeout_s: float = COMMAND_S) -> list[str]: ...


class ControlConnection:
    """One life of a connection: once lost it stays lost. Make it with `TmuxServer.connect`."""

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        *,
        listener: ControlListener | None = None,
    ) -> None:
        self._argv = list(argv)
        self._environ = dict(environ)
        self._listener = listener or ControlListener()
        self._fence = f"fence-{secrets.token_hex(16)}"
        self._parser = ControlParser(self._fence.encode())
        self._pending: deque[Future[list[str]]] = deque()
        self._writing = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._on_end: Callable[[int], None] | None = None
        self._is_lost = False
        self.shown_session: str | None = None

    @property
    def pid(self) -> int | None:
        """The process of the control client."""
        return self._process.pid if self._process else None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and not self._is_lost

    def start(
        self,
        *,
        on_process: Callable[[int], None] | None = None,
        on_end: Callable[[int], None] | None = None,
        timeout_s: float = COMMAND_S,
    ) -> None:
        """Attach and wait until commands are answered.

        Raises:
            TmuxGoneError: There is no server, or it does not answer.
        """
        self._process = self._spawn()
        self._on_end = on_end
        if on_process is not None:
            on_process(self._process.pid)
        self._reader = threading.Thread(target=self._read, name="tmux-reader", daemon=True)
        self._reader.start()
        try:
            self.command("display-message -p ready", timeout_s=timeout_s)
            self._await_attached(timeout_s)
        except TmuxGoneError:
            self.close()
            raise
        self._tell(self._listener.connected)

    def _await_attached(self, timeout_s: float) -> None:
        """tmux may answer before it has attached; what needs a client is refused until then."""
        if not wait_for(
            lambda: self._is_lost or self.shown_session is not None,
            deadline_s=timeout_s, interval_s=0.002,
        ):  # fmt: skip
            raise silent("attach-session", timeout_s)
        if self._is_lost:
            raise gone("The connection to tmux was lost while it attached.")

    def _spawn(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                self._argv, env=self._environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise missing_tmux(self._argv[0]) from error
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
        return process

    def command(self, line: str, *, timeout_s: float = COMMAND_S) -> list[str]:
        """Run one line and wait for what it prints. Never call it on the reader thread.

        Raises:
            TmuxCommandError: tmux refused it; with several commands, those before it were run.
            TmuxSilentError: No answer in time. It may still be executed.
            TmuxGoneError: The connection is lost.
        """
        if threading.current_thread() is self._reader:
            message = "a listener waited for a command on the thread that would answer it"
            raise RuntimeError(message)
        answer = self.submit(line)
        try:
            return answer.result(timeout_s)
        except FutureTimeoutError as error:
            raise silent(line.partition(" ")[0], timeout_s) from error

    def submit(self, line: str) -> Future[list[str]]:
        """Run one line; the future holds what it prints or fails like `command`.

        The line holds one command, or several joined by ` ; ` of which none prints pane text. A
        command that waits (`wait-for`, `run-shell` without `-b`) would hold up everybody.
        """
        if not _LINE.fullmatch(line):
            message = f"not a line of tmux commands: {line[:40]!r}"
            raise ValueError(message)
        answer: Future[list[str]] = Future()
        answer.set_running_or_notify_cancel()
        sent = f"{line}\ndisplay-message -p {self._fence}\n".encode()
        with self._writing:
            if self._is_lost or self._process is None:
                answer.set_exception(gone("The connection to tmux is lost."))
                return answer
            self._pending.append(answer)
            if not self._write(sent):
                self._process.kill()
        return answer

    def _write(self, content: bytes) -> bool:
        """Write all of it; False where the connection has to be given up."""
        stdin = self._process.stdin if self._process else None
        if stdin is None:
            return False
        left = memoryview(content)
        end = time.monotonic() + COMMAND_S
        while left:
            try:
                left = left[os.write(stdin.fileno(), left) :]
            except BlockingIOError:
                if not self._wait_writable(stdin.fileno(), end - time.monotonic()):
                    return False
            except (OSError, ValueError):
                return False
        return True

    @staticmethod
    def _wait_writable(fd: int, timeout_s: float) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        return bool(timeout_s > 0 and poll.poll(timeout_s * 1000))

    def close(self, *, grace_s: float = 1.0) -> None:
        """Detach: end of input first, then SIGTERM, then SIGKILL. Idempotent."""
        process = self._process
        if process is None:
            return
        with self._writing, contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        for last_resort in (process.terminate, process.kill, None):
            try:
                process.wait(grace_s)
                break
            except subprocess.TimeoutExpired:
                if last_resort is not None:
                    last_resort()
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(grace_s)

    def _read(self) -> None:
        stdout = self._process.stdout if self._process else None
        if stdout is None:
            return
        try:
            while chunk := os.read(stdout.fileno(), _CHUNK_BYTES):
                for event in self._parser.feed(chunk):
                    self._handle(event)
        except OSError:
            logger.warning("tmux connection broken", exc_info=True)
        finally:
            self._end()

    def _end(self) -> None:
        with self._writing:
            self._is_lost = True
            pending, self._pending = self._pending, deque()
        for answer in pending:
            with contextlib.suppress(InvalidStateError):
                answer.set_exception(gone("The connection to tmux was lost during a command."))
        if self._process is not None:
            if self._process.stdout is not None:
                self._process.stdout.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(COMMAND_S)
            if self._on_end is not None:
                self._on_end(self._process.pid)
        self._tell(self._listener.lost)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Answer):
            self._resolve(event)
        elif event.name in _OUTPUT:
            self._tell(self._listener.output, pane_of(event))
        elif event.name == "subscription-changed":
            self._tell(self._listener.subscription, *subscription_of(event))
        else:
            self._note(event)

    def _note(self, event: Notification) -> None:
        if event.name == "session-changed":
            self.shown_session = event.rest.partition(b" ")[0].decode("ascii", "replace")
        elif event.name in _SESSIONS:
            self._tell(self._listener.sessions_changed)

    def _resolve(self, event: Answer) -> None:
        if not self._pending:
            logger.error("tmux answered a question nobody asked")
            return
        answer = self._pending.popleft()
        refused = next((reply for reply in event.replies if reply.is_error), None)
        if refused is not None:
            answer.set_exception(_refused(refused))
            return
        printed = (line for reply in event.replies for line in reply.lines)
        answer.set_result([line.decode("utf-8", "replace") for line in printed])

    def _tell(self, method: Callable[..., None], *arguments: str) -> None:
        """A listener's failure must not end the reader, on which every command waits."""
        try:
            method(*arguments)
        except Exception:
            logger.exception("tmux listener failed")


def _refused(reply: Reply) -> TmuxCommandError:
    said = " ".join(line.decode("utf-8", "replace") for line in reply.lines)
    return TmuxCommandError(
        f"tmux refused a command: {said or 'no reason given'}.",
        remedy="Look whether the session still runs: tmux-builder session list.",
    )
