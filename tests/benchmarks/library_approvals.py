"""From the operator's word to the tool at work: the real supervised Claude in its sandbox."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from core.clock import wait_for
from core.models.approval import Decision
from core.models.session import SessionKey
from core.services.services import Services
from tests.benchmarks.places import new_place
from tests.benchmarks.rows import Measure, Row, median, say
from tests.tmux.agents_bench import running
from tests.tmux.approvals_kit import bash, wish
from tmux_bridge.scripted_model import Reply, Script, ScriptedModel
from tui.wiring import build_services

ROUNDS, FULL_ROUNDS, UNREAD_ROUNDS = 12, 40, 5
READ_S = 1.0
"""An operator reads a question before the answer; without that the CLI still draws its dialog."""

BAR_MS = 500
DEADLINE_S = 60.0
TRACE = "began"


def measure(*, full: bool) -> list[Row]:
    """The worker is a process of its own; the decision is a call of the service in this one."""
    times: list[float] = []
    answered: list[float] = []
    with new_place(), running(ScriptedModel(script())) as model:
        services = build_services(None, None)
        key = new_session(services, model)
        one_round(services, key, READ_S)
        for number in range(FULL_ROUNDS if full else ROUNDS):
            began_ms, answered_ms = one_round(services, key, READ_S)
            times.append(began_ms)
            answered.append(answered_ms)
            say(f"  {number + 1}: tool after {began_ms:.0f} ms, answer after {answered_ms:.0f} ms")
        unread = [one_round(services, key, 0.0)[0] for _ in range(UNREAD_ROUNDS)]
        services.environment.store.close()
    return [
        Row(
            name="approval_to_tool_ms", value=median(times), unit="ms", limit=BAR_MS,
            peers={
                "rounds": len(times), "slowest_ms": round(max(times)),
                "call_answered_ms": round(median(answered)),
                "answered_unread_ms": round(median(unread)),
            },
        )
    ]  # fmt: skip


def script() -> Script:
    """Every wish runs the same command, whose first act is the trace that is looked for."""
    turn = wish("go", bash(f"sh -c 'touch source/{TRACE}'"))
    return Script(name="approvals", turns=(turn,), default=Reply(text="ok"))


def new_session(services: Services, model: ScriptedModel) -> SessionKey:
    user = services.users.create("ana@example.org", "+15550100199", start=False).user
    created = services.sessions.create(
        user.user_id, start=False, simulated=True, model_url=model.url, mode="supervised"
    )
    return created.session.key


def one_round(services: Services, key: SessionKey, read_s: float) -> tuple[float, float]:
    """Milliseconds from the call until the tool has begun, and until the call has returned."""
    paths = services.environment.root.session(key.user_id, key.session_id)
    trace = paths.source / TRACE
    trace.unlink(missing_ok=True)
    prompt = services.chat.send(key, "go")
    asked = wait_for(lambda: services.approvals.open(key), deadline_s=DEADLINE_S, interval_s=0.02)
    assert asked, "Claude never asked"
    time.sleep(read_s)
    watch = Watch(trace)
    began = time.monotonic()
    services.approvals.decide(key, Decision.ALLOW, timeout_s=DEADLINE_S)
    answered_ms = (time.monotonic() - began) * 1000
    seen = watch.wait()
    finish(services, prompt.prompt_id)
    return (seen - began) * 1000, answered_ms


def finish(services: Services, prompt_id: str) -> None:
    """Wait for the turn's end, so that the next wish finds an idle Claude."""

    def is_over() -> bool:
        turn = services.chat.turn(prompt_id)
        return turn is not None and turn.outcome is not None

    assert wait_for(is_over, deadline_s=DEADLINE_S, interval_s=0.02), "the turn never ended"


class Watch:
    """Looks for the tool's effect from a thread of its own, every two milliseconds."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace
        self._seen: float | None = None
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def wait(self) -> float:
        self._thread.join(DEADLINE_S)
        assert self._seen is not None, "the tool never began"
        return self._seen

    def _look(self) -> None:
        if wait_for(self._trace.exists, deadline_s=DEADLINE_S, interval_s=0.002):
            self._seen = time.monotonic()


MEASURE = Measure(rows=("approval_to_tool_ms",), run=measure)
