"""The private tmux server of one data root: found, started cleanly, kept and ended safely."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from core.clock import wait_for
from core.errors import MissingProgramError, StorageError
from core.files import make_private_folder, write_atomically
from core.paths import RuntimePaths
from tmux_bridge.tmux import processes, spawn
from tmux_bridge.tmux.clients import ClientRecords
from tmux_bridge.tmux.connection import ControlConnection, ControlListener
from tmux_bridge.tmux.errors import TmuxSilentError, gone, missing_tmux, silent
from tmux_bridge.tmux.lifecycle import LifeCycle
from tmux_bridge.tmux.settings import (
    HEIGHT,
    HUB,
    HUB_COMMAND,
    WIDTH,
    clean_environment,
    config_text,
)

logger = logging.getLogger(__name__)
MINIMUM = (3, 2)
SOCKET_LIMIT_BYTES = 107
START_S = 10.0
_ANSWER_S = 5.0


class TmuxServer:
    """One tmux server on its own socket in a 0700 folder, with a hub session that never ends.

    It survives the process that starts it. All methods may be called from any thread.
    """

    def __init__(
        self,
        runtime: RuntimePaths,
        program: str = "tmux",
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.runtime = runtime
        self._program = program
        self._environ = clean_environment(os.environ if environ is None else environ)
        self._clients = ClientRecords(runtime.tmux_clients)
        self._starting = threading.Lock()

    @property
    def socket_path(self) -> Path:
        return self.runtime.tmux_socket

    def require_tmux(self) -> str:
        """The program's absolute path.

        Raises:
            MissingProgramError: It is not installed, or older than 3.2.
        """
        program = shutil.which(self._program)
        if program is None:
            raise missing_tmux(self._program)
        said = _run([program, "-V"], self._environ).stdout.strip()
        found = re.search(r"(\d+)\.(\d+)", said)
        if found and (int(found[1]), int(found[2])) < MINIMUM:
            raise MissingProgramError(
                f"{said} is too old: version 3.2 or newer is needed.",
                remedy="apt-get install --only-upgrade tmux (macOS: brew upgrade tmux)",
                code="tmux_too_old",
            )
        return str(Path(program).absolute())

    def is_running(self) -> bool:
        """Whether something listens on the socket; says nothing about whether it answers."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_ANSWER_S)
            try:
                probe.connect(str(self.socket_path))
            except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                return False
            except OSError:
                # A full backlog or a path that is too long: the first is a server all the same.
                return len(os.fsencode(self.socket_path)) <= SOCKET_LIMIT_BYTES
            return True

    def pid(self) -> int | None:
        """The server's process; None where none runs.

        Raises:
            TmuxSilentError: It listens but does not answer.
        """
        if not self.is_running():
            return None
        done = _run(self._argv("display-message", "-p", "#{pid}"), self._environ)
        return int(done.stdout) if done.stdout.strip().isdigit() else None

    def ensure_running(self) -> int:
        """Find the server or start it, with its hub session; returns its process id.

        Raises:
            MissingProgramError: tmux is missing or too old, or the socket's path is too long.
            StorageError: The runtime folder cannot be private.
            TmuxGoneError: It does not start, or does not answer.
        """
        with self._starting:
            self._check_socket_path()
            self._prepare_folder()
            self._clients.reap_stale()
            if not self.is_running():
                self._start()
            elif not self._has_hub():
                self._new_hub()
            pid = self.pid()
        if pid is None:
            raise gone("The tmux server ended right after its start.")
        return pid

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """End the server and every session in it, control clients first.

        Close your own connections before. Nothing happens where no server runs.
        """
        self._clients.end_all()
        if not self.is_running():
            return
        pid = self._pid_or_none()
        mark = processes.start_mark(pid) if pid else None
        self._kill_politely(timeout_s)
        wait_for(lambda: not self.is_running(), deadline_s=timeout_s, interval_s=0.02)
        if self.is_running() and pid and mark:
            processes.end(pid, mark)
        self.socket_path.unlink(missing_ok=True)
        logger.info("tmux server stopped", extra={"pid": pid})

    def connect(
        self, listener: ControlListener | None = None, *, no_output: bool = False
    ) -> ControlConnection:
        """A control connection attached to the hub, which never starts a server by itself.

        Args:
            listener: Told about everything that happens, on the connection's reader thread.
            no_output: Do not send what panes print; for a process that shows no pane.

        Raises:
            TmuxGoneError: There is no server.
        """
        flags = "ignore-size,no-output" if no_output else "ignore-size"
        argv = self._argv("-C", "attach-session", "-f", flags, "-t", f"={HUB}")
        connection = ControlConnection(argv, self._environ, listener=listener)
        connection.start(on_process=self._clients.add, on_end=self._clients.remove)
        return connection

    def life_cycle(self) -> LifeCycle:
        """Rare commands through libtmux."""
        return LifeCycle(
            socket=self.socket_path,
            config=self.runtime.tmux_config,
            program=shutil.which(self._program) or self._program,
        )

    def _argv(self, *words: str) -> list[str]:
        head = [self._program, "-u", "-N", "-S", str(self.socket_path)]
        return [*head, "-f", str(self.runtime.tmux_config), *words]

    def _check_socket_path(self) -> None:
        length = len(os.fsencode(self.socket_path))
        if length > SOCKET_LIMIT_BYTES:
            raise MissingProgramError(
                f"The tmux socket's path has {length} bytes, {SOCKET_LIMIT_BYTES} are possible: "
                f"{self.socket_path}.",
                remedy="export TMUX_BUILDER_RUNTIME_DIR=/tmp/tmux-builder-$(id -u)",
                code="socket_path_too_long",
            )

    def _prepare_folder(self) -> None:
        parent = self.runtime.path.parent
        if not parent.exists():
            make_private_folder(parent)
        info = parent.stat()
        mode = stat.S_IMODE(info.st_mode)
        if info.st_uid not in (0, os.getuid()) or (mode & 0o022 and not mode & stat.S_ISVTX):
            raise StorageError(
                f"Another account could replace what lies in {parent}.",
                remedy="Choose a folder of your own: export TMUX_BUILDER_RUNTIME_DIR=...",
            )
        make_private_folder(self.runtime.path)

    def _start(self) -> None:
        """Start with retries: right after another server's end the first tries can fail."""
        program = self.require_tmux()
        write_atomically(self.runtime.tmux_config, config_text().encode())
        said: list[str] = []

        def has_started() -> bool:
            code, errors = spawn.run_clean(
                self._start_argv(program), self._environ, timeout_s=START_S
            )
            said.append(errors)
            return (code == 0 or "duplicate session" in errors) and self.is_running()

        if not wait_for(has_started, deadline_s=START_S, interval_s=0.1):
            raise gone(f"The tmux server does not start: {said[-1] or 'it ended at once'}.")
        logger.info("tmux server started", extra={"tries": len(said)})

    def _start_argv(self, program: str) -> list[str]:
        head = [program, "-u", "-S", str(self.socket_path), "-f", str(self.runtime.tmux_config)]
        return [*head, *_hub_words()]

    def _has_hub(self) -> bool:
        done = _run(self._argv("has-session", "-t", f"={HUB}"), self._environ)
        return done.returncode == 0

    def _new_hub(self) -> None:
        _run(self._argv(*_hub_words()), self._environ)
        logger.warning("tmux hub session rebuilt")

    def _pid_or_none(self) -> int | None:
        try:
            return self.pid()
        except TmuxSilentError:
            return None

    def _kill_politely(self, timeout_s: float) -> None:
        try:
            _run(self._argv("kill-server"), self._environ, timeout_s=timeout_s)
        except TmuxSilentError:
            logger.warning("tmux does not answer kill-server")


def _hub_words() -> list[str]:
    size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
    return ["new-session", "-d", "-s", HUB, "-c", "/", *size, "--", *HUB_COMMAND]


def _run(
    argv: list[str], environ: Mapping[str, str], *, timeout_s: float = _ANSWER_S
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, env=dict(environ), check=False, capture_output=True, text=True,
            encoding="utf-8", errors="replace", timeout=timeout_s, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise missing_tmux(argv[0]) from error
    except subprocess.TimeoutExpired as error:
        raise silent(argv[-1], timeout_s) from error
