"""The seven steps for the demo's site, the model's time taken out."""

from __future__ import annotations

from core.models.execution import StepRecord
from core.models.session import SessionKey
from core.models.states import ExecutionStatus
from core.services.services import Services
from tests.benchmarks.places import new_place
from tests.benchmarks.rows import Figure, Measure, Row, median, say
from tui.demo import BRIEF, EMAIL, PHONE
from tui.wiring import build_services

ROUNDS, BAR_MS = 3, 5000
MODEL_STEP = "generate_site"
RUN_TIMEOUT_S = 180.0


def measure(*, full: bool) -> list[Row]:
    rounds = ROUNDS * (3 if full else 1)
    with new_place() as place:
        services = build_services(str(place.path), None)
        user_id = services.users.create(EMAIL, PHONE, start=False).user.user_id
        one_run(services, user_id)
        runs = [one_run(services, user_id) for _ in range(rounds)]
    sums = [sum(parts.values()) - parts[MODEL_STEP] for parts in runs]
    middle = runs[sums.index(sorted(sums)[len(sums) // 2])]
    peers: dict[str, Figure] = {**middle, "runs": len(runs)}
    return [
        Row(name="pipeline_ms", value=median(sums), unit="ms", limit=BAR_MS, peers=peers)
    ]  # fmt: skip


def one_run(services: Services, user_id: str) -> dict[str, int]:
    """All seven steps of a new session; milliseconds by step."""
    created = services.sessions.create(user_id, prompt=BRIEF, start=False, simulated=True)
    execution_id = services.deploys.start(created.session.key, from_step=1).execution_id
    last: list[StepRecord] = []

    def keep(_execution: object, steps: list[StepRecord]) -> None:
        last[:] = steps

    execution = services.deploys.wait(execution_id, RUN_TIMEOUT_S, keep)
    parts = {step.name: step.ms or 0 for step in last}
    if execution.status is not ExecutionStatus.COMPLETED:
        say(f"  the run ended as {execution.status}: {execution.error}")
        parts["failed"] = 10 * BAR_MS
    say(f"  {parts}")
    stop(services, created.session.key)
    return parts


def stop(services: Services, key: SessionKey) -> None:
    """One Claude at a time, as a run alone on the computer."""
    services.chat.stop(key, RUN_TIMEOUT_S)


MEASURE = Measure(rows=("pipeline_ms",), run=measure)
