"""Gives queued runs to the engine: oldest first, never more at once than the limit."""

from __future__ import annotations

import logging

from core.models.execution import Execution
from core.models.states import ExecutionStatus
from core.pipeline.engine import Engine, EngineState
from core.pipeline.runner import StepRunner
from core.store.store import Store

DEFAULT_LIMIT = 2

logger = logging.getLogger(__name__)


class Admitter:
    """Keeps the rows of runs and the engine in agreement; called by the worker's loop.

    The first tick after the engine's start is the reconciliation of what a crash left: rows
    without a run are admitted, runs that ended without their row are settled.
    """

    def __init__(
        self, *, store: Store, engine: Engine, runner: StepRunner, limit: int = DEFAULT_LIMIT
    ) -> None:
        self._store = store
        self._engine = engine
        self._runner = runner
        self._limit = max(1, limit)

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
            self._look_after(one) for one in unfinished if one.status is ExecutionStatus.RUNNING
        )
        for execution in unfinished:
            if execution.status is not ExecutionStatus.PENDING:
                continue
            if execution.cancel_requested:
                self._runner.cancel(execution.execution_id)
            elif running < self._limit:
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

    def _admit(self, execution: Execution) -> None:
        """The row first: a crash in between leaves a row that the next tick admits."""
        self._runner.start(execution.execution_id)
        self._engine.admit(execution.execution_id)
        logger.info("run admitted", extra={"execution_id": execution.execution_id})
