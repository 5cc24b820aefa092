"""A real tmux server of its own per test, ended and unlinked also when the test fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from core.clock import wait_for
from core.paths import RuntimePaths
from tmux_bridge.tmux.connection import ControlConnection
from tmux_bridge.tmux.panes import PaneInfo, Panes
from tmux_bridge.tmux.server import TmuxServer

T = TypeVar("T")

READER = """
import os, sys, termios, tty
tty.setraw(0)
os.write(1, b"\\x1b[?2004h" + b"READY\\r\\n")
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
while chunk := os.read(0, 65536):
    os.write(log, chunk)
"""


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A short path: a socket's has at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="tt-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def private_server(environ: Mapping[str, str] | None = None) -> Iterator[TmuxServer]:
    with private_folder() as folder:
        server = TmuxServer(RuntimePaths(folder / "r"), environ=environ)
        try:
            server.ensure_running()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def connected(server: TmuxServer, *, no_output: bool = False) -> Iterator[ControlConnection]:
    connection = server.connect(no_output=no_output)
    try:
        yield connection
    finally:
        connection.close()


def eventually(probe: Callable[[], T | None], what: str, deadline_s: float = 20) -> T:
    answer = wait_for(probe, deadline_s=deadline_s, interval_s=0.02)
    assert answer, f"never became true: {what}"
    return answer


def tmux(server: TmuxServer, *words: str) -> bytes:
    """What the plain tmux program prints, for comparing with what we read."""
    done = subprocess.run(
        ["tmux", "-u", "-N", "-S", str(server.socket_path), *words],
        check=True,
        capture_output=True,
        timeout=20,
    )
    return done.stdout


def python_pane(panes: Panes, name: str, code: str, *arguments: str) -> PaneInfo:
    """A pane that runs Python code with arguments."""
    return panes.create(name, [sys.executable, "-c", code, *arguments], folder=Path("/tmp"))


def raw_reader(panes: Panes, name: str, log: Path) -> PaneInfo:
    """A pane that logs every byte it gets, with bracketed paste on, like a composer."""
    pane = python_pane(panes, name, READER, str(log))
    eventually(lambda: screen_has(panes, pane, "READY"), f"{name} shows READY")
    return pane


def screen_has(panes: Panes, pane: PaneInfo, text: str) -> bool:
    return any(text in line for line in panes.capture(pane.pane_id, colours=False))


def log_holds(log: Path, wanted: bytes) -> bool:
    return log.exists() and wanted in log.read_bytes()


def kill_server(server: TmuxServer) -> None:
    pid = server.pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not server.is_running(), "the killed server's socket refuses")
