"""A person's terminal on a session: the real tmux attach in a pseudo terminal, and nested."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import UsageError
from core.paths import RuntimePaths
from tests.tmux.private_tmux import connected, eventually, private_server, screen_has, tmux
from tmux_bridge.tmux.attach import (
    attach_argv,
    attach_environment,
    inside_tmux,
    is_inside_own,
    nested_attach_argv,
    restore_argv,
)
from tmux_bridge.tmux.panes import PaneInfo, Panes
from tmux_bridge.tmux.server import TmuxServer

pytestmark = pytest.mark.tmux
TMP = Path("/tmp")
PREFIX_D = b"\x02d"


class Terminal:
    """A program in a pseudo terminal of 90x30, drawn into `seen`."""

    def __init__(self, argv: list[str]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        environ = attach_environment({**os.environ, "TERM": "xterm-256color", "TMUX": "/x,1,0"})
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True
        )
        os.close(slave)
        self.seen = b""

    def shows(self, text: bytes) -> bool:
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                break
        return text in self.seen

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ended(self) -> bool:
        self.shows(b"")
        return self.process.poll() is not None


@contextlib.contextmanager
def terminal(argv: list[str]) -> Iterator[Terminal]:
    opened = Terminal(argv)
    try:
        yield opened
    finally:
        opened.process.kill()
        opened.process.wait(10)
        os.close(opened.master)


@pytest.fixture
def server() -> Iterator[TmuxServer]:
    with private_server() as started:
        yield started


@pytest.fixture
def panes(server: TmuxServer) -> Iterator[Panes]:
    with connected(server) as connection:
        yield Panes(connection, server)


def sized(panes: Panes, name: str) -> tuple[int, int]:
    pane = panes.find(name)
    assert pane is not None
    return pane.width, pane.height


def attached(server: TmuxServer, name: str, *, read_only: bool = False) -> list[str]:
    return attach_argv(server.runtime, name, read_only=read_only)


def test_attach_shows_the_session_takes_the_terminals_size_and_leads_back(
    server: TmuxServer, panes: Panes
) -> None:
    pane = panes.create("site", ["cat"], folder=TMP)
    with terminal(attached(server, "site")) as screen:
        eventually(lambda: screen.shows(b"prefix d: back to tmux-builder"), "the status line")
        assert sized(panes, "site") == (90, 29)
        screen.type(b"typed here\r")
        eventually(lambda: screen_has(panes, pane, "typed here"), "the text in the pane")
        screen.type(PREFIX_D)
        eventually(screen.ended, "back from attach")
        assert screen.process.returncode == 0
    panes.resize_back("site")
    assert sized(panes, "site") == (160, 48)


def test_without_a_connection_the_size_is_given_back_by_a_command(
    server: TmuxServer, panes: Panes
) -> None:
    panes.create("site", ["cat"], folder=TMP)
    with terminal(attached(server, "site")) as screen:
        eventually(lambda: sized(panes, "site") == (90, 29), "the terminal's size")
        screen.type(PREFIX_D)
        eventually(screen.ended, "back from attach")
    subprocess.run(restore_argv(server.runtime, "site"), check=True, timeout=10)
    assert sized(panes, "site") == (160, 48)


def test_a_reader_changes_neither_text_nor_size(server: TmuxServer, panes: Panes) -> None:
    pane = panes.create("site", ["cat"], folder=TMP)
    with terminal(attached(server, "site", read_only=True)) as screen:
        eventually(lambda: screen.shows(b"back to tmux-builder"), "the status line")
        screen.type(b"nope\r")
        panes.press(pane.pane_id, "1")
        eventually(lambda: screen_has(panes, pane, "1"), "the key pressed by us")
        assert not screen_has(panes, pane, "nope")
        assert sized(panes, "site") == (160, 48)
        screen.type(PREFIX_D)
        eventually(screen.ended, "a reader can leave")


def test_whoever_looks_at_a_killed_session_comes_back_and_sees_no_other(
    server: TmuxServer, panes: Panes
) -> None:
    panes.create("other", ["cat"], folder=TMP)
    panes.create("site", ["cat"], folder=TMP)
    with terminal(attached(server, "site")) as screen:
        eventually(lambda: screen.shows(b"back to tmux-builder"), "the status line")
        panes.kill("site")
        eventually(screen.ended, "back from attach")
        assert screen.process.returncode == 0
        assert b"other" not in screen.seen


def test_attaching_to_a_missing_session_or_server_fails_and_starts_nothing(
    server: TmuxServer, panes: Panes
) -> None:
    panes.create("site", ["cat"], folder=TMP)
    with terminal(attached(server, "sit")) as screen:
        eventually(screen.ended, "the end")
        assert screen.process.returncode != 0
    nowhere = RuntimePaths(server.runtime.path / "nowhere")
    with terminal(attach_argv(nowhere, "site", read_only=False)) as screen:
        eventually(screen.ended, "the end")
        assert screen.process.returncode != 0
    assert not nowhere.path.exists()


def test_names_are_checked_before_they_reach_a_command(server: TmuxServer) -> None:
    for name in ("a;kill-server", "#(id)", ""):
        with pytest.raises(UsageError):
            attach_argv(server.runtime, name, read_only=False)


def test_inside_another_tmux_a_new_window_attaches(server: TmuxServer, panes: Panes) -> None:
    panes.create("site", ["cat"], folder=TMP)
    with private_server() as outer_server, connected(outer_server) as outer:
        outer_panes = Panes(outer, outer_server)
        environ = {"TMUX": f"{outer_server.socket_path},1,0"}
        assert inside_tmux(environ)
        assert not is_inside_own(server.runtime, environ)
        argv = nested_attach_argv(server.runtime, "site", environ=environ, read_only=False)
        subprocess.run(argv, check=True, timeout=10, env={**os.environ, **environ})

        def inner() -> PaneInfo | None:
            found = [pane for pane in outer_panes.list() if pane.pane_id != "%0"]
            return next(
                (p for p in found if screen_has(outer_panes, p, "back to tmux-builder")), None
            )

        window = eventually(inner, "the session inside the outer tmux")
        tmux(outer_server, "send-keys", "-t", window.pane_id, "C-b", "d")
        eventually(lambda: inner() is None, "left the inner session")


def test_inside_our_own_tmux_the_client_switches(server: TmuxServer, panes: Panes) -> None:
    panes.create("site", ["cat"], folder=TMP)
    environ = {"TMUX": f"{server.socket_path},{server.pid()},0"}
    assert is_inside_own(server.runtime, environ)
    argv = nested_attach_argv(server.runtime, "site", environ=environ, read_only=False)
    with terminal(attached(server, "_hub")) as screen:
        eventually(lambda: screen.shows(b"_hub"), "the hub")
        subprocess.run(argv, check=True, timeout=10, env={**os.environ, **environ})
        eventually(lambda: screen.shows(b" site "), "the other session")


def test_outside_of_tmux_nothing_is_nested(server: TmuxServer) -> None:
    assert not inside_tmux({})
    assert not inside_tmux({"TMUX": ""})
    assert not is_inside_own(server.runtime, {})
    cleaned = attach_environment({"TMUX": "x", "TMUX_PANE": "%1", "TERM": "t"})
    assert cleaned == {"TERM": "t"}
