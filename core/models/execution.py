"""A run of the pipeline: its seven steps, its log and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.models.session import SessionKey
from core.models.states import ExecutionStatus, StepState

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

TOTAL_STEPS = 7


@dataclass(frozen=True, slots=True)
class StepName:
    """A row of the pipeline that never moves."""

    n: int
    name: str
    description: str


STEPS = (
    StepName(1, "create_user", "Make the user's GUID folder and registry entry"),
    StepName(2, "create_session", "Make the session's folder structure"),
    StepName(3, "generate_site", "Claude writes the site"),
    StepName(4, "deploy", "Put the site on its host"),
    StepName(5, "health_check", "Check that the URL answers 200 with the new release"),
    StepName(6, "screenshot", "Photograph the deployed site"),
    StepName(7, "e2e_tests", "Test the deployed site"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of one run. `log_line` is the line of its first entry in the run's log file."""

    n: int
    name: str
    state: StepState = StepState.PENDING
    tries: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ms: int | None = None
    detail: str | None = None
    log_line: int | None = None


class LogLevel(StrEnum):
    """Levels of a run's log."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line of a run's log. `line` counts from 1 within its execution."""

    line: int
    timestamp: datetime
    level: LogLevel
    message: str
    step: int | None
    step_name: str | None
    details: Mapping[str, Json]
    trace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A run. `run` counts from 1 within its session; steps outside from..to are not run."""

    execution_id: str
    key: SessionKey
    run: int
    status: ExecutionStatus
    current_step: int
    from_step: int
    to_step: int
    created_at: datetime
    updated_at: datetime
    kind: str = "pipeline"
    """`pipeline`, or `rollback` with `release_id` naming what to bring back."""
    release_id: str | None = None
    skip_tests: bool = False
    max_delete: int | None = None
    """How many stale files the publish may delete; the host's own limit where it is None."""
    cancel_requested: bool = False
    error: str | None = None
    error_code: str | None = None
    error_exit: int | None = None
    """The exit code that belongs to the error, from the error itself."""
    error_remedy: str | None = None
    result: Mapping[str, Json] = field(default_factory=dict)


def execution_id_for(key: SessionKey, run: int) -> str:
    """`<user_id>_<session_id>` for the first run of a session, then `…_r2`, `…_r3`."""
    first = f"{key.user_id}_{key.session_id}"
    return first if run == 1 else f"{first}_r{run}"
