"""Panes on a real tmux: exact arguments, exact text, no crash by what crashes tmux 3.3a."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from core.errors import NotFoundError, UsageError
from tests.tmux.private_tmux import (
    connected,
    eventually,
    log_holds,
    private_server,
    python_pane,
    raw_reader,
    screen_has,
    tmux,
)
from tmux_bridge.tmux.connection import ControlConnection
from tmux_bridge.tmux.errors import BufferGoneError, PaneGoneError, TmuxCommandError
from tmux_bridge.tmux.panes import Key, PaneInfo, Panes
from tmux_bridge.tmux.server import TmuxServer

pytestmark = pytest.mark.tmux
TMP = Path("/tmp")
ECHO = "import json,os,sys; json.dump([os.getcwd(), sys.argv[2:]], open(sys.argv[1], 'w'))"
NASTY_ARGUMENTS = [
    "", " ", "a b", "a;", ";", "\\;", "a\\", "'", '"', "$HOME", "$(touch /tmp/x)", "`id`", "~",
    "-x", "--", "#{pid}", "#(id)", "%1", "a\nb", "✓ é", "*", "&&", "|", "> y", "!", "=", "-t", "\\",
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[TmuxServer]:
    with private_server() as started:
        yield started


@pytest.fixture(scope="module")
def connection(server: TmuxServer) -> Iterator[ControlConnection]:
    with connected(server) as attached:
        yield attached


@pytest.fixture
def panes(server: TmuxServer, connection: ControlConnection) -> Iterator[Panes]:
    """A shared server, without the sessions of earlier tests, alive before and after."""
    all_panes = Panes(connection, server)
    pid = server.pid()
    yield all_panes
    assert server.pid() == pid, "the tmux server did not survive"
    for pane in all_panes.list():
        if pane.session_name != "_hub":
            all_panes.kill(pane.session_name)


def test_arguments_arrive_exactly_and_no_shell_reads_them(panes: Panes, tmp_path: Path) -> None:
    told = tmp_path / "told"
    pane = python_pane(panes, "args", ECHO, str(told), *NASTY_ARGUMENTS)
    eventually(lambda: panes.list() and told.exists() and told.read_text(), "arguments written")
    assert json.loads(told.read_text())[1] == NASTY_ARGUMENTS
    assert (pane.width, pane.height, pane.session_name) == (160, 48, "args")


@pytest.mark.parametrize(
    "name", ["a b", "#{pid}", "#(touch x)", "#[bold]", "##[x]", "a#b", "ü;", "-x", "$HOME", "'\""]
)
def test_any_folder_is_the_working_folder(panes: Panes, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    pane = panes.create("folder", [sys.executable, "-c", ECHO, str(tmp_path / "t")], folder=folder)
    eventually(lambda: (tmp_path / "t").exists() and (tmp_path / "t").read_text(), "told")
    assert json.loads((tmp_path / "t").read_text())[0] == str(folder)
    assert pane.pane_pid > 0


def test_a_single_word_is_a_program_not_a_shell_line(panes: Panes) -> None:
    word = "no such;program $(touch /tmp/never)"
    pane = panes.create("single", [word], folder=TMP)
    eventually(lambda: _status(panes, "single") == 127, "the shell could not become it")
    eventually(lambda: screen_has(panes, pane, "no such;program $(touch"), "the whole word")


def _dead(panes: Panes, name: str) -> PaneInfo | None:
    pane = panes.find(name)
    return pane if pane is not None and pane.dead else None


def _status(panes: Panes, name: str) -> int | None:
    """tmux may miss the end of a child until another one ends."""
    panes.settle()
    pane = _dead(panes, name)
    return pane.dead_status if pane is not None else None


def test_a_missing_folder_a_bad_name_and_a_bad_size_start_nothing(panes: Panes) -> None:
    with pytest.raises(NotFoundError):
        panes.create("x", ["cat"], folder=Path("/nonexistent"))
    for name in ("#(id)", "a b", "a.b", ""):
        with pytest.raises(UsageError):
            panes.create(name, ["cat"], folder=TMP)
    with pytest.raises(UsageError):
        panes.create("x", ["cat"], folder=TMP, width=10000)
    with pytest.raises(UsageError):
        panes.create("x", [], folder=TMP)
    assert [pane.session_name for pane in panes.list()] == ["_hub"]


def test_the_same_name_twice_is_refused_and_the_first_one_stays(panes: Panes) -> None:
    first = panes.create("same", ["cat"], folder=TMP)
    with pytest.raises(TmuxCommandError, match="duplicate session"):
        panes.create("same", ["cat"], folder=TMP)
    assert panes.find("same") == first


def test_names_are_matched_whole(panes: Panes) -> None:
    panes.create("four", ["cat"], folder=TMP)
    assert panes.find("fou") is None
    panes.kill("fou")
    assert panes.find("four") is not None


def test_exit_status_and_signal_of_a_dead_program_are_known(panes: Panes) -> None:
    python_pane(panes, "three", "raise SystemExit(3)")
    killed = panes.create("killed", ["cat"], folder=TMP)
    os.kill(killed.pane_pid, signal.SIGKILL)
    eventually(lambda: _status(panes, "three") == 3, "three ended with its status")
    gone = eventually(lambda: _dead(panes, "killed"), "killed is dead")
    assert gone.dead_status is None
    assert gone.pane_id == killed.pane_id


@pytest.mark.parametrize(
    "text",
    [
        "one line",
        "-starts with a dash",
        "ends with ;",
        "a\nb\n\nc",
        "~/x $HOME #{pid} \\ \" ' ✓ 👩‍👩‍👧",
        "exit",
        "x" * 100_000,
        "\n".join(f"{number} äöü ✓ {'y' * 60}" for number in range(1200)),
    ],
    ids=["line", "dash", "semicolon", "lines", "special", "exit", "100kB-line", "100kB-lines"],
)
def test_pasted_text_arrives_framed_exact_and_once(panes: Panes, tmp_path: Path, text: str) -> None:
    log = tmp_path / "log"
    pane = raw_reader(panes, "reader", log)
    panes.set_buffer("p_1", text)
    assert panes.has_buffer("p_1")
    panes.paste_and_enter(pane.pane_id, "p_1")
    assert not panes.has_buffer("p_1")
    wanted = b"\x1b[200~" + text.encode() + b"\x1b[201~\r"
    eventually(lambda: log_holds(log, b"\x1b[201~\r"), "the end of the paste")
    assert log.read_bytes() == wanted


def test_text_that_tries_to_leave_the_frame_stays_inside(panes: Panes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    pane = raw_reader(panes, "reader", log)
    panes.set_buffer("p_2", "a\x1b[201~\rrm -rf\r\x9b201~b")
    panes.paste_and_enter(pane.pane_id, "p_2")
    eventually(lambda: log_holds(log, b"\x1b[201~\r"), "the end of the paste")
    assert log.read_bytes() == b"\x1b[200~a[201~\nrm -rf\n201~b\x1b[201~\r"


def test_copy_mode_is_left_before_typing(
    panes: Panes, connection: ControlConnection, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    pane = raw_reader(panes, "reader", log)
    connection.command(f"copy-mode -t {pane.pane_id}")
    found = panes.find("reader")
    assert found is not None
    assert found.in_mode
    panes.set_buffer("p_3", "hi")
    panes.paste_and_enter(pane.pane_id, "p_3")
    connection.command(f"copy-mode -t {pane.pane_id}")
    panes.press(pane.pane_id, "Escape")
    wanted = b"\x1b[200~hi\x1b[201~\r\x1b"
    eventually(lambda: log_holds(log, wanted), "paste, Enter and Escape")
    assert log.read_bytes() == wanted


def test_typing_into_a_dead_pane_is_an_error_keeps_the_buffer_and_the_server(panes: Panes) -> None:
    pane = python_pane(panes, "dead", "pass")
    eventually(lambda: _dead(panes, "dead"), "dead is dead")
    panes.set_buffer("p_4", "text")
    for _ in range(3):
        with pytest.raises(PaneGoneError):
            panes.paste_and_enter(pane.pane_id, "p_4")
    with pytest.raises(PaneGoneError):
        panes.press(pane.pane_id, "Enter")
    with pytest.raises(PaneGoneError):
        panes.type_literal(pane.pane_id, "x")
    assert panes.has_buffer("p_4")
    panes.delete_buffer("p_4")
    panes.delete_buffer("p_4")
    assert not panes.has_buffer("p_4")


def test_a_missing_pane_and_a_missing_buffer_have_their_own_errors(panes: Panes) -> None:
    pane = panes.create("cat", ["cat"], folder=TMP)
    with pytest.raises(BufferGoneError):
        panes.paste_and_enter(pane.pane_id, "never")
    panes.set_buffer("p_5", "x")
    for call in (
        lambda: panes.paste_and_enter("%9999", "p_5"),
        lambda: panes.capture("%9999", colours=True),
        lambda: panes.capture_view("%9999"),
    ):
        with pytest.raises(PaneGoneError):
            call()
    assert panes.has_buffer("p_5")


def test_the_default_keys_for_pasting_do_not_reach_a_dead_pane(server: TmuxServer) -> None:
    bindings = tmux(server, "list-keys").decode().splitlines()
    pasting = [line for line in bindings if "paste" in line and "copy-mode" not in line]
    assert [line.split()[3] for line in pasting] == ["]"]
    assert "pane_dead" in pasting[0]


def test_keys_and_literal_text_arrive_as_bytes(panes: Panes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    pane = raw_reader(panes, "reader", log)
    line = "/x -y; ✓ \"q\" 'r' $HOME ~ #{pid} %1 %% \\; end;"
    panes.type_literal(pane.pane_id, line)
    for key in ("Enter", "2", "Escape"):
        panes.press(pane.pane_id, key)
    wanted = line.encode() + b"\r2\x1b"
    eventually(lambda: log_holds(log, b"\r2\x1b"), "the keys")
    assert log.read_bytes() == wanted


def test_only_known_keys_and_short_lines_are_typed(panes: Panes) -> None:
    pane = panes.create("cat", ["cat"], folder=TMP)
    for key in ("F1", "x ; kill-server", "C-b", ""):
        with pytest.raises(UsageError):
            panes.press(pane.pane_id, cast("Key", key))
    for text in ("", "a\nb", "x" * 1001, "\x1b"):
        with pytest.raises(UsageError):
            panes.type_literal(pane.pane_id, text)
    with pytest.raises(UsageError):
        panes.press("=cat", "Enter")


def test_a_view_holds_screen_cursor_and_modes_of_one_moment(panes: Panes) -> None:
    drawn = "\\x1b[?1049h\\x1b[2J\\x1b[H\\x1b[31mred\\x1b[0m x"
    code = f"import time; print('{drawn}', end='', flush=True); time.sleep(600)"
    pane = python_pane(panes, "view", code)
    eventually(lambda: screen_has(panes, pane, "red x"), "the screen is drawn")
    view = panes.capture_view(pane.pane_id)
    assert view.lines[0].startswith("\x1b[31mred\x1b[39m x")
    assert len(view.lines) == view.height == 48
    assert (view.cursor, view.cursor_visible, view.alternate_screen) == ((5, 0), True, True)
    assert not view.dead
    assert not view.in_mode


def test_a_size_taken_by_somebody_is_given_back(
    panes: Panes, connection: ControlConnection
) -> None:
    panes.create("sized", ["cat"], folder=TMP)
    connection.command("resize-window -t =sized: -x 90 -y 30")
    panes.resize_back("sized")
    pane = panes.find("sized")
    assert pane is not None
    assert (pane.width, pane.height) == (160, 48)


def test_fifty_sessions_come_and_go_with_clients_looking_on(
    server: TmuxServer, panes: Panes
) -> None:
    with connected(server) as other:
        looking = Panes(other, server)
        for number in range(50):
            pane = panes.create(f"s{number}", ["yes" if number % 20 == 0 else "cat"], folder=TMP)
            looking.show(pane.session_id)
        assert len(panes.list()) == 51
        for number in range(50):
            if number % 7 == 0:
                pane_or_none = panes.find(f"s{number}")
                assert pane_or_none is not None
                looking.show(pane_or_none.session_id)
                panes.show(pane_or_none.session_id)
            panes.kill(f"s{number}")
        assert [pane.session_name for pane in panes.list()] == ["_hub"]
        assert other.command("display-message -p alive") == ["alive"]
