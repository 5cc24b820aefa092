"""Gives queued runs to the engine: oldest first, never more at once than the limit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from core.models.execution import Execution, StepRecord
from core.models.session import SessionKey
from core.models.states import ExecutionStatus, Receipt
from core.pipeline.engine import Engine, EngineState
from core.pipeline.runner import StepRunner
from core.store.store import Store

DEFAULT_LIMIT = 2
GENERATE = 3
"""The step that sends a prompt."""

logger = logging.getLogger(__name__)


class Admitter:
    """Keeps the rows of runs and the engine in agreement; called by the worker's loop.

    The first tick after the engine's start is the reconciliation of what a crash left: rows
    without a run are admitted, runs that ended without their row are settled.

    A run that would send a prompt waits in its row while a ceiling forbids it, and one that waits
    for the same in its step holds no place: deploys go on beside both.

    Args:
        paused: Why nothing may be sent to a session's Claude now; None where nothing forbids it.
    """

    def __init__(
        self, *, store: Store, engine: Engine, runner: StepRunner, limit: int = DEFAULT_LIMIT,
        paused: Callable[[SessionKey], str | None] = lambda _key: None,
    ) -> None:  # fmt: skip
        self._store = store
        self._engine = engine
        self._runner = runner
        self._limit = max(1, limit)
        self._paused = paused

    def tick(self) -> int:
        """Admit, cancel and settle what is due.

        Returns:
            How many runs hold a place now.

        Raises:
            StorageError: The store or the engine's file cannot be used now; the next tick tries
                again.
        """
        if self._runner.is_stopping:
            return 0
        unfinished = sorted(
            self._store.executions.unfinished(), key=lambda one: (one.created_at, one.execution_id)
        )
        running = sum(
            self._look_after(one) and not self._waits_in_step(one)
            for one in unfinished
            if one.status is ExecutionStatus.RUNNING
        )
        for execution in unfinished:
            if execution.status is not ExecutionStatus.PENDING:
                continue
            if execution.cancel_requested:
                self._runner.cancel(execution.execution_id)
            elif running < self._limit and not self._is_held(execution):
                self._admit(execution)
                running += 1
        return running

    def _look_after(self, execution: Execution) -> bool:
        """See to a run that holds a place; whether it still does."""
        execution_id = execution.execution_id
        if self._engine.drives(execution_id):
            return True
        state = self._engine.state(execution_id)
        if execution.cancel_requested:
            if state is EngineState.ACTIVE:
                self._engine.cancel(execution_id)
            self._runner.cancel(execution_id)
            return False
        if state is EngineState.UNKNOWN:
            logger.warning("run without an engine admitted", extra={"execution_id": execution_id})
            self._engine.admit(execution_id)
        elif state is EngineState.ENDED:
            self._runner.settle(execution_id)
            return False
        return True

    def _is_held(self, execution: Execution) -> bool:
        """Whether it would send a prompt that a ceiling forbids; its row says so."""
        if not execution.from_step <= GENERATE <= execution.to_step:
            return False
        why = self._paused(execution.key)
        step = self._generate_step(execution)
        if step.detail != why:
            self._store.executions.put_step(execution.execution_id, replace(step, detail=why))
            facts = {"execution_id": execution.execution_id, "why": why or "nothing holds it"}
            logger.info("run held" if why else "run no longer held", extra=facts)
        return why is not None

    def _waits_in_step(self, execution: Execution) -> bool:
        if execution.current_step != GENERATE or self._paused(execution.key) is None:
            return False
        prompt = self._store.prompts.get(f"{execution.execution_id}:{GENERATE}")
        return prompt is None or prompt.receipt is Receipt.QUEUED

    def _generate_step(self, execution: Execution) -> StepRecord:
        steps = self._store.executions.steps(execution.execution_id)
        return next(one for one in steps if one.n == GENERATE)

    def _admit(self, execution: Execution) -> None:
        """The row first: a crash in between leaves a row that the next tick admits."""
        self._runner.start(execution.execution_id)
        self._engine.admit(execution.execution_id)
        logger.info("run admitted", extra={"execution_id": execution.execution_id})
