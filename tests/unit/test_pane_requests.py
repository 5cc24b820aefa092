"""What panes ask for: slow requests hold up no quick ones, a flood harms its own session only."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.models.session import SessionKey
from core.models.states import AgentState, ExecutionStatus
from tests.unit.services_place import Place, make_place
from tmux_bridge.pane_requests import BURST, FLOODED_NAMES, PaneRequests

ANSWER_S = 2.0
"""An innocent session's quick request beside a flood; alone it takes some milliseconds."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def panes(place: Place) -> Iterator[PaneRequests]:
    made = PaneRequests(place.store, place.services, SystemClock())
    yield made
    made.close()


def awake(place: Place, email: str) -> SessionKey:
    key = place.session(email)
    place.set_agent(key, AgentState.WORKING)
    (place.source(key) / "index.html").write_text("<p>bread</p>")
    return key


def ask(place: Place, key: SessionKey, verb: str, **arguments: object) -> str:
    """Drop a request as the program in a pane does; its id."""
    folder = place.root.session(key.user_id, key.session_id).requests
    request_id = uuid.uuid4().hex
    (folder / f".{request_id}").write_text(
        json.dumps({"id": request_id, "verb": verb, "arguments": arguments})
    )
    (folder / f".{request_id}").rename(folder / f"{request_id}.json")
    return request_id


def answer(place: Place, key: SessionKey, request_id: str) -> dict[str, Any] | None:
    path = place.root.session(key.user_id, key.session_id).answers / f"{request_id}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found


def turn(panes: PaneRequests, until: Callable[[], bool], deadline_s: float = 20.0) -> float:
    """Tick as the worker's loop does until something is true; how long it took."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < deadline_s, "never true"
        panes.tick()
        time.sleep(0.02)
    return time.monotonic() - began


def test_deploys_that_are_waited_for_do_not_hold_up_a_quick_request(
    place: Place, panes: PaneRequests
) -> None:
    busy = [awake(place, f"u{number}@acme.io") for number in range(12)]
    deploys = [(key, ask(place, key, "deploy")) for key in busy]
    turn(panes, lambda: all(place.services.status.newest(key) is not None for key in busy))
    innocent = awake(place, "innocent@acme.io")
    status = ask(place, innocent, "status")
    took_s = turn(panes, lambda: answer(place, innocent, status) is not None)
    assert took_s < ANSWER_S
    assert not any(answer(place, key, request_id) for key, request_id in deploys)
    for key in busy:
        newest = place.services.status.newest(key)
        assert newest is not None
        place.store.executions.set_status(
            newest.execution_id, ExecutionStatus.CANCELLED, current_step=4
        )
    turn(panes, lambda: all(answer(place, key, request_id) for key, request_id in deploys))


def test_a_session_that_asks_too_often_is_told_so(place: Place, panes: PaneRequests) -> None:
    key = awake(place, "loud@acme.io")
    asked = [ask(place, key, "status") for _ in range(BURST + 15)]
    folder = place.root.session(key.user_id, key.session_id)
    turn(panes, lambda: not any(folder.requests.iterdir()))
    answers = [answer(place, key, request_id) for request_id in asked]
    told = [one for one in answers if one is not None]
    refused = [one for one in told if one["exit"] == 12]
    assert 1 <= len(refused) <= 15
    assert refused[0]["error"]["code"] == "too_many_requests"
    assert all(one["exit"] in {0, 12} for one in told)


@pytest.mark.parametrize("kind", ["requests", "links", "pipes", "large"])
def test_a_flood_of_one_session_holds_up_no_other(
    place: Place, panes: PaneRequests, kind: str
) -> None:
    flooder, innocent = awake(place, "flood@acme.io"), awake(place, "innocent@acme.io")
    requests = place.root.session(flooder.user_id, flooder.session_id).requests
    for number in range(1000):
        if kind == "requests":
            ask(place, flooder, "status")
        elif kind == "links":
            (requests / f"{number:08}.json").symlink_to("/etc/passwd")
        elif kind == "pipes":
            os.mkfifo(requests / f"{number:08}.json")
        else:
            (requests / f"{number:08}.json").write_bytes(b"x" * 200_000)
    for _ in range(5):
        status = ask(place, innocent, "status")
        took_s = turn(panes, lambda asked=status: answer(place, innocent, asked) is not None)  # type: ignore[misc]
        assert took_s < ANSWER_S
    turn(panes, lambda: len(list(requests.iterdir())) < FLOODED_NAMES)
