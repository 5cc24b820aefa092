"""Talking to the local host server of a data root, which is started when it is needed."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from core.clock import Clock, wait_for
from core.errors import CancelledError, StorageError, TimedOutError
from core.files import make_private_folder
from core.hosts.local_server.control import (
    LONGEST_LINE_BYTES,
    PROTOCOL,
    Answer,
    Command,
    Ping,
    Shutdown,
    error_of,
)
from core.paths import CHECKOUT, DataRoot, RuntimePaths

START_DEADLINE_S = 20.0
ANSWER_DEADLINE_S = 40.0
PING_DEADLINE_S = 5.0
RELAUNCH_AFTER_S = 1.0
LONGEST_SOCKET_PATH = 100
_SLICE_S = 0.1
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")

logger = logging.getLogger(__name__)


class ServerGoneError(OSError):
    """There is no server, or it went away before it answered."""


class LocalServer:
    """One data root's server, seen from any other process."""

    def __init__(self, root: DataRoot, runtime: RuntimePaths, *, python: Path, clock: Clock):
        self._root = root
        self._runtime = runtime
        self._python = python
        self._clock = clock

    def is_running(self) -> bool:
        return self._ping() is not None

    def pid(self) -> int | None:
        answer = self._ping()
        return None if answer is None else answer.pid

    def ensure(self) -> int:
        """Start the server unless it runs; the pid of the one that answers.

        Raises:
            StorageError: The runtime folder cannot be used.
            TimedOutError: It did not answer in time; its log says why.
        """
        answer = self._ping()
        if answer is not None and answer.protocol == PROTOCOL:
            return answer.pid
        self._require_usable_folder()
        if answer is not None:
            self.shutdown()
        self._launch()
        ends = self._clock.monotonic() + START_DEADLINE_S
        relaunch_at = self._clock.monotonic() + RELAUNCH_AFTER_S
        while (answer := self._ping()) is None:
            if self._clock.monotonic() > ends:
                raise self._never_answered()
            if self._clock.monotonic() > relaunch_at:
                self._launch()
                relaunch_at = self._clock.monotonic() + RELAUNCH_AFTER_S
            self._clock.sleep(0.02)
        return answer.pid

    def _require_usable_folder(self) -> None:
        make_private_folder(self._runtime.path)
        if len(os.fsencode(self._runtime.host_socket)) > LONGEST_SOCKET_PATH:
            raise StorageError(
                f"The path {self._runtime.host_socket} is too long for a socket.",
                remedy="Set TMUX_BUILDER_RUNTIME_DIR to a short path such as /tmp/tb.",
            )

    def call(self, command: Command, *, cancelled: Callable[[], bool] = lambda: False) -> Answer:
        """Ask the server, started if need be; commands are repeatable, so a lost one is resent.

        Raises:
            BuilderError: What the server refused, as its own error.
            CancelledError: `cancelled` became true; the server gives the command up.
            TimedOutError: No answer in time.
        """
        for _attempt in range(3):
            self.ensure()
            try:
                return self.ask(command, cancelled=cancelled)
            except ServerGoneError:
                logger.warning("local host server went away, asked again")
        raise self._never_answered()

    def ask(
        self,
        command: Command,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        deadline_s: float = ANSWER_DEADLINE_S,
    ) -> Answer:
        """Ask the server that runs.

        Raises:
            ServerGoneError: None runs, or it died over the question.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_SLICE_S)
                connection.connect(str(self._runtime.host_socket))
                connection.sendall(msgspec.json.encode(command) + b"\n")
                line = self._line(connection, cancelled, deadline_s)
        except TimeoutError as error:
            raise self._never_answered() from error
        except OSError as error:
            raise ServerGoneError(str(error)) from error
        answer = msgspec.json.decode(line, type=Answer)
        if answer.problem is not None:
            raise error_of(answer.problem)
        return answer

    def shutdown(self) -> None:
        """End the server and wait until it is gone; nothing where none runs."""
        try:
            pid = self.ask(Shutdown()).pid
        except (ServerGoneError, msgspec.DecodeError):
            return
        if not wait_for(self._is_unlocked, deadline_s=15.0, clock=self._clock):
            raise TimedOutError(
                f"The local host server {pid} does not end.", remedy=f"kill -9 {pid}"
            )

    def _line(
        self, connection: socket.socket, cancelled: Callable[[], bool], deadline_s: float
    ) -> bytes:
        received = b""
        ends = self._clock.monotonic() + deadline_s
        while not received.endswith(b"\n"):
            try:
                chunk = connection.recv(LONGEST_LINE_BYTES)
            except TimeoutError:
                if cancelled():
                    raise CancelledError(
                        "The publish was cancelled; what was served is served on.",
                        remedy="Deploy again when you want the new release.",
                    ) from None
                if self._clock.monotonic() > ends:
                    raise
                continue
            if not chunk:
                raise ServerGoneError("closed without an answer")
            received += chunk
        return received

    def _ping(self) -> Answer | None:
        try:
            return self.ask(Ping(), deadline_s=PING_DEADLINE_S)
        except (ServerGoneError, TimedOutError):
            return None

    def _launch(self) -> None:
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        command = [
            str(self._python), "-m", "core.hosts.local_server",
            "--data-dir", str(self._root.path), "--runtime", str(self._runtime.path),
        ]  # fmt: skip
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(self._runtime.host_log, flags, 0o600)
        try:
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    command, check=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    cwd=CHECKOUT, env=environment, timeout=START_DEADLINE_S,
                )  # fmt: skip
        finally:
            os.close(log)

    def _is_unlocked(self) -> bool:
        """Whether nobody holds the server's lock; a dead pid may linger, a lock does not."""
        try:
            handle = os.open(self._runtime.host_lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(handle)

    def _never_answered(self) -> TimedOutError:
        return TimedOutError(
            "The local host server does not answer.",
            remedy=f"Read {self._runtime.host_log}, then deploy again.",
        )
