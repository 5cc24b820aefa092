"""Simulated sessions find their scripted model, each at its own speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.models.session import Session
from core.models.states import AgentState, ModelSpeed
from core.paths import RuntimePaths
from tests.unit.services_place import Place, make_place
from tmux_bridge.agents.simulation import PACES, Simulation

Live = Callable[[], Simulation]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "run").mkdir()
    return make_place(tmp_path)


@pytest.fixture
def live(place: Place, tmp_path: Path) -> Iterator[Live]:
    """A worker's simulation; a second one is what a restart makes."""
    lives: list[Simulation] = []

    def begin() -> Simulation:
        for former in lives:
            former.stop()
        lives.append(Simulation(place.store, RuntimePaths(tmp_path / "run")))
        return lives[-1]

    yield begin
    lives[-1].stop()


def simulated(place: Place, speed: ModelSpeed) -> Session:
    user = place.services.users.create("ana@acme.io", "+48600100200", start=False).user
    return place.services.sessions.create(
        user.user_id, start=False, simulated=True, model_speed=speed
    ).session


def test_sessions_of_one_speed_share_a_model(place: Place, live: Live) -> None:
    simulation = live()
    urls = {simulation.url_for(simulated(place, speed)) for speed in ModelSpeed}
    assert len(urls) == len(ModelSpeed)
    assert simulation.url_for(simulated(place, ModelSpeed.SLOW)) in urls


def test_claudes_that_outlived_their_worker_are_answered_at_the_same_speeds(
    place: Place, live: Live
) -> None:
    before = live()
    urls = {}
    for speed in ModelSpeed:
        session = simulated(place, speed)
        urls[session.site_type, speed] = before.url_for(session)
        place.set_agent(session.key, AgentState.IDLE)
    after = live()
    after.resume()
    assert {key: model.url for key, model in after._models.items()} == urls
    for (_, speed), model in after._models.items():
        paces = {reply.pace for turn in model.chooser.script.turns for reply in turn.replies}
        assert (paces == {PACES[speed]}) if speed in PACES else (len(paces) > 1)


def test_slow_is_slower_than_the_script_and_fast_waits_for_nothing() -> None:
    slow, fast = PACES[ModelSpeed.SLOW], PACES[ModelSpeed.FAST]
    assert slow.chunk_chars / slow.chunk_delay_s < 1000
    assert (fast.delay_s, fast.chunk_delay_s) == (0, 0)


def test_a_session_with_an_address_or_without_a_simulation_has_no_model(
    place: Place, live: Live
) -> None:
    real = place.store.sessions.get(place.session())
    assert real is not None
    assert live().url_for(real) is None
