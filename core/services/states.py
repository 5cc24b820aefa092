"""Which of the seven states a session shows, and why. Pure functions of what the store holds."""

from __future__ import annotations

from datetime import datetime

from core.models.execution import Execution, StepRecord
from core.models.overview import RunStep
from core.models.session import Agent, Session
from core.models.states import AgentState, ExecutionStatus, SessionState

_AT_WORK = frozenset({AgentState.STARTING, AgentState.WORKING})
_RESTING = {AgentState.PARKED: SessionState.PARKED, AgentState.ENDED: SessionState.ENDED}


def shown_state(session: Session, agent: Agent, execution: Execution | None) -> SessionState:
    """The state with the strongest claim on the operator's attention."""
    status = None if execution is None else execution.status
    is_running = status is not None and not status.is_over
    if agent.state is AgentState.NEEDS_YOU:
        return SessionState.NEEDS_YOU
    if status is ExecutionStatus.FAILED:
        return SessionState.FAILED
    if is_running or agent.state in _AT_WORK:
        return SessionState.WORKING
    return _RESTING.get(agent.state) or (SessionState.LIVE if session.url else SessionState.IDLE)


def reason(
    state: SessionState, session: Session, agent: Agent, execution: Execution | None, now: datetime
) -> str:
    """One line: what the state rests on, which signal says so, and how old it is."""
    if state is SessionState.FAILED and execution is not None:
        return _line(execution.error or "the last run failed", "run", execution.updated_at, now)
    is_run = execution is not None and not execution.status.is_over
    if state is SessionState.WORKING and agent.state not in _AT_WORK and is_run:
        assert execution is not None  # noqa: S101 - is_run says so
        step = f"step {execution.current_step} of 7" if execution.current_step else "queued"
        return _line(f"run {execution.run}, {step}", "run", execution.updated_at, now)
    if state is SessionState.NEEDS_YOU:
        asked = agent.question or agent.evidence or f"Claude asks: {agent.needs or 'look'}"
        return _line(asked, agent.source, agent.since, now)
    if agent.state is AgentState.ABSENT:
        fact = f"served at {session.url}" if session.url else "Claude was not started yet"
        return _line(fact, "store", session.last_deployed_at or session.created_at, now)
    return _line(agent.evidence or str(agent.state), agent.source, agent.since, now)


def run_step(execution: Execution | None, step: StepRecord | None) -> RunStep | None:
    """Where the newest run stands; None before its first step."""
    if execution is None or step is None:
        return None
    return RunStep(n=step.n, name=step.name, state=step.state)


def age(since: datetime | None, now: datetime) -> str | None:
    """How long ago, in one unit; None when unknown."""
    if since is None:
        return None
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _line(fact: str, source: str, since: datetime | None, now: datetime) -> str:
    one_line = " ".join(fact.split())[:200]
    old = age(since, now)
    return f"{one_line} ({source})" if old is None else f"{one_line} ({source}, {old} ago)"
