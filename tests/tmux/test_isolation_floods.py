"""A pane that floods the product: the other sessions' events are read as soon as without it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.models.session import SessionKey
from core.models.states import AgentState
from core.paths import DataRoot
from core.sandbox import has_bubblewrap
from tests.tmux.agents_bench import Bench, bench_on, faking
from tmux_bridge.claude.inbox import FLOODED

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.skipif(not has_bubblewrap(), reason="bubblewrap cannot make a sandbox here"),
]

ROUNDS = 10
SLACK_S = 0.5
"""What a flood may add to the median: looks come every 0.1 s, the rest is for a busy computer."""


@pytest.fixture
def bench(place: DataRoot, tmp_path: Path) -> Iterator[Bench]:
    with bench_on(place, faking(tmp_path, "exec sleep 600")) as made:
        yield made


def awake(bench: Bench) -> SessionKey:
    """A session whose Claude says that it is there."""
    key = bench.session()
    bench.team.supervisor.ask(lambda: bench.team.supervisor.start_agent(key))
    tell(bench, key, "SessionStart", source="startup")
    tell(bench, key, "Stop")
    bench.wait_state(key, AgentState.IDLE)
    return key


def tell(bench: Bench, key: SessionKey, event: str, **more: object) -> None:
    folder = bench.paths(key).hooks
    session_id = bench.agent(key).claude_session_id
    content = json.dumps({"hook_event_name": event, "session_id": session_id, **more})
    name = f"{time.time_ns()}-7"
    (folder / f".{name}").write_text(content)
    (folder / f".{name}").rename(folder / f"{name}.json")


def seen_after_s(bench: Bench, key: SessionKey) -> float:
    """Median time from an event's file to the state that follows from it."""
    took: list[float] = []
    for _ in range(ROUNDS):
        for event, more, state in (
            ("UserPromptSubmit", {"prompt": "x"}, AgentState.WORKING),
            ("Stop", {"last_assistant_message": "y"}, AgentState.IDLE),
        ):
            began = time.monotonic()
            tell(bench, key, event, **more)
            bench.wait_state(key, state)
            took.append(time.monotonic() - began)
    return sorted(took)[len(took) // 2]


def small_events(folder: Path) -> None:
    payload = json.dumps({"hook_event_name": "UserPromptSubmit", "session_id": "x", "prompt": "p"})
    for number in range(20_000):
        (folder / f"{1_795_000_000_000_000_000 + number}-1.json").write_text(payload)


def large_events(folder: Path) -> None:
    payload = json.dumps({"hook_event_name": "Stop", "session_id": "x", "more": "y" * 1_000_000})
    for number in range(600):
        (folder / f"{1_795_000_000_000_000_000 + number}-1.json").write_text(payload)


def strange_files(folder: Path) -> None:
    for number in range(3_000):
        (folder / f"{1_795_000_000_000_000_000 + number}-1.json").symlink_to("/etc/passwd")
        os.mkfifo(folder / f"{1_795_000_000_000_000_000 + number}-2.json")
        (folder / ("z" * 240 + str(number))).write_text("")
        (folder / f".hidden-{number}").mkdir()


@pytest.mark.parametrize("flood", [small_events, large_events, strange_files])
def test_a_flood_of_events_makes_no_other_session_late(
    bench: Bench, flood: Callable[[Path], None]
) -> None:
    flooder, innocent = awake(bench), awake(bench)
    calm_s = seen_after_s(bench, innocent)
    flood(bench.paths(flooder).hooks)
    flooded_s = seen_after_s(bench, innocent)
    assert flooded_s <= calm_s + SLACK_S, f"calm {calm_s:.3f} s, flooded {flooded_s:.3f} s"
    bench.until(lambda: FLOODED in bench.agent(flooder).evidence, "the warning", flooder)


def test_a_flooded_folder_is_emptied_by_the_next_start_at_once(bench: Bench) -> None:
    key = awake(bench)
    bench.team.pane.stop(key)
    small_events(bench.paths(key).hooks)
    began = time.monotonic()
    bench.team.supervisor.ask(lambda: bench.team.supervisor.start_agent(key))
    assert time.monotonic() - began < 2.0
    assert len(list(bench.paths(key).hooks.iterdir())) == 0
    tell(bench, key, "SessionStart", source="startup")
    tell(bench, key, "Stop")
    bench.wait_state(key, AgentState.IDLE)
