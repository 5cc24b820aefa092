"""kill -9 of the worker before, in and after every step: it goes on, nothing missing or doubled."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.clock import wait_for
from core.models.execution import STEPS
from core.models.states import ExecutionStatus, StepState
from tests.unit.pipeline_worker import Rig

POINTS = ("before", "in", "after", "checkpoint")
# Their effects change the world; the looks of the other steps may be repeated.
ONCE = ("create_user", "create_session", "generate_site", "deploy")


def work(folder: Path, *arguments: str) -> int:
    """One worker process from start to end; its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "tests.unit.pipeline_worker", str(folder), *arguments],
        timeout=90, check=False,
    ).returncode  # fmt: skip


def kill_in_every_step(folder: Path, point: str) -> list[str]:
    """One run whose worker dies at that point of each step in turn; what went wrong."""
    folder.mkdir()
    rig = Rig(folder)
    execution = rig.store.executions.add(rig.add_session())
    wrong = []
    for step in STEPS:
        rig.world.kill_at(f"{step.name}:{point}")
        code = work(folder)
        if code != -signal.SIGKILL:
            wrong.append(f"{step.name}:{point} ended with {code}")
    if (code := work(folder)) != 0:
        wrong.append(f"the last worker ended with {code}")
    ended = rig.store.executions.require(execution.execution_id)
    if ended.status is not ExecutionStatus.COMPLETED:
        wrong.append(f"{point}: {ended.status} {ended.error}")
    steps = rig.store.executions.steps(execution.execution_id)
    wrong += [f"{point}: {one.name} {one.state}" for one in steps if one.state is not StepState.OK]
    effects = rig.world.effects()
    wrong += [
        f"{point}: {name} x {effects.count(name)}" for name in ONCE if effects.count(name) != 1
    ]
    wrong += [f"{point}: {one.name} missing" for one in STEPS if one.name not in effects]
    if len(rig.store.releases.deploys(execution.key)) != 1:
        wrong.append(f"{point}: {rig.store.releases.deploys(execution.key)}")
    rig.store.close()
    return wrong


def test_a_kill_at_any_point_of_any_step_neither_loses_nor_doubles_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(max_workers=len(POINTS)) as pool:
        found = pool.map(lambda point: kill_in_every_step(tmp_path / point, point), POINTS)
        assert [wrong for one in found for wrong in one] == []


def test_a_kill_between_the_record_of_a_deploy_and_its_end_is_one_deploy(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    execution = rig.store.executions.add(rig.add_session())
    rig.world.kill_at("deploy:recorded")
    assert work(tmp_path) == -signal.SIGKILL
    (tmp_path / "page.html").write_text("Claude went on writing in the meantime")
    assert work(tmp_path) == 0
    ended = rig.store.executions.require(execution.execution_id)
    assert ended.status is ExecutionStatus.COMPLETED
    assert ended.result["deploy"] == 1
    assert rig.world.effects().count("deploy") == 1
    rig.store.close()


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_run_publishes_the_release_it_took_whatever_is_written_later(
    tmp_path: Path, point: str
) -> None:
    rig = Rig(tmp_path)
    execution = rig.store.executions.add(rig.add_session())
    rig.world.kill_at(f"deploy:{point}")
    assert work(tmp_path) == -signal.SIGKILL
    (tmp_path / "page.html").write_text("Claude went on writing in the meantime")
    assert work(tmp_path) == 0
    deploys = rig.store.releases.deploys(execution.key)
    assert len(deploys) == 1
    assert deploys[0].release_id == hashlib.sha256(b"<h1>Hello</h1>").hexdigest()
    assert rig.world.effects().count("deploy") == 1
    rig.store.close()


def test_sigterm_leaves_the_step_and_the_next_worker_ends_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    execution = rig.store.executions.add(rig.add_session())
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.pipeline_worker", str(tmp_path), "--hang"]
    )
    try:
        assert wait_for(lambda: "generate_site" in rig.world.effects(), deadline_s=60.0)
        worker.terminate()
        assert worker.wait(30) == 143
    finally:
        worker.kill()
        worker.wait()
    row = rig.store.executions.require(execution.execution_id)
    assert row.status is ExecutionStatus.RUNNING
    assert rig.store.executions.steps(execution.execution_id)[2].state is StepState.RUNNING
    assert work(tmp_path) == 0
    assert rig.store.executions.require(execution.execution_id).status is (
        ExecutionStatus.COMPLETED
    )
    assert rig.world.effects().count("generate_site") == 1
    rig.store.close()
