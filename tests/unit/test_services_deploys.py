from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from core.errors import (
    AnswerIsNoError,
    BuilderError,
    ConfirmationNeededError,
    ConflictError,
    NotFoundError,
    NothingToDeployError,
    TimedOutError,
    UsageError,
)
from core.models.execution import Json
from core.models.release import Resource
from core.models.request import RequestKind
from core.models.session import SessionKey
from core.models.states import AgentState, ExecutionStatus, StepState
from tests.unit.services_place import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def with_site(place: Place) -> SessionKey:
    key = place.session()
    (place.source(key) / "index.html").write_text("<h1>hello</h1>")
    return key


def answers(
    place: Place, result: Mapping[str, Json]
) -> list[tuple[RequestKind, Mapping[str, Json]]]:
    """Let the worker answer every request with `result`; what it was asked."""
    asked: list[tuple[RequestKind, Mapping[str, Json]]] = []

    def work() -> None:
        for request in place.store.requests.queued():
            asked.append((request.kind, request.payload))
            place.store.requests.finish(request.request_id, result)

    place.worker.on_wake = work
    return asked


def test_a_deploy_runs_four_to_seven_and_shows_the_rest_as_done(place: Place) -> None:
    key = with_site(place)
    place.set_agent(key, AgentState.IDLE, claude_session_id="c1")
    execution = place.services.deploys.start(key)

    states = [step.state for step in place.services.deploys.steps(execution.execution_id)]
    assert states == [StepState.OK] * 3 + [StepState.PENDING] * 4
    assert (execution.from_step, execution.to_step, execution.kind) == (4, 7, "pipeline")
    assert place.worker.knocks == 1
    assert place.root.execution(execution.execution_id).is_file()


def test_where_claude_never_ran_step_three_is_skipped(place: Place) -> None:
    execution = place.services.deploys.start(with_site(place))

    steps = place.services.deploys.steps(execution.execution_id)
    assert steps[2].state is StepState.SKIPPED
    assert steps[2].detail == "Claude was never started in this session"


def test_a_second_deploy_while_one_runs_is_a_conflict(place: Place) -> None:
    key = with_site(place)
    place.services.deploys.start(key)

    with pytest.raises(ConflictError) as caught:
        place.services.deploys.start(key)
    assert caught.value.exit_code == 5
    assert len(place.store.executions.of_session(key)) == 1


@pytest.mark.parametrize("procfile", [None, "worker: python x.py\n"])
def test_an_empty_source_is_refused_with_what_is_missing(
    place: Place, procfile: str | None
) -> None:
    user = place.services.users.create("ana@acme.io", "+48600100200", start=False).user
    static = place.services.sessions.create(user.user_id, start=False).session.key
    dynamic = place.services.sessions.create(
        user.user_id, site_type="dynamic", start=False
    ).session.key
    if procfile is not None:
        (place.source(dynamic) / "Procfile").write_text(procfile)

    for key, what in ((static, "index.html"), (dynamic, "web:")):
        with pytest.raises(NothingToDeployError, match=what) as caught:
            place.services.deploys.start(key)
        assert caught.value.exit_code == 6
        assert place.store.executions.of_session(key) == []
        place.services.deploys.start(key, from_step=3)


@pytest.mark.parametrize(("first", "last"), [(0, 7), (5, 4), (4, 8)])
def test_steps_that_make_no_run_are_refused(place: Place, first: int, last: int) -> None:
    with pytest.raises(UsageError):
        place.services.deploys.start(with_site(place), from_step=first, to_step=last)


def test_a_check_alone_needs_a_deployed_site(place: Place) -> None:
    key = with_site(place)
    with pytest.raises(AnswerIsNoError):
        place.services.deploys.start(key, from_step=5)
    place.deploy(key)
    assert place.services.deploys.start(key, from_step=5).from_step == 5


def test_rollback_takes_the_newest_deploy_with_other_content(place: Place) -> None:
    key = with_site(place)
    deploys = place.services.deploys
    with pytest.raises(AnswerIsNoError, match="no earlier deploy"):
        deploys.rollback(key)
    for content in ("one", "two", "three", "three"):
        place.deploy(key, content)

    execution = deploys.rollback(key)
    assert (execution.kind, execution.release_id) == ("rollback", "release-two")
    place.finish(execution.execution_id)
    assert deploys.rollback(key, 1).release_id == "release-one"


def test_rollback_to_an_unknown_deploy_names_the_known(place: Place) -> None:
    key = with_site(place)
    place.deploy(key)
    place.deploy(key, "two")

    with pytest.raises(NotFoundError) as caught:
        place.services.deploys.rollback(key, 9)
    assert "1, 2" in caught.value.remedy


def test_cancel_marks_the_run_and_a_finished_one_says_so(place: Place) -> None:
    deploys = place.services.deploys
    execution = deploys.start(with_site(place))
    assert deploys.cancel(execution.execution_id).cancel_requested
    place.finish(execution.execution_id, ExecutionStatus.CANCELLED)

    with pytest.raises(ConflictError):
        deploys.cancel(execution.execution_id)
    with pytest.raises(NotFoundError):
        deploys.cancel("nothing")


def test_retry_goes_on_at_the_failed_step_with_the_same_intent(place: Place) -> None:
    key = with_site(place)
    deploys = place.services.deploys
    place.deploy(key)
    failed = deploys.start(key, skip_tests=True)
    with pytest.raises(ConflictError):
        deploys.retry(failed.execution_id)
    place.fail(failed.execution_id, 6, "screenshot_failed", "It timed out.")

    again = deploys.retry(failed.execution_id)
    assert (again.from_step, again.skip_tests, again.run) == (6, True, 3)
    states = [step.state for step in deploys.steps(again.execution_id)]
    assert states[3:] == [StepState.OK, StepState.OK, StepState.PENDING, StepState.PENDING]


def test_a_failed_rollback_is_retried_as_one(place: Place) -> None:
    key = with_site(place)
    place.deploy(key)
    place.deploy(key, "two")
    (place.source(key) / "index.html").unlink()
    failed = place.services.deploys.rollback(key)
    place.fail(failed.execution_id, 4, "busy", "The port is taken.")

    again = place.services.deploys.retry(failed.execution_id)
    assert (again.kind, again.release_id, again.from_step) == ("rollback", "release-one", 4)


def test_a_run_that_went_well_has_nothing_to_retry(place: Place) -> None:
    key = with_site(place)
    execution = place.services.deploys.start(key)
    for step in place.store.executions.steps(execution.execution_id):
        state = StepState.OK if step.n != 6 else StepState.SKIPPED
        place.store.executions.put_step(
            execution.execution_id, type(step)(n=step.n, name=step.name, state=state)
        )
    place.finish(execution.execution_id)

    with pytest.raises(ConflictError, match="went well"):
        place.services.deploys.retry(execution.execution_id)


def test_wait_tells_of_each_change_and_returns_the_ended_run(place: Place) -> None:
    execution = place.services.deploys.start(with_site(place))
    told: list[tuple[str, int]] = []
    moves = iter([(ExecutionStatus.RUNNING, 4), (ExecutionStatus.RUNNING, 5), None, None])

    def on_change(run: object, _steps: object) -> None:
        found = place.store.executions.require(execution.execution_id)
        told.append((str(found.status), found.current_step))
        move = next(moves)
        if move is None:
            place.finish(execution.execution_id)
        else:
            status, step = move
            place.store.executions.set_status(execution.execution_id, status, current_step=step)

    ended = place.services.deploys.wait(execution.execution_id, 20, on_change)
    assert ended.status is ExecutionStatus.COMPLETED
    assert told == [("pending", 0), ("running", 4), ("running", 5), ("completed", 7)]


def test_wait_has_an_end_and_the_work_goes_on(place: Place) -> None:
    execution = place.services.deploys.start(with_site(place))

    with pytest.raises(TimedOutError) as caught:
        place.services.deploys.wait(execution.execution_id, 0.1, None)
    assert caught.value.exit_code == 7
    assert not place.store.executions.require(execution.execution_id).cancel_requested


@pytest.mark.parametrize("confirm", [None, "", "yes", "sess_20200101_000000"])
def test_destroy_wants_the_name(place: Place, confirm: str | None) -> None:
    key = with_site(place)
    asked = answers(place, {})

    with pytest.raises(ConfirmationNeededError) as caught:
        place.services.deploys.destroy(key, confirm, 1)
    assert caught.value.exit_code == 9
    assert asked == []


def test_destroy_says_what_went_and_what_is_left(place: Place) -> None:
    key = with_site(place)
    left: dict[str, Json] = {"kind": "s3_bucket", "id": "b", "reason": "not empty"}
    answers(place, {"deleted": [{"kind": "local_site", "id": "x"}], "left": [left]})

    document = place.services.deploys.destroy(key, key.session_id.removeprefix("sess_"), 5)
    assert document == {
        "user_id": key.user_id, "session_id": key.session_id,
        "deleted": [{"kind": "local_site", "id": "x"}], "left": [left],
    }  # fmt: skip


def test_looks_are_asked_for_and_have_every_key(place: Place) -> None:
    key = with_site(place)
    asked = answers(place, {"url": "http://x", "port": 8123})
    deploys = place.services.deploys

    assert deploys.check(key, url="http://x", retries=2) == {
        "url": "http://x", "port": 8123, "status": None, "type": None, "bytes": None, "ms": None,
        "tries": None,
    }  # fmt: skip
    assert {"full", "thumb", "width", "height"} <= set(deploys.screenshot(key, width=800))
    assert {"passed", "failed", "skipped", "failures", "report"} <= set(
        deploys.test(key, grep="menu")
    )
    assert deploys.serve(key, 5) == ("http://x", 8123)
    assert asked == [
        (RequestKind.CHECK, {"url": "http://x", "retries": 2, "min_bytes": None}),
        (RequestKind.SCREENSHOT, {"width": 800, "full_page": True}),
        (RequestKind.TEST, {"grep": "menu", "list": False}),
        (RequestKind.SERVE, {}),
    ]


def test_a_look_that_says_no_still_shows_what_it_saw(place: Place) -> None:
    key = with_site(place)
    fault = AnswerIsNoError("404.", remedy="look", code="health_failed", data={"status": 404})

    def work() -> None:
        for request in place.store.requests.queued():
            place.store.requests.fail(request.request_id, fault)

    place.worker.on_wake = work
    with pytest.raises(BuilderError) as caught:
        place.services.deploys.check(key)
    assert (caught.value.exit_code, caught.value.code) == (6, "health_failed")
    assert caught.value.data is not None
    assert caught.value.data["status"] == 404
    assert "tries" in caught.value.data


def test_the_plan_names_the_next_run_and_changes_nothing(place: Place) -> None:
    key = with_site(place)
    before = sorted(path for path in place.root.path.rglob("*") if "state.sqlite" not in path.name)
    plan = place.services.deploys.plan(key)

    actions = plan["plan"]
    assert isinstance(actions, list)
    action = actions[0]
    assert isinstance(action, dict)
    tags = action["tags"]
    assert isinstance(tags, dict)
    assert (action["kind"], action["est_usd_day"]) == ("local_site", 0.0)
    assert tags["ExecutionID"] == f"{key.user_id}_{key.session_id}"
    files = plan["files"]
    assert isinstance(files, dict)
    assert (files["total"], files["changed"], files["deleted"]) == (2, 2, 0)
    after = sorted(path for path in place.root.path.rglob("*") if "state.sqlite" not in path.name)
    assert after == before
    assert place.worker.starts == 0

    place.deploy(key)
    again = place.services.deploys.plan(key)["plan"]
    assert isinstance(again, list)
    assert isinstance(again[0], dict)
    assert isinstance(again[0]["tags"], dict)
    assert str(again[0]["tags"]["ExecutionID"]).endswith("_r2")


def cloud_site(place: Place) -> SessionKey:
    user = place.services.users.create("ana@acme.io", "+48600100200", start=False).user
    key = place.services.sessions.create(user.user_id, host_provider="aws", start=False).session.key
    (place.source(key) / "index.html").write_text("<h1>hello</h1>")
    return key


def suffix_of(place: Place, key: SessionKey) -> str | None:
    session = place.store.sessions.get(key)
    assert session is not None
    return session.name_suffix


def test_a_suffix_is_kept_with_the_run_that_asked_for_it(place: Place) -> None:
    key = cloud_site(place)
    execution = place.services.deploys.start(key, suffix="x1")
    assert suffix_of(place, key) == "x1"
    place.finish(execution.execution_id, ExecutionStatus.FAILED)
    place.services.deploys.start(key)
    assert suffix_of(place, key) == "x1"


@pytest.mark.parametrize("suffix", ["", "X1", "a-b", "toolong123456", "é"])
def test_a_suffix_that_no_cloud_takes_is_refused(place: Place, suffix: str) -> None:
    key = cloud_site(place)
    for act in (place.services.deploys.start, place.services.deploys.plan):
        with pytest.raises(UsageError):
            act(key, suffix=suffix)
    assert suffix_of(place, key) is None
    assert place.store.executions.of_session(key) == []


def test_a_suffix_is_for_clouds_only(place: Place) -> None:
    with pytest.raises(UsageError, match="cloud hosts"):
        place.services.deploys.start(with_site(place), suffix="x1")


def test_once_there_are_resources_their_names_stay(place: Place) -> None:
    key = cloud_site(place)
    place.store.sessions.set_name_suffix(key, "x1")
    place.store.sessions.add_resource(key, Resource(kind="s3_bucket", resource_id="tmux-b"))
    with pytest.raises(ConflictError, match="tmux-b") as caught:
        place.services.deploys.start(key, suffix="x2")
    assert (caught.value.code, suffix_of(place, key)) == ("names_fixed", "x1")
    assert place.services.deploys.start(key, suffix="x1").run == 1


@pytest.mark.parametrize("cloud", ["aws", "azure"])
@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_a_plan_needs_no_login_and_shows_names_with_their_suffix(
    place: Place, cloud: str, kind: str
) -> None:
    user = place.services.users.create("ana@acme.io", "+48600100200", start=False).user
    key = place.services.sessions.create(
        user.user_id, host_provider=cloud, site_type=kind, start=False
    ).session.key
    (place.source(key) / "index.html").write_text("<h1>hello</h1>")
    (place.source(key) / "Procfile").write_text("web: exec python3 app.py\n")
    assert any("-x1-" in name for name in planned_ids(place, key, "x1"))
    assert not any("-x1-" in name for name in planned_ids(place, key, None))
    assert suffix_of(place, key) is None


def planned_ids(place: Place, key: SessionKey, suffix: str | None) -> list[str]:
    rows = place.services.deploys.plan(key, suffix=suffix)["plan"]
    assert isinstance(rows, list)
    return [str(row["id"]) for row in rows if isinstance(row, dict)]


def test_a_busy_session_keeps_its_names(place: Place) -> None:
    key = cloud_site(place)
    place.services.deploys.start(key)
    with pytest.raises(ConflictError):
        place.services.deploys.start(key, suffix="x1")
    assert suffix_of(place, key) is None


def test_the_limit_of_deletions_goes_with_the_run_its_retry_and_a_rollback(place: Place) -> None:
    key = with_site(place)
    deploys = place.services.deploys
    for content in ("one", "two"):
        place.deploy(key, content)
    failed = deploys.start(key, max_delete=7)
    assert failed.max_delete == 7
    place.fail(failed.execution_id, 4, "too_many_deletes", "It would delete 9.")
    again = deploys.retry(failed.execution_id)
    assert again.max_delete == 7
    place.finish(again.execution_id)
    assert deploys.rollback(key, None, 0).max_delete == 0


def test_the_plan_of_a_rollback_says_what_would_change(place: Place) -> None:
    key = with_site(place)
    place.deploy(key, "one")
    with pytest.raises(AnswerIsNoError):
        place.services.deploys.plan_rollback(key)
    place.deploy(key, "two")
    plan = place.services.deploys.plan_rollback(key)
    files = plan["files"]
    assert isinstance(files, dict)
    assert (files["total"], files["changed"], files["deleted"]) == (1, 1, 0)
    with pytest.raises(NotFoundError):
        place.services.deploys.plan_rollback(key, 9)
    assert place.worker.starts == 0


def test_drift_is_asked_of_the_worker(place: Place) -> None:
    key = with_site(place)
    found: Json = [{"kind": "s3_bucket", "id": "b", "what": "p", "expected": "x", "found": "y"}]
    asked = answers(place, {"drift": found})
    assert place.services.deploys.drift(key) == {
        "user_id": key.user_id, "session_id": key.session_id, "drift": found,
    }  # fmt: skip
    assert asked == [(RequestKind.DRIFT, {})]
