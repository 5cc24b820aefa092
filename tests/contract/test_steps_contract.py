"""Every step that the registry finds, and what each says when its world is not as it should be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import (
    BuilderError,
    ExitCode,
    LoginNeededError,
    MissingProgramError,
    NeedsYouError,
    NotFoundError,
    TimedOutError,
)
from core.models.execution import STEPS, Execution, LogLevel
from core.models.session import Agent, SessionKey
from core.models.states import (
    AgentState,
    ExecutionStatus,
    Needs,
    PromptKind,
    Receipt,
    StepState,
    TurnOutcome,
)
from core.pipeline.ports import StepLimits
from core.pipeline.registry import load_step, load_steps
from core.pipeline.runner import RunParked
from core.ports.host import PublishRequest
from tests.unit.pipeline_worker import Pane, Rig

NAMES = [step.name for step in STEPS]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, limits=StepLimits(ready_s=1.0, turn_s=1.0, answer_s=0.2))
    yield rig
    rig.runner.close()
    rig.store.close()


def run_all(rig: Rig, execution: Execution) -> Execution:
    """Every wanted step in order, without the engine."""
    for n, _name in rig.runner.plan(execution.execution_id):
        if not rig.runner.run(execution.execution_id, n, "trace"):
            break
    return rig.store.executions.require(execution.execution_id)


def failed_with(rig: Rig, execution: Execution, step: str) -> str:
    """The code of a run that failed in that step, its sentence and remedy being there."""
    ended = run_all(rig, execution)
    assert ended.status is ExecutionStatus.FAILED
    assert ended.error
    assert ended.error_remedy
    records = rig.store.executions.steps(execution.execution_id)
    record = next(one for one in records if one.name == step)
    assert record.state is StepState.FAILED
    assert record.detail
    assert all(one.state is StepState.PENDING for one in records if one.n > record.n)
    assert ended.error_code is not None
    return ended.error_code


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_found_by_its_name(name: str) -> None:
    assert load_step(name).name == name


def test_a_step_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingProgramError, match="teleport"):
        load_step("teleport")


def test_the_registry_keeps_the_order_of_the_pipeline() -> None:
    assert [step.name for step in load_steps().values()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_step_can_be_asked_again_after_each_crash(rig: Rig, name: str) -> None:
    """The row says running and the intent is there, as a killed worker leaves them."""
    execution = rig.store.executions.add(rig.add_session())
    run_all(rig, execution)
    n = NAMES.index(name) + 1
    with rig.store.transaction() as connection:
        connection.execute("UPDATE steps SET state = 'running' WHERE n = ?", (n,))
        connection.execute("UPDATE executions SET status = 'running'")
    assert rig.runner.run(execution.execution_id, n, "trace")
    record = rig.store.executions.steps(execution.execution_id)[n - 1]
    assert (record.state, record.tries) == (StepState.OK, 2)
    once = ("create_user", "create_session", "generate_site", "deploy")
    assert all(rig.world.effects().count(one) == 1 for one in once)
    assert len(rig.store.releases.deploys(execution.key)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_has_ended_is_never_run_again(rig: Rig, name: str) -> None:
    execution = rig.store.executions.add(rig.add_session())
    run_all(rig, execution)
    before = rig.world.effects()
    with rig.store.transaction() as connection:
        connection.execute("UPDATE executions SET status = 'running'")
    assert rig.runner.run(execution.execution_id, NAMES.index(name) + 1, "trace")
    assert rig.world.effects() == before


@pytest.mark.parametrize("name", NAMES)
def test_no_step_begins_once_the_worker_stops(rig: Rig, name: str) -> None:
    execution = rig.store.executions.add(rig.add_session())
    rig.runner.stop()
    with pytest.raises(RunParked):
        rig.runner.run(execution.execution_id, NAMES.index(name) + 1, "trace")
    assert rig.world.effects() == []


@pytest.mark.parametrize("name", NAMES)
def test_no_step_begins_once_the_run_is_cancelled(rig: Rig, name: str) -> None:
    execution = rig.store.executions.add(rig.add_session())
    rig.store.executions.request_cancel(execution.execution_id)
    assert not rig.runner.run(execution.execution_id, NAMES.index(name) + 1, "trace")
    ended = rig.store.executions.require(execution.execution_id)
    assert ended.status is ExecutionStatus.CANCELLED
    assert rig.world.effects() == []


def test_the_brief_is_sent_under_an_id_made_from_the_run(rig: Rig) -> None:
    execution = rig.store.executions.add(rig.add_session())
    run_all(rig, execution)
    prompt = rig.store.prompts.get(f"{execution.execution_id}:3")
    assert prompt is not None
    assert (prompt.kind, prompt.text) == (PromptKind.BRIEF, "Write a page that says hello.")
    assert prompt.execution_id == execution.execution_id


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(TurnOutcome.FAILED, "turn_failed"), (TurnOutcome.INTERRUPTED, "turn_interrupted")],
)
def test_a_turn_that_did_not_finish_fails_the_step(
    rig: Rig, outcome: TurnOutcome, code: str
) -> None:
    rig.behaviour.turn_outcome = outcome
    execution = rig.store.executions.add(rig.add_session())
    assert failed_with(rig, execution, "generate_site") == code


def test_a_finished_turn_without_a_site_says_what_is_missing(rig: Rig) -> None:
    rig.behaviour.missing = "source/index.html does not exist"
    execution = rig.store.executions.add(rig.add_session())
    assert failed_with(rig, execution, "generate_site") == "empty_source"
    error = rig.store.executions.require(execution.execution_id).error
    assert "source/index.html does not exist" in (error or "")


@pytest.mark.parametrize(
    ("receipt", "code"),
    [(Receipt.UNKNOWN, "prompt_unknown"), (Receipt.REFUSED, "prompt_refused")],
)
def test_a_brief_without_a_receipt_is_never_sent_again(
    rig: Rig, receipt: Receipt, code: str
) -> None:
    execution = rig.store.executions.add(rig.add_session())
    prompt_id = f"{execution.execution_id}:3"
    rig.store.prompts.add(prompt_id, execution.key, PromptKind.BRIEF, "Hello.")
    rig.store.prompts.move(prompt_id, receipt, reason="no receipt after 30 s")
    assert failed_with(rig, execution, "generate_site") == code
    assert "generate_site" not in rig.world.effects()
    assert execution.key.session_id in (
        rig.store.executions.require(execution.execution_id).error_remedy or ""
    )


def test_a_wait_that_ends_without_a_receipt_says_that_it_is_unknown(rig: Rig) -> None:
    class SilentPane(type(rig.pane)):  # type: ignore[misc]  # the rig's own stand-in
        def wait_turn(self, prompt_id: str, **_wanted: object) -> None:
            rig.store.prompts.move(prompt_id, Receipt.UNKNOWN, reason="no receipt")
            raise TimedOutError("The wait is over.", remedy="Look.")

    object.__setattr__(rig.ports, "agent", SilentPane(rig.world, rig.store, rig.behaviour))
    execution = rig.store.executions.add(rig.add_session())
    assert failed_with(rig, execution, "generate_site") == "prompt_unknown"


def test_a_login_that_is_missing_keeps_its_remedy(rig: Rig) -> None:
    rig.behaviour.turn_error = [LoginNeededError("Not logged in.", remedy="claude auth login")]
    execution = rig.store.executions.add(rig.add_session())
    assert failed_with(rig, execution, "generate_site") == "login_needed"
    ended = rig.store.executions.require(execution.execution_id)
    assert ended.error_remedy == "claude auth login"


def test_a_question_of_claude_keeps_the_run_running_until_it_is_answered(rig: Rig) -> None:
    rig.behaviour.turn_error = [NeedsYouError("Claude asks: blue or green?", remedy="Answer.")]
    key = rig.add_session()
    execution = rig.store.executions.add(key)
    rig.store.agents.put(Agent(key=key, state=AgentState.WORKING))
    ended = run_all(rig, execution)
    assert ended.status is ExecutionStatus.COMPLETED
    waits = [one for one in rig.store.logs.tail(ended.execution_id) if one.level is LogLevel.WARN]
    assert [one.message for one in waits] == ["Claude waits for you"]


def test_a_question_that_nobody_answers_ends_the_run(rig: Rig) -> None:
    rig.behaviour.turn_error = [NeedsYouError("Claude asks: blue or green?", remedy="Answer.")]
    key = rig.add_session()
    execution = rig.store.executions.add(key)
    rig.store.agents.put(Agent(key=key, state=AgentState.NEEDS_YOU))
    assert failed_with(rig, execution, "generate_site") == "timed_out"


class FirstScreen(Pane):
    """A Claude that shows a question instead of starting; `leave` is what a person does there."""

    def __init__(self, rig: Rig, leave: Callable[[str], AgentState]) -> None:
        super().__init__(rig.world, rig.store, rig.behaviour)
        self._leave = leave
        self.asked = 0

    def ensure_ready(self, key: SessionKey, *, deadline_s: float) -> None:
        agent = self._store.agents.get(key)
        if agent.state is AgentState.ABSENT:
            self._store.agents.put(replace(agent, state=AgentState.NEEDS_YOU, needs=Needs.LOGIN))
            threading.Timer(0.1, self._act, (key,)).start()
        elif agent.state is not AgentState.NEEDS_YOU:
            return
        self.asked += 1
        raise NeedsYouError("Claude waits for you: Do you trust it?", remedy="Attach.")

    def _act(self, key: SessionKey) -> None:
        [prompt] = self._store.prompts.of_session(key)
        state = self._leave(prompt.prompt_id)
        self._store.agents.put(replace(self._store.agents.get(key), state=state, needs=None))


def at_first_screen(
    rig: Rig, leave: Callable[[str], AgentState], *, answer_s: float = 3600.0
) -> tuple[Execution, FirstScreen]:
    pane = FirstScreen(rig, leave)
    object.__setattr__(rig.ports, "agent", pane)
    object.__setattr__(rig.ports, "limits", StepLimits(answer_s=answer_s))
    return rig.store.executions.add(rig.add_session()), pane


def test_a_run_waits_at_a_first_run_screen_and_goes_on_when_it_is_answered(rig: Rig) -> None:
    seen: list[ExecutionStatus] = []

    def answer(prompt_id: str) -> AgentState:
        seen.append(rig.store.executions.require(execution.execution_id).status)
        return AgentState.IDLE

    execution, pane = at_first_screen(rig, answer)
    assert run_all(rig, execution).status is ExecutionStatus.COMPLETED
    assert (seen, pane.asked) == ([ExecutionStatus.RUNNING], 1)
    assert rig.world.effects().count("generate_site") == 1


def test_a_claude_that_is_ended_at_its_first_run_screen_ends_the_run(rig: Rig) -> None:
    def kill(prompt_id: str) -> AgentState:
        rig.store.prompts.move(prompt_id, Receipt.REFUSED, reason="Not typed: stopped.")
        return AgentState.ENDED

    execution, pane = at_first_screen(rig, kill)
    assert failed_with(rig, execution, "generate_site") == "prompt_refused"
    assert "stopped" in str(rig.store.executions.require(execution.execution_id).error)
    assert (pane.asked, "generate_site" in rig.world.effects()) == (1, False)


def test_a_run_that_is_cancelled_at_a_first_run_screen_ends_at_once(rig: Rig) -> None:
    def cancel(prompt_id: str) -> AgentState:
        rig.store.executions.request_cancel(execution.execution_id)
        return AgentState.NEEDS_YOU

    execution, _pane = at_first_screen(rig, cancel)
    assert run_all(rig, execution).status is ExecutionStatus.CANCELLED
    assert [one.receipt for one in rig.store.prompts.of_session(execution.key)] == [Receipt.REFUSED]


def test_a_brief_is_not_typed_after_its_run_has_given_up(rig: Rig) -> None:
    execution, _pane = at_first_screen(rig, lambda _id: AgentState.NEEDS_YOU, answer_s=0.2)
    assert failed_with(rig, execution, "generate_site") == "timed_out"
    assert rig.store.prompts.open() == []


@pytest.mark.parametrize(("error_exit", "code"), [(ExitCode.MISSING, 8), (None, 6)])
def test_a_refused_brief_ends_the_run_with_the_exit_code_of_its_cause(
    rig: Rig, error_exit: ExitCode | None, code: int
) -> None:
    execution = rig.store.executions.add(rig.add_session())
    prompt_id = f"{execution.execution_id}:3"
    rig.store.prompts.add(prompt_id, execution.key, PromptKind.BRIEF, "Hello.")
    rig.store.prompts.move(
        prompt_id, Receipt.REFUSED, reason="There is no claude.", error_exit=error_exit
    )
    assert failed_with(rig, execution, "generate_site") == "prompt_refused"
    assert rig.store.executions.require(execution.execution_id).error_exit == code


def test_a_deploy_without_a_site_says_what_is_missing(rig: Rig) -> None:
    rig.behaviour.missing = "Procfile has no web: line"
    execution = rig.store.executions.add(
        rig.add_session(), from_step=4, step_three=StepState.SKIPPED
    )
    assert failed_with(rig, execution, "deploy") == "empty_source"


def test_files_left_out_of_a_release_are_warnings(rig: Rig) -> None:
    rig.behaviour.left_out = (".env", "keys/id_rsa")
    execution = rig.store.executions.add(rig.add_session())
    ended = run_all(rig, execution)
    assert ended.result["warnings"] == [
        {"code": "left_out", "message": ".env is not published."},
        {"code": "left_out", "message": "keys/id_rsa is not published."},
    ]


def test_a_host_is_told_the_run_the_former_release_and_one_key(rig: Rig) -> None:
    seen: list[PublishRequest] = []
    rig.behaviour.publish_hook = seen.append
    key = rig.add_session()
    first = rig.store.executions.add(key)
    run_all(rig, first)
    (rig.root.path / "page.html").write_text("Better.")
    second = rig.store.executions.add(key, from_step=4, step_three=StepState.OK)
    run_all(rig, second)
    assert [one.previous and one.previous.release_id for one in seen] == [
        None,
        seen[0].release.release_id,
    ]
    assert seen[1].idempotency_key == f"{second.execution_id}:4"
    assert not seen[1].cancelled()


def test_a_rollback_publishes_the_former_release_and_takes_none(rig: Rig) -> None:
    key = rig.add_session()
    run_all(rig, rig.store.executions.add(key))
    former = rig.store.releases.deploys(key)[0].release_id
    (rig.root.path / "page.html").write_text("Worse.")
    run_all(rig, rig.store.executions.add(key, from_step=4, step_three=StepState.OK))
    rig.behaviour.missing = "source/ is empty now"
    back = rig.store.executions.add(
        key, from_step=4, kind="rollback", release_id=former, step_three=StepState.OK
    )
    ended = run_all(rig, back)
    assert ended.status is ExecutionStatus.COMPLETED
    assert (ended.result["deploy"], ended.result["from_deploy"]) == (3, 2)
    assert ended.result["release_id"] == former
    assert rig.checks.expected[-1] == former


def test_a_rollback_to_an_unknown_release_is_refused(rig: Rig) -> None:
    execution = rig.store.executions.add(
        rig.add_session(), from_step=4, kind="rollback", release_id="f" * 64
    )
    assert failed_with(rig, execution, "deploy") == NotFoundError.code


@pytest.mark.parametrize("n", [5, 6, 7])
def test_a_check_of_what_was_never_deployed_says_so(rig: Rig, n: int) -> None:
    execution = rig.store.executions.add(rig.add_session(), from_step=n)
    assert failed_with(rig, execution, NAMES[n - 1]) == "not_deployed"


def test_a_picture_that_cannot_be_made_fails_with_its_own_code(rig: Rig) -> None:
    rig.behaviour.failing["screenshot"] = "the page took longer than 30 s"
    execution = rig.store.executions.add(rig.add_session())
    assert failed_with(rig, execution, "screenshot") == "screenshot_failed"


def test_a_run_of_a_session_that_is_gone_fails(rig: Rig) -> None:
    execution = rig.store.executions.add(rig.add_session())
    with rig.store.transaction() as connection:
        connection.execute("DELETE FROM sessions")
    assert failed_with(rig, execution, "create_user") == "not_found"


def test_the_views_of_a_run_follow_while_a_step_still_runs(rig: Rig) -> None:
    rig.behaviour.turn_hangs = True
    execution = rig.store.executions.add(rig.add_session(), from_step=3)
    thread = threading.Thread(target=run_all, args=(rig, execution))
    thread.start()
    try:
        deadline = threading.Event()
        for _ in range(50):
            if rig.views.written:
                break
            deadline.wait(0.1)
        assert execution.execution_id in rig.views.written
    finally:
        rig.behaviour.turn_hangs = False
        thread.join(10)
    assert not thread.is_alive()


def test_an_error_of_a_port_keeps_its_own_code(rig: Rig) -> None:
    rig.behaviour.publish_error = BuilderError("It failed.", remedy="Do this.", code="odd")
    execution = rig.store.executions.add(rig.add_session())
    assert failed_with(rig, execution, "deploy") == "odd"


def test_a_deploy_that_is_recorded_is_not_published_again(rig: Rig) -> None:
    execution = rig.store.executions.add(rig.add_session())
    run_all(rig, execution)
    with rig.store.transaction() as connection:
        connection.execute("UPDATE steps SET state = 'running' WHERE n = 4")
        connection.execute("UPDATE executions SET status = 'running'")
    rig.behaviour.publish_error = BuilderError("Published twice.", remedy="Probe first.")
    assert rig.runner.run(execution.execution_id, 4, "trace")


def test_the_last_word_of_progress_is_shown_while_the_step_goes_on(rig: Rig) -> None:
    execution = rig.store.executions.add(rig.add_session())
    shown: list[str | None] = []

    def talk(request: PublishRequest) -> None:
        for number in range(20):
            request.log("file uploaded", {"path": f"{number}.css"})
        for _ in range(30):
            request.cancelled()
            threading.Event().wait(0.02)
        shown.append(rig.store.executions.steps(execution.execution_id)[3].detail)

    rig.behaviour.publish_hook = talk
    run_all(rig, execution)
    assert shown == ["file uploaded 19.css"]
