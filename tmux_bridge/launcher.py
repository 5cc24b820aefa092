"""Finding, waking and starting the one worker of a data root."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from core.clock import wait_for
from core.errors import ConflictError, MissingProgramError
from core.files import make_private_folder
from core.paths import DataRoot, RuntimePaths

SOCKET_PATH_LIMIT = 107
START_DEADLINE_S = 60.0
"""A first start reads half a gigabyte from a cold disk; one that fails is noticed at once."""
FAILURES_LIMIT = 2
"""So many workers in a row that cannot work: the next would not either."""

_HARMLESS = re.compile(r"\d{4}-\d\d-\d\d \S+ (DEBUG|INFO) ")
"""How a line of the worker's log begins that tells of no fault."""


class WorkerLauncher:
    """Wakes the worker by a datagram; starts one, detached, where nobody answers."""

    def __init__(self, root: DataRoot, runtime: RuntimePaths, config: Path | None = None) -> None:
        self._root = root
        self._runtime = runtime
        self._config = config
        self._started: subprocess.Popen[bytes] | None = None
        self._failures = 0

    def wake(self) -> None:
        """Tell the worker to look into the store now; start one where none runs.

        One that holds the lock and does not listen is starting, and then looks by itself.

        Raises:
            MissingProgramError: The runtime folder's path is too long for a socket.
            ConflictError: Those that were started ended by themselves, one after the other.
        """
        prepare_runtime(self._runtime)
        if self._knock() or self.running_pid() is not None or self._is_starting():
            return
        self._failures = self._failures + 1 if self._has_failed() else 0
        if self._failures >= FAILURES_LIMIT:
            self._started, self._failures = None, 0
            raise self._down()
        self._spawn()

    def ensure_running(self) -> int:
        """The pid of the running worker, after starting it where needed.

        Raises:
            ConflictError: It does not come up; its log file says why.
        """
        prepare_runtime(self._runtime)
        self._started = None
        wait_for(self._is_decided, deadline_s=START_DEADLINE_S)
        pid = self._answering_pid()
        if pid is None:
            raise self._down()
        return pid

    def running_pid(self) -> int | None:
        """The pid of a living worker, or None."""
        return holder(self._runtime.worker_lock)

    def _answering_pid(self) -> int | None:
        return self.running_pid() if self._knock() else None

    def _knock(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as knocker:
            knocker.setblocking(False)
            try:
                knocker.sendto(b"wake", str(self._runtime.worker_socket))
            except BlockingIOError:
                return True
            except OSError:
                return False
        return True

    def _is_decided(self) -> bool:
        """Whether one answers, or ours has failed. One that was leaving may have refused ours."""
        if self._answering_pid() is not None or self._has_failed():
            return True
        if not self._is_starting() and self.running_pid() is None:
            self._spawn()
        return False

    def _is_starting(self) -> bool:
        return self._started is not None and self._started.poll() is None

    def _has_failed(self) -> bool:
        """Whether the one we started ended with an error of its own; a kill is none."""
        return self._started is not None and (self._started.poll() or 0) > 0

    def _down(self) -> ConflictError:
        return ConflictError(
            f"The worker does not come up{self._last_words()}.",
            remedy=f"See {self._runtime.worker_log}, or run: tmux-builder worker --foreground",
            code="worker_down",
        )

    def _last_words(self) -> str:
        """What a worker that ended said: its error is one line, its remedy the next.

        Its other threads may log something harmless after that.
        """
        with suppress(OSError):
            lines = self._runtime.worker_log.read_text(errors="replace")[-4000:].splitlines()
            told = [line.strip() for line in lines if not _HARMLESS.match(line)]
            said = [line for line in told if line and not line.startswith("fix: ")]
            if said:
                return f": {said[-1][:300].rstrip('.')}"
        return ""

    def _spawn(self) -> None:
        command = [sys.executable, "-m", "tmux_bridge.worker", "--data-dir", str(self._root.path)]
        command += ["--settings-folder", _standing()]
        if self._config is not None:
            command += ["--config", str(self._config)]
        with open_log(self._runtime.worker_log) as log:
            self._started = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                cwd="/", env=_worker_environment(self._runtime),
            )  # fmt: skip


def _standing() -> str:
    """The folder whose settings file counts; the root where ours was deleted under us."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "/"


def _worker_environment(runtime: RuntimePaths) -> dict[str, str]:
    """The operator's environment, so that logins reach Claude; the runtime folder is pinned."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"TMUX", "TMUX_PANE"}
    }
    environment["TMUX_BUILDER_RUNTIME_DIR"] = str(runtime.path.parent)
    checkout = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(
        [checkout, *filter(None, [environment.get("PYTHONPATH")])]
    )
    return environment


def prepare_runtime(runtime: RuntimePaths) -> None:
    """Make the private runtime folder and refuse one whose sockets cannot be named.

    Raises:
        MissingProgramError: A socket path would be longer than the system allows.
        StorageError: The folder belongs to another account or is open to others.
    """
    longest = max(len(os.fsencode(path)) for path in (runtime.tmux_socket, runtime.worker_socket))
    if longest > SOCKET_PATH_LIMIT:
        raise MissingProgramError(
            f"The runtime folder {runtime.path} is too long for a socket ({longest} bytes).",
            remedy="export TMUX_BUILDER_RUNTIME_DIR=/tmp/tmux-builder",
        )
    make_private_folder(runtime.path.parent)
    make_private_folder(runtime.path)


class FileLock:
    """An exclusive lock for the life of the process, with the holder's pid inside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take it without waiting; whether it is ours now."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


def holder(path: Path) -> int | None:
    """The pid inside a lock file that a living process holds, else None."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        text = os.pread(handle, 32, 0).decode("ascii", "replace")
        return int(text) if text.isdigit() else None
    finally:
        os.close(handle)


def open_log(path: Path) -> BinaryIO:
    """Append to a private log file."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
