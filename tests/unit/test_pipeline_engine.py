"""The pipeline on the real engine, in this process: runs, cancels, failures, reconciliation."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import wait_for
from core.errors import ConflictError, NothingToDeployError, StorageError
from core.models.states import ExecutionStatus, Receipt, StepState
from core.pipeline.engine import DurableEngine, EngineState, database_url, executor_id
from core.ports.host import PublishRequest
from tests.unit.pipeline_worker import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.engine.start()
    yield rig
    rig.engine.shutdown(10.0)
    rig.store.close()


def states(rig: Rig, execution_id: str) -> list[str]:
    return [step.state.value for step in rig.store.executions.steps(execution_id)]


def run(rig: Rig, **wanted: object) -> str:
    """Queue a run of the rig's first session and drive it to its end."""
    execution = rig.store.executions.add(rig.add_session(), **wanted)  # type: ignore[arg-type]
    assert rig.drive(30.0)
    return execution.execution_id


def test_a_run_goes_through_its_seven_steps_and_keeps_a_full_record(rig: Rig) -> None:
    execution_id = run(rig)
    execution = rig.store.executions.require(execution_id)
    assert execution.status is ExecutionStatus.COMPLETED
    assert execution.current_step == 7
    assert execution.error is None
    assert states(rig, execution_id) == ["ok"] * 7
    result = execution.result
    assert result["deploy"] == 1
    assert result["url"] == result["deployed_url"] == "http://127.0.0.1:8001/"
    assert result["check"] == {
        "status": 200, "type": "text/html", "bytes": 1234, "ms": 41, "tries": 1,
    }  # fmt: skip
    assert result["shots"] == {
        "full": "deployment/tests/screenshot.png",
        "thumb": "deployment/tests/screenshot_thumb.png",
    }
    assert result["tests"] == {"passed": 11, "failed": 0, "skipped": 0}
    assert result["detail"] == "ok"
    assert rig.checks.expected == [result["release_id"]]
    session = rig.store.sessions.get(execution.key)
    assert session is not None
    assert (session.url, session.deploy_count) == ("http://127.0.0.1:8001/", 1)


def test_every_step_has_a_first_log_line_and_one_trace(rig: Rig) -> None:
    execution_id = run(rig)
    entries = rig.store.logs.tail(execution_id)
    assert len({entry.trace_id for entry in entries}) == 1
    for step in rig.store.executions.steps(execution_id):
        first = entries[(step.log_line or 0) - 1]
        assert (first.message, first.step) == ("step started", step.n)
    assert entries[-1].message == "run completed"
    assert rig.views.written[-1] == execution_id


def test_the_second_run_of_a_session_waits_for_the_end_of_the_first(rig: Rig) -> None:
    key = rig.add_session()
    rig.store.executions.add(key)
    with pytest.raises(ConflictError):
        rig.store.executions.add(key)
    assert rig.drive(30.0)
    again = rig.store.executions.add(key, from_step=4, step_three=StepState.OK)
    assert rig.drive(30.0)
    assert states(rig, again.execution_id) == ["ok"] * 7
    assert rig.store.executions.require(again.execution_id).result["deploy"] == 2
    assert rig.world.effects().count("generate_site") == 1


def test_a_retry_from_the_checks_looks_at_what_is_deployed(rig: Rig) -> None:
    rig.behaviour.failing["health_check"] = "the server said 503"
    execution_id = run(rig)
    failed = rig.store.executions.require(execution_id)
    assert (failed.status, failed.error_code) == (ExecutionStatus.FAILED, "health_failed")
    assert failed.error == (
        "The health check of http://127.0.0.1:8001/ failed: the server said 503."
    )
    assert failed.error_remedy == f"tmux-builder check {failed.key.session_id}"
    assert states(rig, execution_id) == ["ok"] * 4 + ["failed", "pending", "pending"]
    assert failed.result["check"] is not None
    rig.behaviour.failing.clear()
    again = rig.store.executions.add(failed.key, from_step=5, step_three=StepState.OK)
    assert rig.drive(30.0)
    retried = rig.store.executions.require(again.execution_id)
    assert retried.status is ExecutionStatus.COMPLETED
    assert retried.result["deploy"] == 1
    assert rig.world.effects().count("deploy") == 1


def test_failing_tests_fail_the_run_and_say_how_many(rig: Rig) -> None:
    rig.behaviour.failing["e2e_tests"] = "menu link opens /menu: 404"
    execution = rig.store.executions.require(run(rig))
    assert execution.error_code == "e2e_failed"
    assert execution.error == "1 of 12 tests failed: menu link opens /menu: 404."
    assert execution.result["tests"] == {"passed": 11, "failed": 1, "skipped": 0}


def test_a_missing_browser_skips_two_steps_and_the_run_is_ok(rig: Rig) -> None:
    remedy = "playwright install chromium"
    rig.behaviour.skipped = {"screenshot": remedy, "e2e_tests": remedy}
    execution_id = run(rig)
    execution = rig.store.executions.require(execution_id)
    assert execution.status is ExecutionStatus.COMPLETED
    assert execution.result["detail"] == "ok, 2 skipped"
    assert states(rig, execution_id)[5:] == ["skipped", "skipped"]
    assert rig.store.executions.steps(execution_id)[5].detail == remedy


def test_tests_that_are_not_wanted_are_skipped(rig: Rig) -> None:
    execution_id = run(rig, skip_tests=True)
    assert states(rig, execution_id)[6] == "skipped"
    assert "e2e_tests" not in rig.world.effects()


@pytest.mark.parametrize("error", [RuntimeError("disk\nexploded"), KeyError("port")])
def test_a_step_that_breaks_ends_the_run_with_a_sentence(rig: Rig, error: Exception) -> None:
    rig.behaviour.publish_error = error
    execution_id = run(rig)
    execution = rig.store.executions.require(execution_id)
    assert (execution.status, execution.error_code) == (ExecutionStatus.FAILED, "unexpected")
    assert execution.error is not None
    assert execution.error.startswith("The step deploy broke unexpectedly")
    assert "\n" not in execution.error
    assert execution.error_remedy
    assert states(rig, execution_id) == ["ok"] * 3 + ["failed"] + ["pending"] * 3
    assert wait_for(lambda: rig.engine.state(execution_id) is EngineState.ENDED, deadline_s=10.0)


def test_a_refusal_keeps_its_code_and_remedy(rig: Rig) -> None:
    rig.behaviour.publish_error = NothingToDeployError("No site.", remedy="Ask for one.")
    execution = rig.store.executions.require(run(rig))
    assert (execution.error, execution.error_code) == ("No site.", "empty_source")
    assert execution.error_remedy == "Ask for one."


def test_a_cancel_in_a_long_step_ends_the_step_the_run_and_claudes_turn(rig: Rig) -> None:
    rig.behaviour.turn_hangs = True
    execution = rig.store.executions.add(rig.add_session())
    rig.drive(30.0, until=lambda: "generate_site" in rig.world.effects())
    rig.store.executions.request_cancel(execution.execution_id)
    assert rig.drive(30.0)
    ended = rig.store.executions.require(execution.execution_id)
    assert ended.status is ExecutionStatus.CANCELLED
    assert states(rig, execution.execution_id) == ["ok"] * 2 + ["cancelled"] * 5
    assert "interrupt" in rig.world.effects()
    assert ended.error_code == "cancelled"


def test_a_queued_run_is_cancelled_without_being_run(tmp_path: Path, rig: Rig) -> None:
    execution = rig.store.executions.add(rig.add_session())
    rig.store.executions.request_cancel(execution.execution_id)
    assert rig.drive(30.0)
    assert states(rig, execution.execution_id) == ["cancelled"] * 7
    assert rig.world.effects() == []
    assert rig.engine.state(execution.execution_id) is EngineState.UNKNOWN


def test_five_runs_at_once_never_exceed_the_limit_and_keep_their_order(rig: Rig) -> None:
    lock, inside, most, order = threading.Lock(), [0], [0], list[str]()

    def count(request: PublishRequest) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            order.append(request.execution_id)
        threading.Event().wait(0.1)
        with lock:
            inside[0] -= 1

    rig.behaviour.publish_hook = count
    ids = [rig.store.executions.add(rig.add_session(n)).execution_id for n in range(1, 6)]
    assert rig.drive(60.0)
    assert most[0] == 2
    assert set(order[:2]) == set(ids[:2])
    assert all(rig.store.executions.require(one).status is ExecutionStatus.COMPLETED for one in ids)


def test_a_running_row_without_an_engine_run_is_admitted(rig: Rig) -> None:
    execution = rig.store.executions.add(rig.add_session())
    rig.store.executions.set_status(execution.execution_id, ExecutionStatus.RUNNING)
    assert rig.engine.state(execution.execution_id) is EngineState.UNKNOWN
    assert rig.drive(30.0)
    assert states(rig, execution.execution_id) == ["ok"] * 7


def test_a_running_row_whose_engine_run_has_ended_is_settled(rig: Rig) -> None:
    execution_id = run(rig)
    _reopen(rig, execution_id, "UPDATE steps SET state = 'running' WHERE n = 7")
    assert rig.drive(30.0)
    execution = rig.store.executions.require(execution_id)
    assert (execution.status, execution.error_code) == (ExecutionStatus.FAILED, "engine_lost")
    assert execution.error_remedy
    assert states(rig, execution_id)[6] == "failed"


def test_a_lost_run_whose_steps_all_ended_is_complete(rig: Rig) -> None:
    execution_id = run(rig)
    _reopen(rig, execution_id)
    assert rig.drive(30.0)
    assert rig.store.executions.require(execution_id).status is ExecutionStatus.COMPLETED


def _reopen(rig: Rig, execution_id: str, *more: str) -> None:
    """What a crash of the disk could leave: the engine is done, the row is not."""
    assert wait_for(lambda: rig.engine.state(execution_id) is EngineState.ENDED, deadline_s=10.0)
    with rig.store.transaction() as connection:
        connection.execute("UPDATE executions SET status = 'running'")
        for statement in more:
            connection.execute(statement)


def test_an_engine_that_breaks_under_a_run_ends_it_with_a_sentence(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> bool:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(rig.runner, "run", broken)
    execution = rig.store.executions.require(run(rig))
    assert (execution.status, execution.error_code) == (ExecutionStatus.FAILED, "unexpected")
    assert "disk I/O error" in (execution.error or "")


def test_a_view_that_cannot_be_written_does_not_harm_the_run(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_execution_id: str) -> None:
        raise StorageError("The disk is full.", remedy="Free space.")

    monkeypatch.setattr(rig.views, "execution", full)
    assert rig.store.executions.require(run(rig)).status is ExecutionStatus.COMPLETED


def polling_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith(("dbos", "queue-w"))]


def comes_to_rest(rig: Rig) -> bool:
    """Not while the engine still records the end of a run."""
    rig.engine.rest()
    return rig.engine.is_resting


def test_an_idle_engine_rests_and_the_next_run_wakes_it(rig: Rig) -> None:
    first = run(rig)
    assert polling_threads()
    assert wait_for(lambda: comes_to_rest(rig), deadline_s=10)
    assert polling_threads() == []
    key = rig.store.executions.require(first).key
    second = rig.store.executions.add(key, from_step=4, step_three=StepState.OK).execution_id
    assert rig.drive(30.0)
    assert states(rig, second) == ["ok"] * 7
    assert not rig.engine.is_resting


def test_a_resting_engine_still_knows_what_it_ran(rig: Rig) -> None:
    execution_id = run(rig)
    assert wait_for(lambda: comes_to_rest(rig), deadline_s=10)
    assert rig.engine.state(execution_id) is EngineState.ENDED
    assert rig.engine.state("unknown") is EngineState.UNKNOWN


def test_an_engine_does_not_rest_while_a_run_is_unfinished(rig: Rig) -> None:
    rig.behaviour.turn_hangs = True
    execution_id = rig.store.executions.add(rig.add_session()).execution_id
    assert rig.drive(30.0, until=lambda: states(rig, execution_id)[2] == "running")
    rig.engine.rest()
    assert not rig.engine.is_resting
    rig.behaviour.turn_hangs = False
    assert rig.drive(30.0)
    assert states(rig, execution_id) == ["ok"] * 7


def test_runs_that_meet_an_engine_on_its_way_to_rest_are_not_lost(rig: Rig) -> None:
    key, done = rig.add_session(), threading.Event()

    def rest() -> None:
        while not done.wait(0.01):
            rig.engine.rest()

    thread = threading.Thread(target=rest)
    thread.start()
    try:
        for _ in range(5):
            rig.store.executions.add(key)
            assert rig.drive(30.0)
    finally:
        done.set()
        thread.join(10)
    ends = {one.status for one in rig.store.executions.of_session(key)}
    assert ends == {ExecutionStatus.COMPLETED}


def test_a_stop_leaves_the_run_for_the_next_worker(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    first.behaviour.turn_hangs = True
    first.engine.start()
    execution = first.store.executions.add(first.add_session())
    first.drive(30.0, until=lambda: "generate_site" in first.world.effects())
    assert first.engine.shutdown(10.0)
    row = first.store.executions.require(execution.execution_id)
    assert row.status is ExecutionStatus.RUNNING
    assert states(first, execution.execution_id)[2] == "running"
    assert "interrupt" not in first.world.effects()
    first.store.close()

    with started(tmp_path) as second:
        assert second.drive(30.0)
        assert states(second, execution.execution_id) == ["ok"] * 7
        assert second.world.effects().count("generate_site") == 1
        assert second.store.executions.steps(execution.execution_id)[2].tries == 2


def test_a_cancel_while_no_worker_lives_is_done_by_the_next(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        first.behaviour.turn_hangs = True
        execution = first.store.executions.add(first.add_session())
        first.drive(30.0, until=lambda: "generate_site" in first.world.effects())
    with started(tmp_path) as second:
        second.store.executions.request_cancel(execution.execution_id)
        assert second.drive(30.0)
        ended = second.store.executions.require(execution.execution_id)
        assert ended.status is ExecutionStatus.CANCELLED
        assert "interrupt" in second.world.effects()


def test_a_run_of_this_host_under_another_name_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path) as first:
        first.behaviour.turn_hangs = True
        execution = first.store.executions.add(first.add_session())
        first.drive(30.0, until=lambda: "generate_site" in first.world.effects())
    monkeypatch.setattr("socket.gethostname", lambda: "renamed")
    assert executor_id(0) == "renamed-0"
    with started(tmp_path) as second:
        assert second.drive(30.0)
        assert states(second, execution.execution_id) == ["ok"] * 7


def test_a_run_of_another_version_ends_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path) as first:
        first.behaviour.turn_hangs = True
        execution = first.store.executions.add(first.add_session())
        first.drive(30.0, until=lambda: "generate_site" in first.world.effects())
    monkeypatch.setattr("core.pipeline.engine.APPLICATION_VERSION", "2")
    with started(tmp_path) as second:
        assert second.drive(30.0)
        ended = second.store.executions.require(execution.execution_id)
        assert (ended.status, ended.error_code) == (ExecutionStatus.FAILED, "engine_lost")
        assert ended.key.session_id in (ended.error_remedy or "")


class started:  # noqa: N801 - reads as a phrase
    """A rig with a running engine, stopped as SIGTERM would."""

    def __init__(self, folder: Path) -> None:
        self._rig = Rig(folder)

    def __enter__(self) -> Rig:
        self._rig.engine.start()
        return self._rig

    def __exit__(self, *_arguments: object) -> None:
        assert self._rig.engine.shutdown(10.0)
        self._rig.store.close()


def test_a_brief_that_waits_is_withdrawn_by_a_cancel(rig: Rig) -> None:
    rig.behaviour.turn_hangs = True
    rig.behaviour.receipt = Receipt.QUEUED
    execution = rig.store.executions.add(rig.add_session())
    rig.drive(30.0, until=lambda: "generate_site" in rig.world.effects())
    rig.store.executions.request_cancel(execution.execution_id)
    assert rig.drive(30.0)
    prompt = rig.store.prompts.get(f"{execution.execution_id}:3")
    assert prompt is not None
    assert prompt.receipt is Receipt.REFUSED


def test_the_engines_file_is_private_and_in_wal_mode(rig: Rig) -> None:
    assert stat.S_IMODE(rig.root.engine.stat().st_mode) == 0o600
    connection = sqlite3.connect(rig.root.engine)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()


def test_the_engine_says_nothing_on_the_terminal(tmp_path: Path) -> None:
    Rig(tmp_path).store.close()
    worker = subprocess.run(
        [sys.executable, "-m", "tests.unit.pipeline_worker", str(tmp_path)],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (worker.returncode, worker.stdout, worker.stderr) == (0, b"", b"")
    assert not logging.getLogger("dbos").propagate


def test_an_unusable_engine_file_is_a_sentence(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.root.engine.write_bytes(b"this is no database at all, but long enough to be read" * 20)
    with pytest.raises(StorageError, match="cannot be used"):
        rig.engine.start()
    rig.store.close()


def test_a_path_that_a_database_name_cannot_carry_is_refused(tmp_path: Path) -> None:
    assert database_url(tmp_path / "a b" / "engine.sqlite")
    with pytest.raises(StorageError):
        database_url(tmp_path / "a?b" / "engine.sqlite")


def test_the_engine_is_imported_only_by_who_starts_it() -> None:
    modules = "core.pipeline.admission, core.pipeline.engine, core.pipeline.registry"
    code = (
        f"import sys, {modules}; core.pipeline.registry.load_steps();"
        " print([n for n in ('dbos', 'sqlalchemy', 'libtmux', 'playwright') if n in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert found.stdout.strip() == "[]"


def test_shutdown_says_when_a_step_does_not_leave(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    release = threading.Event()
    rig.behaviour.publish_hook = lambda _request: (release.wait(20), None)[1]
    rig.engine.start()
    execution = rig.store.executions.add(rig.add_session())
    rig.drive(30.0, until=lambda: states(rig, execution.execution_id)[3] == "running")
    assert not rig.engine.shutdown(0.2)
    release.set()
    assert rig.engine.shutdown(10.0)
    row = rig.store.executions.require(execution.execution_id)
    assert row.status is ExecutionStatus.RUNNING
    rig.store.close()


def test_the_port_is_what_the_adapter_offers(rig: Rig) -> None:
    engine: DurableEngine = rig.engine
    assert engine.state("nobody") is EngineState.UNKNOWN
    assert not engine.drives("nobody")
