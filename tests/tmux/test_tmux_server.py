"""The private server's life: a clean start whoever starts it, one server, a safe end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import MissingProgramError, StorageError
from core.paths import RuntimePaths
from tests.tmux.private_tmux import (
    connected,
    eventually,
    kill_server,
    private_folder,
    private_server,
    tmux,
)
from tmux_bridge.tmux import processes, spawn
from tmux_bridge.tmux.clients import ClientRecords
from tmux_bridge.tmux.errors import TmuxGoneError, TmuxSilentError
from tmux_bridge.tmux.panes import Panes
from tmux_bridge.tmux.server import TmuxServer

pytestmark = pytest.mark.tmux
SECRET = "planted-secret-5c1"
STARTER = """
import json, os, signal, sys
from pathlib import Path
from core.paths import RuntimePaths
from tmux_bridge.tmux.panes import Panes
from tmux_bridge.tmux.server import TmuxServer
os.set_inheritable(os.open(sys.argv[2], os.O_RDONLY), True)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
signal.signal(signal.SIGHUP, signal.SIG_IGN)
server = TmuxServer(RuntimePaths(Path(sys.argv[1])))
pid = server.ensure_running()
connection = server.connect()
pane = Panes(connection, server).create("unicode", ["cat"], folder=Path(sys.argv[2]))
print(json.dumps({"server": pid, "pane": pane.pane_pid, "client": connection.pid}), flush=True)
if "die" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
connection.close()
"""


def started_by_another(server: TmuxServer, folder: Path, *words: str) -> dict[str, int]:
    """Start everything in another process with a secret, blocked signals and the C locale."""
    environ = {**os.environ, "PLANTED": SECRET, "LC_ALL": "C", "SSH_AUTH_SOCK": SECRET}
    done = subprocess.run(
        [sys.executable, "-c", STARTER, str(server.runtime.path), str(folder), *words],
        check=False, capture_output=True, text=True, timeout=60, env=environ,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert done.stdout, done.stderr
    told: dict[str, int] = json.loads(done.stdout)
    return told


@pytest.fixture
def stopped() -> Iterator[TmuxServer]:
    with private_folder() as folder:
        server = TmuxServer(RuntimePaths(folder / "r"))
        try:
            yield server
        finally:
            server.stop()


def test_nothing_of_the_starter_reaches_the_server_or_a_pane(
    stopped: TmuxServer, tmp_path: Path
) -> None:
    folder = tmp_path / "füñ ✓"
    folder.mkdir()
    told = started_by_another(stopped, folder)
    shown = tmux(stopped, "show-environment", "-g") + tmux(
        stopped, "show-environment", "-t", "=_hub"
    )
    shown += tmux(stopped, "show-environment", "-t", "=unicode")
    for pid in (told["server"], told["pane"]):
        shown += Path(f"/proc/{pid}/environ").read_bytes()
    assert SECRET.encode() not in shown
    assert b"LC_ALL=C.UTF-8" in shown
    assert str(Path(f"/proc/{told['pane']}/cwd").readlink()) == str(folder)


def test_signals_and_files_of_the_starter_do_not_reach_the_server(
    stopped: TmuxServer, tmp_path: Path
) -> None:
    told = started_by_another(stopped, tmp_path)
    for pid in (told["server"], told["pane"]):
        status = Path(f"/proc/{pid}/status").read_text()
        masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
        assert int(masks["SigBlk"], 16) == 0
    hang_up = 1 << (signal.SIGHUP - 1)
    assert not int(masks["SigIgn"], 16) & hang_up
    opened = {str(entry.readlink()) for entry in Path(f"/proc/{told['server']}/fd").iterdir()}
    assert str(tmp_path) not in opened


def test_a_clean_program_that_never_returns_is_ended() -> None:
    with pytest.raises(TmuxSilentError):
        spawn.run_clean(["/bin/sleep", "60"], {}, timeout_s=0.1)


def test_starting_twice_and_at_once_gives_one_server(stopped: TmuxServer) -> None:
    others = [TmuxServer(stopped.runtime) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        pids = set(pool.map(TmuxServer.ensure_running, others))
    assert pids == {stopped.pid()}
    assert tmux(stopped, "list-sessions", "-F", "#{session_name}") == b"_hub\n"


def test_the_runtime_folder_is_private_and_a_foreign_one_is_refused(stopped: TmuxServer) -> None:
    stopped.ensure_running()
    assert stopped.runtime.path.stat().st_mode & 0o777 == 0o700
    with private_folder() as folder:
        (folder / "open").mkdir(mode=0o777)
        (folder / "open").chmod(0o777)
        with pytest.raises(StorageError):
            TmuxServer(RuntimePaths(folder / "open" / "r")).ensure_running()


def test_a_killed_server_leaves_a_socket_that_the_next_start_replaces(stopped: TmuxServer) -> None:
    first = stopped.ensure_running()
    for _ in range(3):
        kill_server(stopped)
        assert stopped.socket_path.exists()
        assert stopped.pid() is None
        again = stopped.ensure_running()
        assert again != first


def test_stop_and_start_in_a_row_work(stopped: TmuxServer) -> None:
    pids = set()
    for _ in range(4):
        pids.add(stopped.ensure_running())
        stopped.stop()
        assert not stopped.is_running()
        assert not stopped.socket_path.exists()
    assert len(pids) == 4
    stopped.stop()


def test_stop_ends_control_clients_of_others_first(stopped: TmuxServer, tmp_path: Path) -> None:
    told = started_by_another(stopped, tmp_path, "die")
    connection = stopped.connect()
    stopped.stop()
    assert processes.start_mark(told["server"]) is None
    eventually(lambda: not connection.is_alive, "our own client is gone too")
    connection.close()


def test_a_server_that_hangs_is_said_to_be_silent_and_can_still_be_stopped(
    stopped: TmuxServer,
) -> None:
    pid = stopped.ensure_running()
    os.kill(pid, signal.SIGSTOP)
    assert stopped.is_running()
    stopped._pid_or_none = lambda: pid  # type: ignore[method-assign]  # saves 5 s of waiting
    stopped.stop(timeout_s=0.3)
    assert not stopped.is_running()


def test_a_hub_that_somebody_killed_comes_back(stopped: TmuxServer, tmp_path: Path) -> None:
    pid = stopped.ensure_running()
    with connected(stopped) as connection:
        Panes(connection, stopped).create("other", ["cat"], folder=tmp_path)
        tmux(stopped, "kill-session", "-t", "=_hub")
        assert stopped.ensure_running() == pid
        assert b"_hub\n" in tmux(stopped, "list-sessions", "-F", "#{session_name}")
        assert connection.command("display-message -p on") == ["on"]


def test_a_client_whose_owner_was_killed_is_reaped_and_others_are_not(stopped: TmuxServer) -> None:
    """Its input's end normally takes it away; a record without a living owner does so too."""
    stopped.ensure_running()
    records = ClientRecords(stopped.runtime.tmux_clients)
    with connected(stopped) as mine, subprocess.Popen(["sleep", "60"]) as stale:
        records.add(stale.pid)
        record = stopped.runtime.tmux_clients / str(stale.pid)
        owner = str(os.getpid()).encode()
        record.write_bytes(record.read_bytes().replace(owner, b"999999999"))
        (stopped.runtime.tmux_clients / "4242").write_text("{broken")
        threading.Thread(target=stale.wait, daemon=True).start()
        stopped.ensure_running()
        assert stale.wait(10) == -signal.SIGTERM
        assert mine.command("display-message -p on") == ["on"]
    eventually(lambda: not list(stopped.runtime.tmux_clients.iterdir()), "no record is left")


def test_a_socket_path_that_is_too_long_is_refused_with_its_remedy(tmp_path: Path) -> None:
    server = TmuxServer(RuntimePaths(tmp_path / ("x" * 100) / "r"))
    with pytest.raises(MissingProgramError) as refused:
        server.ensure_running()
    assert refused.value.exit_code == 8
    assert refused.value.remedy.startswith("export TMUX_BUILDER_RUNTIME_DIR=")
    assert not server.is_running()
    assert not (tmp_path / ("x" * 100)).exists()


@pytest.mark.parametrize(
    ("said", "is_fine"),
    [("tmux 3.1c", False), ("tmux 2.9", False), ("tmux 3.2", True), ("tmux 3.3a", True),
     ("tmux next-3.6", True), ("tmux 10.0", True), ("tmux master", True)],
)  # fmt: skip
def test_only_an_old_tmux_is_refused(tmp_path: Path, said: str, is_fine: bool) -> None:
    program = tmp_path / "tmux"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o700)
    server = TmuxServer(RuntimePaths(tmp_path / "r"), program=str(program))
    if is_fine:
        assert server.require_tmux() == str(program)
        return
    with pytest.raises(MissingProgramError, match="too old"):
        server.require_tmux()


def test_a_missing_tmux_is_named_with_its_remedy(tmp_path: Path) -> None:
    server = TmuxServer(RuntimePaths(tmp_path / "r"), program="tmux-that-is-not-there")
    with pytest.raises(MissingProgramError) as missing:
        server.ensure_running()
    assert "apt-get install tmux" in missing.value.remedy


def test_creating_after_the_servers_death_starts_no_server(tmp_path: Path) -> None:
    with private_server() as server, connected(server) as connection:
        panes = Panes(connection, server)
        panes.create("first", ["cat"], folder=tmp_path)
        kill_server(server)
        with pytest.raises(TmuxGoneError):
            panes.create("second", ["cat"], folder=tmp_path)
        assert not server.is_running()


def test_the_package_is_light_to_import() -> None:
    code = (
        "import sys, tmux_bridge.tmux.server, tmux_bridge.tmux.panes, tmux_bridge.tmux.attach,"
        " tmux_bridge.tmux.watch;"
        "print([name for name in ('libtmux', 'textual', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == "[]"
