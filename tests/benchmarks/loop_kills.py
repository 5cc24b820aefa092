"""The worker killed at random instants over whole pipelines, and what became of their effects."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from dataclasses import dataclass, field

from core.clock import wait_for
from core.errors import BuilderError
from core.models.session import SessionKey
from core.models.states import ExecutionStatus
from core.paths import runtime_paths
from core.services.services import Services
from tests.benchmarks.places import new_place
from tests.benchmarks.rows import Measure, Row, say
from tests.tmux.agents_bench import main_requests, running
from tmux_bridge.launcher import WorkerLauncher, holder
from tmux_bridge.scripted_model import ScriptedModel, load_script
from tui.demo import EMAIL, PHONE
from tui.wiring import build_services

KILLS, FULL_KILLS = 20, 200
KILLS_PER_RUN = 4
LONGEST_LIFE_S = 4.0
RUN_TIMEOUT_S = 90.0
SEED = 20261123


@dataclass(slots=True)
class Damage:
    """What the kills broke."""

    kills: int = 0
    runs: int = 0
    unfinished: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def measure(*, full: bool) -> list[Row]:
    from core.paths import library_folder  # noqa: PLC0415 - beside its only use

    wanted, damage, chance = (FULL_KILLS if full else KILLS), Damage(), random.Random(SEED)
    script = load_script(library_folder() / "demo" / "bakery.json")
    with new_place() as place, running(ScriptedModel(script)) as model:
        services = build_services(str(place.path), None)
        user_id = services.users.create(EMAIL, PHONE, start=False).user.user_id
        while damage.kills < wanted:
            one_run(services, model, user_id, damage, chance)
    told = {"kills": damage.kills, "runs": damage.runs}
    return [
        Row(
            name="kills_unfinished", value=len(damage.unfinished), unit="runs", limit=0,
            peers={**told, "which": damage.unfinished},
        ),
        Row(
            name="kills_doubled", value=len(damage.doubled), unit="effects", limit=0,
            peers={**told, "which": damage.doubled},
        ),
    ]  # fmt: skip


def one_run(
    services: Services, model: ScriptedModel, user_id: str, damage: Damage, chance: random.Random
) -> None:
    """One pipeline, its worker killed some times; its successor is started by whoever waits."""
    number = damage.runs = damage.runs + 1
    brief = f"A bakery site, order number {number}."
    created = services.sessions.create(
        user_id, prompt=brief, start=False, model_url=model.url
    )  # fmt: skip
    key = created.session.key
    execution_id = services.deploys.start(key, from_step=1).execution_id
    killed = kill_some(services, execution_id, chance)
    damage.kills += killed
    execution = None
    with suppress(BuilderError):
        execution = services.deploys.wait(execution_id, RUN_TIMEOUT_S, lambda _run, _steps: None)
    if execution is None or execution.status is not ExecutionStatus.COMPLETED:
        why = "no end" if execution is None else f"{execution.status}: {execution.error}"
        damage.unfinished.append(f"run {number}: {why}")
    damage.doubled += doubled(services, model, key, brief)
    say(f"  run {number}: {killed} kills, {damage.kills} in all")
    services.chat.stop(key, RUN_TIMEOUT_S)


def kill_some(services: Services, execution_id: str, chance: random.Random) -> int:
    """SIGKILL at random instants until the run is over or had its share."""
    environment, killed = services.environment, 0
    launcher = WorkerLauncher(environment.root, environment.runtime)
    runtime = runtime_paths(environment.root, os.environ)

    def is_over() -> bool:
        execution = environment.store.executions.get(execution_id)
        return execution is not None and execution.status.is_over

    for _ in range(KILLS_PER_RUN):
        launcher.wake()
        pid = wait_for(lambda: holder(runtime.worker_lock), deadline_s=15, interval_s=0.01)
        if wait_for(is_over, deadline_s=chance.uniform(0, LONGEST_LIFE_S), interval_s=0.01):
            break
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        wait_for(lambda: holder(runtime.worker_lock) is None, deadline_s=5, interval_s=0.01)
    return killed


def doubled(
    services: Services, model: ScriptedModel, key: SessionKey, brief: str
) -> list[str]:  # fmt: skip
    """Effects that exist twice: the brief at the model, deploys, turns."""
    store = services.environment.store
    found = []
    told = {
        record.headers.get("x-claude-code-session-id", "")
        for record in main_requests(model)
        if record.text.strip() == brief and not record.tool_results
    }
    first_rounds = [
        record for record in main_requests(model)
        if record.text.strip() == brief and not record.tool_results
    ]  # fmt: skip
    if len(first_rounds) > 1 or len(told) > 1:
        found.append(f"{key.session_id}: brief {len(first_rounds)} times")
    deploys = len(store.releases.deploys(key))
    if deploys > 1:
        found.append(f"{key.session_id}: {deploys} deploys")
    prompts = len(store.prompts.of_session(key))
    if prompts > 1:
        found.append(f"{key.session_id}: {prompts} prompts")
    return found


MEASURE = Measure(rows=("kills_unfinished", "kills_doubled"), run=measure)
