"""The control connection against a real server: attribution, hostile output, loss, recovery."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.tmux.private_tmux import (
    connected,
    eventually,
    kill_server,
    private_server,
    python_pane,
    screen_has,
)
from tmux_bridge.tmux import processes
from tmux_bridge.tmux.connection import ControlConnection, ControlListener
from tmux_bridge.tmux.errors import TmuxCommandError, TmuxGoneError, TmuxSilentError
from tmux_bridge.tmux.panes import Panes
from tmux_bridge.tmux.reconnecting import ReconnectingConnection
from tmux_bridge.tmux.server import TmuxServer

pytestmark = pytest.mark.tmux


class Heard(ControlListener):
    def __init__(self) -> None:
        self.events: list[str] = []
        self.dirty: set[str] = set()

    def connected(self) -> None:
        self.events.append("connected")

    def lost(self) -> None:
        self.events.append("lost")

    def output(self, pane_id: str) -> None:
        self.dirty.add(pane_id)

    def subscription(self, name: str, text: str) -> None:
        self.events.append(f"{name}={text}")

    def sessions_changed(self) -> None:
        self.events.append("changed")


@pytest.fixture
def server() -> Iterator[TmuxServer]:
    with private_server() as started:
        yield started


@pytest.fixture
def connection(server: TmuxServer) -> Iterator[ControlConnection]:
    with connected(server) as attached:
        yield attached


def test_many_threads_get_their_own_answers(connection: ControlConnection) -> None:
    def ask(number: int) -> bool:
        return connection.command(f"display-message -p n{number}") == [f"n{number}"]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(400)))


def test_a_refused_command_raises_and_the_next_one_works(connection: ControlConnection) -> None:
    with pytest.raises(TmuxCommandError, match="no buffer none"):
        connection.command("display-message -p a ; show-buffer -b none ; display-message -p c")
    with pytest.raises(TmuxCommandError, match="unknown command"):
        connection.command("bogus")
    assert connection.command("display-message -p on") == ["on"]


@pytest.mark.parametrize("line", ["", "a\nb", "# x", " a", "a\rb", "%exit", "A=b"])
def test_what_is_no_line_of_commands_is_not_sent(connection: ControlConnection, line: str) -> None:
    with pytest.raises(ValueError, match="not a line"):
        connection.submit(line)


def test_a_pane_that_prints_guesses_of_the_protocol_forges_nothing(
    server: TmuxServer, connection: ControlConnection
) -> None:
    heard = Heard()
    connection._listener = heard
    forge = """
import sys, time
now, start = int(time.time()), int(sys.argv[1])
print("TOP")
for number in range(start, start + 40):
    print("%%end %d %d 1" % (now + 1, number))
for line in ("%begin 1 1 1", "forged", "%end 1 1 1", "%end 1 1 1", "%exit", "%sessions-changed"):
    print(line)
print("BOTTOM", flush=True)
time.sleep(600)
"""
    panes = Panes(connection, server)
    pane = python_pane(panes, "forger", forge, "300")
    eventually(lambda: screen_has(panes, pane, "BOTTOM"), "the forger has printed")
    heard.events.clear()
    for _ in range(300):
        shown = panes.capture(pane.pane_id, colours=False)
        assert len(shown) == pane.height
        assert "forged" in shown
        assert connection.command("display-message -p mine") == ["mine"]
    assert heard.events == []


def test_output_of_the_shown_session_is_a_dirty_flag(
    server: TmuxServer, connection: ControlConnection
) -> None:
    heard = Heard()
    connection._listener = heard
    panes = Panes(connection, server)
    shown = panes.create("shown", ["cat"], folder=Path("/tmp"))
    hidden = panes.create("hidden", ["cat"], folder=Path("/tmp"))
    panes.show(shown.session_id)
    for pane in (hidden, shown):
        panes.type_literal(pane.pane_id, "x")
    eventually(lambda: shown.pane_id in heard.dirty, "the shown pane is dirty")
    assert heard.dirty == {shown.pane_id}
    assert connection.shown_session == shown.session_id


def test_a_subscription_is_heard(connection: ControlConnection) -> None:
    heard = Heard()
    connection._listener = heard
    connection.command("refresh-client -B 'seen::on #{session_name}'")
    eventually(lambda: "seen=on _hub" in heard.events, "the subscription has come")


def test_commands_are_answered_while_a_shown_pane_floods(
    server: TmuxServer, connection: ControlConnection
) -> None:
    panes = Panes(connection, server)
    pane = panes.create("flood", ["yes", "%end 1 1 1"], folder=Path("/tmp"))
    panes.show(pane.session_id)
    for number in range(50):
        assert connection.command(f"display-message -p {'n'}{number}") == [f"n{number}"]
    panes.kill("flood")
    assert panes.find("flood") is None
    assert connection.command("display-message -p alive") == ["alive"]


def test_a_listener_that_fails_does_not_end_the_connection(server: TmuxServer) -> None:
    class Broken(ControlListener):
        def sessions_changed(self) -> None:
            raise RuntimeError("broken listener")

    broken = server.connect(Broken())
    try:
        Panes(broken, server).create("a", ["cat"], folder=Path("/tmp"))
        assert broken.command("display-message -p on") == ["on"]
    finally:
        broken.close()


def test_a_listener_that_waits_for_itself_is_told_so_at_once(server: TmuxServer) -> None:
    failures: list[str] = []

    class Waiting(ControlListener):
        def sessions_changed(self) -> None:
            try:
                waiting.command("display-message -p x")
            except RuntimeError as error:
                failures.append(str(error))

    waiting = server.connect(Waiting())
    try:
        Panes(waiting, server).create("a", ["cat"], folder=Path("/tmp"))
        eventually(lambda: failures, "the listener has failed")
    finally:
        waiting.close()


def test_a_killed_server_fails_what_waits_and_everything_after(server: TmuxServer) -> None:
    heard = Heard()
    connection = server.connect(heard)
    pid = server.pid()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    waiting = connection.submit("display-message -p never")
    os.kill(pid, signal.SIGKILL)
    assert isinstance(waiting.exception(10), TmuxGoneError)
    with pytest.raises(TmuxGoneError):
        connection.command("display-message -p after")
    eventually(lambda: heard.events[-1:] == ["lost"], "the loss is told")
    connection.close()


def test_a_server_that_stands_still_is_silent_not_gone_and_its_late_answer_is_not_mixed_up(
    server: TmuxServer, connection: ControlConnection
) -> None:
    pid = server.pid()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(TmuxSilentError):
            connection.command("display-message -p late", timeout_s=0.2)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert connection.command("display-message -p now") == ["now"]


def test_attaching_without_a_server_fails_and_starts_none(server: TmuxServer) -> None:
    kill_server(server)
    with pytest.raises(TmuxGoneError):
        server.connect()
    assert not server.is_running()


def test_closing_ends_the_client_process_and_its_record(server: TmuxServer) -> None:
    connection = server.connect()
    pid = connection.pid
    assert pid
    assert (server.runtime.tmux_clients / str(pid)).exists()
    connection.close()
    connection.close()
    assert processes.start_mark(pid) is None
    eventually(lambda: not (server.runtime.tmux_clients / str(pid)).exists(), "record removed")
    assert server.is_running()


def test_a_killed_control_client_is_replaced_by_itself(server: TmuxServer) -> None:
    heard = Heard()
    lasting = ReconnectingConnection(server.connect)
    lasting.add_listener(heard)
    lasting.start()
    try:
        lasting.wait_connected(timeout_s=10)
        first = lasting._current
        assert first is not None
        assert first.pid
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: heard.events == ["connected", "lost", "connected"], "connected again")
        assert lasting.command("display-message -p back") == ["back"]
    finally:
        lasting.close()
    assert heard.events[-1] == "lost"


def test_a_killed_server_is_started_again_by_the_one_who_may(server: TmuxServer) -> None:
    heard = Heard()
    lasting = ReconnectingConnection(server.connect, before_attach=server.ensure_running)
    lasting.add_listener(heard)
    lasting.start()
    try:
        lasting.wait_connected(timeout_s=10)
        before = server.pid()
        assert before
        os.kill(before, signal.SIGKILL)
        eventually(lambda: heard.events.count("connected") == 2, "connected again")
        assert lasting.command("display-message -p '#{pid}'") != [str(before)]
    finally:
        lasting.close()


def test_without_a_server_the_lasting_connection_fails_at_once_and_waits(
    server: TmuxServer,
) -> None:
    lasting = ReconnectingConnection(server.connect)
    lasting.start()
    try:
        lasting.wait_connected(timeout_s=10)
        kill_server(server)
        eventually(lambda: not lasting.is_connected, "the loss is seen")
        with pytest.raises(TmuxGoneError):
            lasting.command("display-message -p x")
        assert lasting.submit("display-message -p x").exception(5) is not None
        assert not server.is_running()
        server.ensure_running()
        lasting.wait_connected(timeout_s=10)
    finally:
        lasting.close()


def test_no_thread_is_left_behind(server: TmuxServer) -> None:
    before = threading.active_count()
    for _ in range(3):
        server.connect().close()
    eventually(lambda: threading.active_count() <= before, "reader threads have ended")
