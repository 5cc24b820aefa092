from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import (
    AnswerIsNoError,
    BuilderError,
    CancelledError,
    ConflictError,
    MissingProgramError,
    NotFoundError,
    UsageError,
)
from core.models.execution import Json, LogLevel
from core.models.states import ExecutionStatus
from tests.unit.services_place import Place, make_place

STEP_KEYS = {"n", "name", "description", "state", "started_at", "ms", "tries", "detail", "log"}
RESULT: dict[str, Json] = {
    "deploy": 3, "url": "http://127.0.0.1:8123", "deployed_url": "http://127.0.0.1:8123",
    "files": {"total": 14, "changed": 2, "bytes": 19211},
    "check": {"status": 200, "type": "text/html", "bytes": 18402, "ms": 41, "tries": 1},
    "tests": {"passed": 11, "failed": 1, "skipped": 0},
    "shots": {"full": "deployment/tests/screenshot.png", "thumb": "t.png"},
    "resources": [{"kind": "local_site", "id": "x", "tags": {}}],
    "warnings": [{"code": "left_out", "message": ".env is not published."}],
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def test_a_queued_run_has_all_seven_steps_and_no_result(place: Place) -> None:
    execution = place.store.executions.add(place.session())
    document = place.services.status.document(execution.execution_id)

    assert list(document) == [
        "execution_id", "user_id", "session_id", "status", "current_step", "total_steps",
        "created_at", "updated_at", "steps", "logs", "result", "error",
    ]  # fmt: skip
    assert (document["status"], document["current_step"], document["total_steps"]) == (
        "pending", 0, 7,
    )  # fmt: skip
    steps = document["steps"]
    assert isinstance(steps, list)
    assert len(steps) == 7
    assert all(isinstance(step, dict) and set(step) == STEP_KEYS for step in steps)
    assert (document["result"], document["error"], document["logs"]) == (None, None, [])
    assert str(document["created_at"]).endswith("Z")
    json.dumps(document)


def test_a_failed_run_tells_its_step_log_error_and_exit(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key, from_step=4).execution_id
    place.store.executions.set_result(execution_id, RESULT)
    place.fail(execution_id, 7, "e2e_failed", "1 of 12 tests failed.")
    status = place.services.status

    document = status.document(execution_id)
    steps = document["steps"]
    assert isinstance(steps, list)
    assert isinstance(steps[6], dict)
    assert (steps[6]["state"], steps[6]["log"]) == ("failed", "logs/run-001.jsonl#L1")
    assert document["error"] == "1 of 12 tests failed."
    assert status.error(execution_id) == {
        "code": "e2e_failed", "message": "1 of 12 tests failed.", "fix": "tmux-builder test S",
        "retryable": True,
    }  # fmt: skip
    assert status.exit_code(execution_id) == 6
    assert status.warnings(execution_id) == RESULT["warnings"]


def test_the_deploy_document_has_every_promised_key(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    empty = place.services.status.deploy_document(execution_id)
    assert set(empty) == {
        "execution_id", "user_id", "session_id", "deploy", "url", "host_provider", "site_type",
        "state", "steps", "files", "check", "tests", "shots", "timings", "resources", "cost",
    }  # fmt: skip
    assert empty["cost"] == {
        "today_usd": 0.0, "total_usd": 0.0, "cloud_usd_day": 0.0, "complete": True,
        "estimated": True,
    }  # fmt: skip
    assert (empty["check"], empty["resources"], empty["state"]) == (None, [], "pending")

    place.store.executions.set_result(execution_id, RESULT)
    full = place.services.status.deploy_document(execution_id)
    for name in ("deploy", "url", "files", "check", "tests", "shots", "resources"):
        assert full[name] == RESULT[name]


def test_a_result_has_every_key_and_agrees_with_the_deploy(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    place.store.executions.set_result(execution_id, {"deploy": 3, "url": "http://x"})

    result = place.services.status.document(execution_id)["result"]
    assert isinstance(result, dict)
    assert (result["deployed_url"], result["url"], result["user_id"]) == (
        "http://x", "http://x", key.user_id,
    )  # fmt: skip
    assert {"session_id", "files", "check", "tests", "shots", "resources", "cost"} <= set(result)


def test_a_rollback_says_where_it_came_from(place: Place) -> None:
    execution = place.store.executions.add(place.session(), kind="rollback", release_id="r")
    place.store.executions.set_result(execution.execution_id, {"from_deploy": 4})

    assert place.services.status.deploy_document(execution.execution_id)["from_deploy"] == 4


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (ExecutionStatus.COMPLETED, None, 0), (ExecutionStatus.RUNNING, None, 7),
        (ExecutionStatus.CANCELLED, CancelledError("x", remedy="y"), 6),
        (ExecutionStatus.FAILED, AnswerIsNoError("x", remedy="y", code="health_failed"), 6),
        (ExecutionStatus.FAILED, ConflictError("x", remedy="y"), 5),
        (ExecutionStatus.FAILED, MissingProgramError("x", remedy="y", code="odd"), 8),
        (ExecutionStatus.FAILED, BuilderError("x", remedy="y", code="unexpected"), 1),
    ],
)  # fmt: skip
def test_the_exit_code_comes_from_the_record(
    place: Place, status: ExecutionStatus, error: BuilderError | None, expected: int
) -> None:
    execution_id = place.store.executions.add(place.session()).execution_id
    place.store.executions.set_status(
        execution_id,
        status,
        error=None if error is None else error.message,
        error_code=None if error is None else error.code,
        error_exit=None if error is None else int(error.exit_code),
    )

    assert place.services.status.exit_code(execution_id) == expected
    assert (place.services.status.error(execution_id) is None) == (error is None)


def test_debug_lines_show_only_when_asked_for(place: Place) -> None:
    execution_id = place.store.executions.add(place.session()).execution_id
    details: dict[str, Json] = {"path": "style.css"}
    place.store.logs.append(
        execution_id, LogLevel.INFO, "file uploaded", step=4, step_name="deploy", details=details,
        trace_id="t1",
    )  # fmt: skip
    place.store.logs.append(execution_id, LogLevel.DEBUG, "inner")
    status = place.services.status

    logs = status.document(execution_id)["logs"]
    assert isinstance(logs, list)
    assert len(logs) == 1
    assert isinstance(logs[0], dict)
    assert {**logs[0], "timestamp": ""} == {
        "timestamp": "", "level": "INFO", "message": "file uploaded", "step": 4,
        "step_name": "deploy", "details": details, "trace_id": "t1",
    }  # fmt: skip
    verbose = status.document(execution_id, verbose=True)["logs"]
    assert isinstance(verbose, list)
    assert len(verbose) == 2


def test_logs_are_filtered_by_run_step_level_time_and_line(place: Place) -> None:
    key = place.session()
    first = place.store.executions.add(key).execution_id
    place.store.logs.append(first, LogLevel.INFO, "old run")
    place.finish(first)
    second = place.store.executions.add(key).execution_id
    for level in LogLevel:
        place.store.logs.append(second, level, str(level), step=list(LogLevel).index(level))
    logs = place.services.status.logs

    assert [entry.message for entry in logs(key)] == ["INFO", "WARN", "ERROR"]
    assert [entry.message for entry in logs(key, level="debug")] == [str(one) for one in LogLevel]
    assert [entry.message for entry in logs(key, level=LogLevel.ERROR)] == ["ERROR"]
    assert [entry.message for entry in logs(key, step=2)] == ["WARN"]
    assert [entry.message for entry in logs(key, run=1)] == ["old run"]
    assert [entry.message for entry in logs(key, after_line=3)] == ["ERROR"]
    assert logs(key, since=place.clock.now() + timedelta(hours=1)) == []
    with pytest.raises(NotFoundError):
        logs(key, run=9)
    with pytest.raises(UsageError):
        logs(key, level="loud")
    assert place.services.status.logs(place.session("b@acme.io")) == []


def test_counts_by_state_leave_archived_sessions_out(place: Place) -> None:
    place.session("a@acme.io")
    place.deploy(place.session("b@acme.io"))
    place.services.sessions.archive(place.session("c@acme.io"))

    assert place.services.status.counts() == {
        "counts": {
            "needs_you": 0, "failed": 0, "working": 0, "live": 1, "idle": 1, "parked": 0,
            "ended": 0,
        },
        "total": 2,
    }  # fmt: skip


def test_an_unknown_execution_says_so(place: Place) -> None:
    for ask in (
        place.services.status.document, place.services.status.deploy_document,
        place.services.status.exit_code,
    ):  # fmt: skip
        with pytest.raises(NotFoundError):
            ask("nothing")
