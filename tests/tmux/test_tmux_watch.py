"""Births, deaths and the server's end, as one who supervises them hears it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tmux.private_tmux import eventually, kill_server, private_server
from tmux_bridge.tmux.panes import PaneInfo, Panes
from tmux_bridge.tmux.reconnecting import ReconnectingConnection
from tmux_bridge.tmux.server import TmuxServer
from tmux_bridge.tmux.watch import PaneEvents, PaneWatch

pytestmark = pytest.mark.tmux
TMP = Path("/tmp")


class Diary(PaneEvents):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def appeared(self, pane: PaneInfo) -> None:
        self.lines.append(f"+{pane.session_name}")

    def died(self, pane: PaneInfo) -> None:
        self.lines.append(f"!{pane.session_name}:{pane.dead_status or pane.dead_signal}")

    def vanished(self, pane: PaneInfo) -> None:
        self.lines.append(f"-{pane.session_name}")

    def server_gone(self, panes: tuple[PaneInfo, ...]) -> None:
        self.lines.append("gone:" + ",".join(pane.session_name for pane in panes))


class Scene:
    """A server, a lasting connection and a watch with its diary."""

    def __init__(self, server: TmuxServer) -> None:
        self.server = server
        self.connection = ReconnectingConnection(
            lambda listener: server.connect(listener, no_output=True)
        )
        self.diary = Diary()
        self.watch = PaneWatch(self.connection, server=server, events=self.diary)
        self.panes = Panes(self.connection, server)

    def hears(self, *lines: str) -> None:
        eventually(lambda: self.diary.lines == list(lines), f"{lines}, heard {self.diary.lines}")

    def create(self, name: str, *argv: str) -> PaneInfo:
        return self.panes.create(name, argv or ["cat"], folder=TMP)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with private_server() as server:
        scene = Scene(server)
        scene.watch.start()
        scene.connection.start()
        try:
            scene.connection.wait_connected(timeout_s=10)
            yield scene
        finally:
            scene.watch.close()
            scene.connection.close()


def test_birth_death_and_disappearance_are_heard_in_order(scene: Scene) -> None:
    pane = scene.create("a")
    scene.hears("+a")
    os.kill(pane.pane_pid, signal.SIGKILL)
    scene.hears("+a", "!a:9")
    scene.panes.kill("a")
    scene.hears("+a", "!a:9", "-a")
    assert scene.watch.known == ()


def test_a_pane_that_was_dead_before_it_was_seen_is_both_born_and_dead(scene: Scene) -> None:
    scene.create("b", "sh", "-c", "exit 4")
    scene.hears("+b", "!b:4")


def test_the_cause_of_a_death_is_known_even_where_tmux_missed_it(scene: Scene) -> None:
    heard: list[str] = []
    for number in range(12):
        scene.create(f"n{number}", sys.executable, "-S", "-c", "raise SystemExit(7)")
        heard += [f"+n{number}", f"!n{number}:7"]
        scene.hears(*heard)


def test_a_program_started_again_in_its_pane_appears_again(scene: Scene) -> None:
    pane = scene.create("c")
    scene.hears("+c")
    scene.connection.command(f"respawn-pane -k -t {pane.pane_id} cat")
    scene.hears("+c", "+c")


def test_the_end_of_the_server_is_heard_once_with_all_it_took(scene: Scene) -> None:
    scene.create("d")
    scene.create("e")
    scene.hears("+d", "+e")
    kill_server(scene.server)
    scene.hears("+d", "+e", "gone:d,e")
    scene.server.ensure_running()
    scene.connection.wait_connected(timeout_s=10)
    scene.create("d")
    scene.hears("+d", "+e", "gone:d,e", "+d")


def test_a_lost_control_client_is_not_a_lost_server(scene: Scene) -> None:
    scene.create("f")
    scene.hears("+f")
    current = scene.connection._current
    assert current is not None
    assert current.pid
    os.kill(current.pid, signal.SIGKILL)
    eventually(lambda: not current.is_alive, "the client is gone")
    scene.connection.wait_connected(timeout_s=10)
    pane = scene.create("g")
    scene.hears("+f", "+g")
    os.kill(pane.pane_pid, signal.SIGKILL)
    scene.hears("+f", "+g", "!g:9")


def test_a_receiver_that_fails_does_not_end_the_watch(scene: Scene) -> None:
    heard = scene.diary.lines

    def fail(pane: PaneInfo) -> None:
        heard.append(f"failed {pane.session_name}")
        raise RuntimeError("broken receiver")

    scene.diary.appeared = fail  # type: ignore[method-assign]
    scene.create("h")
    scene.hears("failed h")
    scene.panes.kill("h")
    scene.hears("failed h", "-h")
