"""The worker as a process: one per data root, told to leave, orphaned, idle."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator

import pytest

from core.errors import ConflictError
from core.models.states import ExecutionStatus
from tests.contract.loop_kit import (
    BRIEF,
    Loop,
    cpu_seconds,
    is_alive,
    main_prompts,
    rest,
    running_loop,
    site_turn,
)

IDLE_S = 10.0
IDLE_SHARE = 0.02
"""Far above what is measured, because the tests share the computer with others."""


@pytest.fixture
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


def test_many_starts_at_once_give_one_worker(loop: Loop) -> None:
    calls = [loop.spawn("worker", "--json") for _ in range(3)]
    ends = [(*call.communicate(timeout=60), call.returncode) for call in calls]
    assert [code for _, _, code in ends] == [0, 0, 0], ends
    pid = loop.worker_pid()
    assert all(f'"pid": {pid}' in out for out, _, _ in ends), ends
    second = loop.cli("worker", "--foreground", "--json")
    assert (second.exit, second.document["error"]["code"]) == (5, "worker_runs")
    assert loop.worker_pid() == pid


def test_a_worker_ends_when_its_data_root_is_gone(loop: Loop) -> None:
    pid = loop.wake()
    shutil.rmtree(loop.root.path)
    loop.until(lambda: not is_alive(pid), "the worker's end")
    assert not loop.root.path.exists()


def test_a_worker_that_cannot_work_says_why_and_nothing_is_queued(loop: Loop) -> None:
    loop.root.engine.mkdir()
    key = loop.session()
    loop.put_page(key)
    answer = loop.cli("deploy", key.session_id, "--to", "5", "--json", timeout_s=40)
    error = answer.document["error"]
    assert (answer.exit, error["code"]) == (5, "worker_down"), answer
    assert str(loop.root.engine) in error["message"]
    assert loop.services.status.newest(key) is None
    loop.root.engine.rmdir()
    assert loop.cli("deploy", key.session_id, "--to", "5").exit == 0


def why_none_comes_up(loop: Loop) -> str | None:
    try:
        loop.services.environment.worker.wake()
    except ConflictError as error:
        return error.message
    return None


def test_a_run_whose_engine_is_lost_goes_on_when_there_is_one_again(loop: Loop) -> None:
    key = loop.session()
    loop.put_page(key)
    execution_id = loop.start(key, to_step=5)
    loop.kill_worker()
    for path in loop.root.path.glob("engine.sqlite*"):
        path.unlink()
    loop.root.engine.mkdir()
    reason = loop.until(lambda: why_none_comes_up(loop), "a sentence")
    assert str(loop.root.engine) in reason
    loop.root.engine.rmdir()
    assert loop.wait(execution_id).status is ExecutionStatus.COMPLETED, loop.told(execution_id)
    assert len(loop.services.deploys.deploys(key)) == 1


@pytest.mark.claude
@pytest.mark.tmux
def test_a_worker_that_is_told_to_end_leaves_its_run_to_the_next(loop: Loop) -> None:
    model = loop.model(site_turn(delay_s=2.0))
    key = loop.session(model)
    worker = loop.spawn("worker", "--foreground", "--json")
    loop.until(lambda: loop.worker_pid() == worker.pid, "the worker")
    execution_id = loop.start(key, from_step=1, to_step=5)
    loop.until(lambda: main_prompts(model, BRIEF), "the brief at the model")
    worker.send_signal(signal.SIGTERM)
    loop.until(lambda: not loop.runtime.worker_socket.exists(), "a closed door", interval_s=0.002)
    successor = loop.wake()
    _, log = worker.communicate(timeout=30)
    assert worker.returncode == 143, log
    assert successor != worker.pid
    execution = loop.wait(execution_id)
    assert execution.status is ExecutionStatus.COMPLETED, loop.told(execution_id)
    assert len(main_prompts(model, BRIEF)) == 1


@pytest.mark.claude
@pytest.mark.tmux
def test_an_idle_worker_with_an_idle_claude_costs_next_to_nothing(
    loop: Loop, record_property: Callable[[str, object], None]
) -> None:
    model = loop.model(site_turn())
    key = loop.session(model)
    loop.run(key, from_step=1, to_step=5)
    pid = loop.wake()
    loop.until(lambda: "engine rests" in loop.worker_log(), "an engine at rest")
    before = cpu_seconds(pid)
    rest(IDLE_S)
    share = (cpu_seconds(pid) - before) / IDLE_S
    record_property("worker_idle_share", share)
    assert share < IDLE_SHARE, f"{100 * share:.2f} % of a core"
    loop.deploy(key, "Bread after a rest")
    assert loop.worker_pid() == pid
