from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import NotFoundError, UsageError
from core.models.session import Agent, Session, SessionKey
from core.models.states import AgentState, ExecutionStatus, Needs, SessionState, StepState
from core.models.user import HostProvider, SiteType
from core.services.sessions import SessionFilter
from core.services.states import shown_state
from tests.unit.services_place import Place, make_place

NOW = datetime(2026, 1, 12, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def state_of(place: Place, key: SessionKey) -> SessionState:
    return place.services.sessions.row(key).state


def test_the_seven_states_follow_what_happens(place: Place) -> None:
    key = place.session()
    assert state_of(place, key) is SessionState.IDLE
    execution = place.store.executions.add(key, from_step=4)
    assert state_of(place, key) is SessionState.WORKING
    place.fail(execution.execution_id, 4, "empty_source", "Nothing in source/.")
    assert state_of(place, key) is SessionState.FAILED
    place.deploy(key)
    assert state_of(place, key) is SessionState.LIVE
    place.set_agent(key, AgentState.WORKING)
    assert state_of(place, key) is SessionState.WORKING
    place.set_agent(key, AgentState.PARKED)
    assert state_of(place, key) is SessionState.PARKED
    place.set_agent(key, AgentState.ENDED, source="pane", evidence="tmux server gone")
    assert state_of(place, key) is SessionState.ENDED
    assert "tmux server gone (pane)" in place.services.sessions.row(key).why
    place.set_agent(key, AgentState.NEEDS_YOU, needs=Needs.PERMISSION, question="Run npm?")
    row = place.services.sessions.row(key)
    assert (row.state, row.needs) == (SessionState.NEEDS_YOU, Needs.PERMISSION)
    assert row.why.startswith("Run npm?")


@pytest.mark.parametrize("agent", list(AgentState))
@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1"])
def test_every_combination_has_a_state(agent: AgentState, url: str | None) -> None:
    key = SessionKey("u", "sess_20260112_142233")
    session = Session(
        key=key, host_provider=HostProvider.LOCAL, site_type=SiteType.STATIC, created_at=NOW,
        updated_at=NOW, url=url,
    )  # fmt: skip
    assert shown_state(session, Agent(key=key, state=agent), None) in SessionState


def test_rows_in_one_pass_equal_the_rows_one_by_one(place: Place) -> None:
    keys = [place.session(f"u{number}@acme.io") for number in range(4)]
    place.deploy(keys[0])
    run = place.store.executions.add(keys[1])
    place.fail(run.execution_id, 3, "turn_failed", "Claude gave up.")
    place.set_agent(keys[2], AgentState.WORKING, source="hook", since=place.clock.now())

    rows = {row.key: row for row in place.services.sessions.rows()}
    for key in keys:
        one = place.services.sessions.row(key)
        assert replace(rows[key], why="") == replace(one, why="")
    step = rows[keys[1]].step
    assert step is not None
    assert (step.n, step.state) == (3, StepState.FAILED)


def test_rows_cost_the_same_number_of_queries_for_any_number_of_sessions(place: Place) -> None:
    def queries() -> int:
        asked: list[str] = []
        connection = place.store.database._connection(durable=True)
        connection.set_trace_callback(asked.append)
        place.services.sessions.rows()
        connection.set_trace_callback(None)
        return len(asked)

    place.session()
    few = queries()
    for number in range(5):
        place.deploy(place.session(f"u{number}@acme.io"))
    assert queries() == few


def test_changed_since_gives_exactly_what_changed(place: Place) -> None:
    first, second = place.session("a@acme.io"), place.session("b@acme.io")
    rows, change = place.services.sessions.changed_since(0)
    assert {row.key for row in rows} == {first, second}
    assert place.services.sessions.changed_since(change) == ([], change)

    place.set_agent(second, AgentState.IDLE)
    place.store.executions.add(second)
    rows, newer = place.services.sessions.changed_since(change)
    assert [row.key for row in rows] == [second]
    assert newer > change


def test_the_list_is_sorted_by_attention_and_filtered(place: Place) -> None:
    idle, live = place.session("idle@acme.io"), place.session("live@acme.io")
    asks = place.session("asks@acme.io")
    place.deploy(live)
    place.set_agent(asks, AgentState.NEEDS_YOU, needs=Needs.QUESTION)
    place.store.touch(idle)
    sessions = place.services.sessions

    assert [row.key for row in sessions.list().sessions] == [asks, live, idle]
    assert sessions.list(SessionFilter(sort="updated")).sessions[0].key == idle
    wanted = SessionFilter(states=frozenset({SessionState.LIVE, SessionState.IDLE}), limit=1)
    page = sessions.list(wanted)
    assert (page.total, page.shown, page.sessions[0].key) == (2, 1, live)
    assert sessions.list(SessionFilter(user="idle@acme.io")).sessions[0].key == idle
    assert sessions.list(SessionFilter(host_provider=HostProvider.AWS)).total == 0
    later = place.clock.now() + timedelta(hours=1)
    assert sessions.list(SessionFilter(since=later)).total == 0
    with pytest.raises(UsageError):
        sessions.list(SessionFilter(sort="colour"))
    with pytest.raises(NotFoundError):
        sessions.list(SessionFilter(user="nobody@acme.io"))


def test_archived_sessions_leave_the_list_and_come_back(place: Place) -> None:
    key = place.session()
    sessions = place.services.sessions

    assert sessions.archive(key).session.archived
    assert sessions.list().total == 0
    assert sessions.list(SessionFilter(archived=True)).total == 1
    sessions.archive(key, archived=False)
    assert sessions.list().total == 1


def test_a_session_may_differ_from_its_user_and_start_from_another(place: Place) -> None:
    first = place.session()
    (place.source(first) / "index.html").write_text("<h1>hello</h1>")

    made = place.services.sessions.create(
        first.user_id, host_provider="azure", site_type="dynamic", start=False,
        copy_source_from=first, simulated=True, model_url="http://127.0.0.1:9",
    )  # fmt: skip

    session = place.store.sessions.get(made.session.key)
    assert session is not None
    assert (session.host_provider, session.site_type) == (HostProvider.AZURE, SiteType.DYNAMIC)
    assert (session.simulated, session.model_url) == (True, "http://127.0.0.1:9")
    assert "azure-vm-dynamic" in made.injected.agents
    assert (place.source(session.key) / "index.html").read_text() == "<h1>hello</h1>"
    assert (made.execution_id, place.worker.knocks) == (None, 0)
    assert place.services.names.session("-", Path("/")).key == session.key


def test_start_queues_the_first_run(place: Place) -> None:
    key = place.session()
    made = place.services.sessions.create(key.user_id, prompt="A site")

    assert made.execution_id == f"{made.session.key.user_id}_{made.session.key.session_id}"
    execution = place.store.executions.require(made.execution_id)
    assert (execution.status, execution.from_step) == (ExecutionStatus.PENDING, 1)
    assert place.worker.knocks == 1


def test_the_session_document_has_every_promised_key(place: Place) -> None:
    key = place.session()
    document = place.services.status.session_document(place.services.sessions.row(key))

    assert {
        "session_id", "user_id", "email", "host_provider", "site_type", "state", "needs", "step",
        "url", "updated_at", "cost", "tmux", "path",
    } <= set(document)  # fmt: skip
    tmux = document["tmux"]
    assert isinstance(tmux, dict)
    assert set(tmux) == {"socket", "session", "pane"}
    assert Path(str(document["path"])).is_dir()
    assert (document["needs"], document["step"]) == (None, None)


def test_an_unknown_session_says_so(place: Place) -> None:
    with pytest.raises(NotFoundError):
        place.services.sessions.row(SessionKey("nobody", "sess_20260112_142233"))
