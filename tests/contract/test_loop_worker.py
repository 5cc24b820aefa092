"""The worker as a process: one per data root, told to leave, orphaned, idle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from core.models.execution import ExecutionStatus
from tests.contract.loop_kit import (
    BRIEF,
    Loop,
    cpu_seconds,
    is_alive,
    main_prompts,
    needs_claude,
    rest,
    running_loop,
    site_turn,
)

IDLE_S = 10.0
IDLE_SHARE = 0.015


@pytest.fixture
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


def test_many_starts_at_once_give_one_worker(loop: Loop) -> None:
    calls = [loop.spawn("worker", "--json") for _ in range(3)]
    ends = [call.communicate(timeout=60) + (call.returncode,) for call in calls]
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
    _, log = worker.communicate(timeout=30)
    assert worker.returncode == 143, log
    assert loop.services.deploys.get(execution_id).status is ExecutionStatus.RUNNING
    loop.wake()
    execution = loop.wait(execution_id)
    assert execution.status is ExecutionStatus.COMPLETED, loop.told(execution_id)
    assert len(main_prompts(model, BRIEF)) == 1


@pytest.mark.claude
@pytest.mark.tmux
def test_an_idle_worker_with_an_idle_claude_costs_next_to_nothing(
    loop: Loop, record_property: pytest.RecordProperty
) -> None:
    model = loop.model(site_turn())
    key = loop.session(model)
    loop.run(key, from_step=1, to_step=5)
    pid = loop.wake()
    rest(2.0)
    before = cpu_seconds(pid)
    rest(IDLE_S)
    share = (cpu_seconds(pid) - before) / IDLE_S
    record_property("worker_idle_share", share)
    print(f"worker, idle, one Claude awake: {100 * share:.2f} % of a core")
    assert share < 2 * IDLE_SHARE
