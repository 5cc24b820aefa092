from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from core.errors import ConflictError, StorageError
from core.models.execution import LogLevel
from core.models.request import RequestKind, RequestState
from core.models.session import SessionKey
from core.models.states import (
    AgentState,
    ExecutionStatus,
    ModelSpeed,
    PromptKind,
    Receipt,
    StepState,
    TurnOutcome,
)
from core.paths import DataRoot
from core.store.schema import MIGRATIONS
from core.store.store import open_store
from tests.unit.services_place import Place, make_place

OLD_ROWS = """
    INSERT INTO users VALUES
        ('u', 'a@b.io', '5550100', NULL, '2026-01-12T14:22:33Z', 'local', 'static');
    INSERT INTO sessions (user_id, session_id, host_provider, site_type, created_at, updated_at)
        VALUES ('u', 's', 'local', 'static', '2026-01-12T14:22:33Z', '2026-01-12T14:22:33Z');
    INSERT INTO prompts (prompt_id, user_id, session_id, seq, kind, text, receipt, created_at)
        VALUES ('p', 'u', 's', 1, 'wish', 'hello', 'queued', '2026-01-12T14:22:33Z')"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def test_the_store_file_is_private(place: Place) -> None:
    assert place.root.store.stat().st_mode & 0o077 == 0


def test_a_store_of_a_newer_program_is_refused(place: Place) -> None:
    place.store.database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(StorageError, match="newer"):
        open_store(place.root)


def test_a_store_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    root.store.write_bytes(b"this is not a database at all" * 100)

    with pytest.raises(StorageError):
        open_store(root)


def test_a_store_of_an_older_program_is_brought_up_to_date(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    old = sqlite3.connect(root.store)
    old.executescript(";".join((*MIGRATIONS[0], OLD_ROWS, "PRAGMA user_version = 1")))
    old.close()
    store = open_store(root)
    session, prompt = store.sessions.get(SessionKey("u", "s")), store.prompts.get("p")
    store.close()
    assert session is not None
    assert prompt is not None
    assert (session.model_speed, prompt.error_exit) == (ModelSpeed.NORMAL, None)


def test_a_failed_transaction_leaves_nothing(place: Place) -> None:
    key = place.session()
    change = place.store.sessions.change()

    def fail_half_way() -> None:
        with place.store.transaction():
            place.store.touch(key)
            place.store.executions.add(key)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert place.store.sessions.change() == change
    assert place.store.executions.of_session(key) == []


def test_a_conflict_inside_a_transaction_is_the_products_error(place: Place) -> None:
    key = place.session()
    place.store.executions.add(key)

    with pytest.raises(ConflictError):
        place.store.executions.add(key)
    with pytest.raises(ConflictError), place.store.transaction():
        place.store.executions.add(key)


def test_of_many_threads_one_gets_the_run(place: Place) -> None:
    key = place.session()
    outcomes: list[str] = []

    def start() -> None:
        try:
            outcomes.append(place.store.executions.add(key).execution_id)
        except ConflictError:
            outcomes.append("busy")

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes).count("busy") == 7


def test_runs_are_numbered_and_a_finished_one_keeps_its_end(place: Place) -> None:
    key = place.session()
    first = place.store.executions.add(key)
    place.finish(first.execution_id)
    place.store.executions.set_status(first.execution_id, ExecutionStatus.FAILED, error="late")
    second = place.store.executions.add(key)

    assert second.execution_id == f"{first.execution_id}_r2"
    assert place.store.executions.require(first.execution_id).status is ExecutionStatus.COMPLETED
    assert place.store.executions.newest(key) == second
    assert place.store.executions.newest_of_all() == {key: second}


def test_results_are_merged_and_intents_counted(place: Place) -> None:
    execution_id = place.store.executions.add(place.session()).execution_id
    place.store.executions.set_result(execution_id, {"url": "a", "deploy": 1})
    place.store.executions.set_result(execution_id, {"url": "b"})
    assert place.store.executions.require(execution_id).result == {"url": "b", "deploy": 1}

    first = place.store.executions.begin_intent("k", "w1", {"step": "deploy"})
    place.store.executions.settle_intent("k", {"done": True})
    second = place.store.executions.begin_intent("k", "w2", {"step": "other"})
    assert (first.attempt, first.outcome, second.attempt) == (1, None, 2)
    assert (second.outcome, second.data) == ({"done": True}, {"step": "deploy"})


def test_a_receipt_only_moves_forward_but_unknown_may_become_accepted(place: Place) -> None:
    key = place.session()
    prompts = place.store.prompts
    prompt = prompts.add("p1", key, PromptKind.WISH, "hello")
    assert prompts.add("p1", key, PromptKind.WISH, "other") == prompt

    assert prompts.move("p1", Receipt.TYPED)
    assert prompts.move("p1", Receipt.UNKNOWN, reason="no receipt")
    assert prompts.move("p1", Receipt.ACCEPTED)
    assert not prompts.move("p1", Receipt.REFUSED)
    found = prompts.get("p1")
    assert found is not None
    assert found.receipt is Receipt.ACCEPTED
    assert prompts.open() == []


def test_turns_end_once_and_the_newest_is_the_last(place: Place) -> None:
    key = place.session()
    prompts = place.store.prompts
    prompt = prompts.add("p1", key, PromptKind.WISH, "hello")
    prompts.begin_turn(prompt)
    prompts.begin_turn(prompt)
    assert [turn.prompt_id for turn in prompts.open_turns(key)] == ["p1"]

    assert prompts.end_turns(key, TurnOutcome.FINISHED, "done") == 1
    assert prompts.end_turns(key, TurnOutcome.FAILED, "again") == 0
    turn = prompts.last_turn(key)
    assert turn is not None
    assert (turn.outcome, turn.message) == (TurnOutcome.FINISHED, "done")


def test_a_request_is_taken_once_and_answered(place: Place) -> None:
    key = place.session()
    requests = place.store.requests
    request = requests.add(RequestKind.CHECK, key, {"url": None}, request_id="r1")
    assert requests.add(RequestKind.STOP, key, request_id="r1") == request
    assert requests.take("r1")
    assert not requests.take("r1")

    requests.add(RequestKind.STOP, key, request_id="r2")
    assert requests.fail_taken("The worker ended.", "Run it again.") == 1
    assert requests.require("r1").state is RequestState.FAILED
    assert [one.request_id for one in requests.queued()] == ["r2"]


def test_every_change_of_a_session_raises_its_counter(place: Place) -> None:
    key = place.session()
    seen = [place.store.sessions.change()]
    execution_id = place.store.executions.add(key).execution_id
    seen.append(place.store.sessions.change())
    step = place.store.executions.steps(execution_id)[0]
    place.store.executions.put_step(
        execution_id, type(step)(n=step.n, name=step.name, state=StepState.RUNNING)
    )
    seen.append(place.store.sessions.change())
    place.set_agent(key, AgentState.WORKING)
    seen.append(place.store.sessions.change())
    place.store.prompts.add("p1", key, PromptKind.WISH, "hello")
    seen.append(place.store.sessions.change())

    assert seen == sorted(set(seen))
    session = place.store.sessions.get(key)
    assert session is not None
    assert session.change == seen[-1]
    place.set_agent(key, AgentState.WORKING)
    assert place.store.sessions.change() == seen[-1]


def test_a_port_belongs_to_one_session(place: Place) -> None:
    first, second = place.session("a@acme.io"), place.session("b@acme.io")
    assert place.store.sessions.set_port(first, 8123)
    assert place.store.sessions.set_port(first, 8123)
    assert not place.store.sessions.set_port(second, 8123)


def test_log_lines_count_from_one_and_the_tail_is_oldest_first(place: Place) -> None:
    execution_id = place.store.executions.add(place.session()).execution_id
    for number in range(5):
        place.store.logs.append(execution_id, LogLevel.INFO, str(number), details={"n": number})

    logs = place.store.logs
    assert [entry.line for entry in logs.tail(execution_id)] == [1, 2, 3, 4, 5]
    assert [entry.message for entry in logs.tail(execution_id, limit=2)] == ["3", "4"]
    assert [entry.message for entry in logs.tail(execution_id, after_line=4)] == ["4"]
    assert logs.tail(execution_id)[0].details == {"n": 0}


def test_the_same_execution_is_the_same_deploy(place: Place) -> None:
    key = place.session()
    place.deploy(key, "one")
    place.deploy(key, "two")
    place.deploy(key, "one")

    numbers = [(deploy.deploy, deploy.release_id) for deploy in place.store.releases.deploys(key)]
    assert numbers == [(3, "release-one"), (2, "release-two"), (1, "release-one")]
    release = place.store.releases.get(key, "release-one")
    assert release is not None
    assert release.files[0].path == "index.html"
