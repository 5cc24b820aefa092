"""The daily loop through the command line, on a real worker and a real local host."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

import pytest

from core.clock import wait_for
from core.hosts.local_server.layout import SiteFolder
from core.models.session import SessionKey
from core.paths import DataRoot, runtime_paths
from tests.unit.cli_program import call, in_terminal, new_session
from tmux_bridge.launcher import holder

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{title}</title></head>
<body><main><h1>{title}</h1><p>More than one hundred bytes of text.</p></main></body></html>
"""


@pytest.fixture
def page(place: DataRoot) -> Path:
    """The home page of a session that Claude never touched."""
    user_id, session_id = new_session()
    found = place.session(user_id, session_id).source / "index.html"
    found.write_text(PAGE.format(title="One"))
    return found


def served(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
    return content.decode()


def test_deploy_change_roll_back_and_destroy(place: DataRoot, page: Path) -> None:
    first = call("deploy", "-")
    assert first.code == 0, first.err
    url = first.out.splitlines()[-1]
    assert "One" in served(url)
    assert "4 deploy         ok" in first.err

    page.write_text(PAGE.format(title="Two"))
    second = call("deploy", "-", "--json")
    data = second.document["data"]
    assert (second.code, data["deploy"], data["url"]) == (0, 2, url)
    assert [step["n"] for step in data["steps"]] == [1, 2, 3, 4, 5, 6, 7]
    assert "Two" in served(url)

    assert call("check", "-").out.startswith("ok 200 text/html ")
    watched = call("status", "-", "--watch", "--plain")
    assert watched.code == 0
    assert all(line.startswith("sess_") for line in watched.out.splitlines())
    lines = call("status", data["execution_id"]).out.splitlines()
    assert (len(lines), lines[-1]) == (9, url)

    back = call("rollback", "-", "--json").document
    assert (back["exit"], back["command"], back["data"]["from_deploy"]) == (0, "rollback", 2)
    assert "One" in served(url)

    session_id = data["session_id"]
    gone = call("destroy", "-", "--confirm", session_id, "--json").document
    assert [row["kind"] for row in gone["data"]["deleted"]] == ["local_site"]
    assert gone["data"]["left"] == []
    assert page.exists()


def test_no_wait_prints_the_run_and_a_second_one_is_busy(place: DataRoot, page: Path) -> None:
    user_id, session_id = place.find_session(page) or ("", "")
    with SiteFolder(place, SessionKey(user_id, session_id)).publishing():
        queued = call("deploy", "-", "--no-wait")
        assert queued.code == 0
        execution_id = queued.out.strip()
        second = call("deploy", "-", "--json")
        assert (second.code, second.document["error"]["code"]) == (5, "busy")
        late = call("status", execution_id, "--watch", "--timeout", "0.001", "--json")
        assert (late.code, late.document["error"]["code"]) == (7, "timed_out")
    ended = call("status", execution_id, "--watch", "--json").document
    assert (ended["exit"], ended["data"]["status"]) == (0, "completed")


def test_ctrl_c_says_what_goes_on_and_the_run_does(place: DataRoot, page: Path) -> None:
    code, text = in_terminal(["deploy", "-"], after="queued", keys=b"\x03")
    assert "goes on: tmux-builder status" in text
    assert code == 0
    assert "http://127.0.0.1:" in text.splitlines()[-1]


def test_the_worker_is_started_once_and_says_who_it_is(place: DataRoot) -> None:
    first = call("worker", "--json").document["data"]
    again = call("worker", "--json").document["data"]
    lock = runtime_paths(place, os.environ).worker_lock
    assert (first["started"], again["started"]) == (True, False)
    assert first["pid"] == again["pid"] == holder(lock)
    busy = call("worker", "--foreground", "--json")
    assert (busy.code, busy.document["error"]["code"]) == (5, "worker_runs")
    os.kill(first["pid"], 15)
    assert wait_for(lambda: holder(lock) is None, deadline_s=20)
