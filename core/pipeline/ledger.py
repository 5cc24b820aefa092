"""The rows of a run as it moves: each movement is one commit, so a crash falls between two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.clock import Clock
from core.errors import BuilderError, CancelledError
from core.models.execution import Execution, Json, LogLevel, StepRecord
from core.models.states import ExecutionStatus, StepState
from core.pipeline.step import StepOutcome
from core.store.store import Store

_LEVELS = {
    StepState.OK: LogLevel.INFO,
    StepState.SKIPPED: LogLevel.WARN,
    StepState.FAILED: LogLevel.ERROR,
    StepState.CANCELLED: LogLevel.WARN,
}
_MESSAGES = {
    StepState.OK: "step finished",
    StepState.SKIPPED: "step skipped",
    StepState.FAILED: "step failed",
    StepState.CANCELLED: "step cancelled",
}


class Ledger:
    """Moves the rows of runs and their steps. A run that is over never moves again."""

    def __init__(self, store: Store, clock: Clock, worker: str) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker

    def step(self, execution_id: str, n: int) -> StepRecord:
        return next(one for one in self._store.executions.steps(execution_id) if one.n == n)

    def start_run(self, execution_id: str) -> None:
        """The run holds one of the places from now on."""
        self._store.executions.set_status(execution_id, ExecutionStatus.RUNNING)

    def begin_step(
        self, execution: Execution, record: StepRecord, trace_id: str
    ) -> tuple[StepRecord, int]:
        """Commit that the step runs and what it is about to do.

        Returns:
            The row of the running step, and the number of the attempt: above 1 somebody tried
            before and died.
        """
        execution_id = execution.execution_id
        with self._store.transaction():
            intent = self._store.executions.begin_intent(
                f"{execution_id}:{record.n}", self._worker, {"step": record.name}
            )
            entry = self._store.logs.append(
                execution_id, LogLevel.INFO,
                "step started" if intent.attempt == 1 else "step taken up again",
                step=record.n, step_name=record.name, details={"try": record.tries + 1},
                trace_id=trace_id,
            )  # fmt: skip
            running = replace(
                record,
                state=StepState.RUNNING,
                tries=record.tries + 1,
                started_at=self._clock.now(),
                ended_at=None,
                ms=None,
                log_line=record.log_line or entry.line,
            )
            self._store.executions.put_step(execution_id, running)
            self._store.executions.set_status(
                execution_id, ExecutionStatus.RUNNING, current_step=record.n
            )
        return running, intent.attempt

    def end_step(
        self, execution: Execution, record: StepRecord, outcome: StepOutcome, trace_id: str
    ) -> None:
        """Commit the outcome, and with it the end of the run where this step ends it.

        Args:
            record: The running step's row with its `ms`.
        """
        execution_id = execution.execution_id
        ended = replace(
            record, state=outcome.state, ended_at=self._clock.now(), detail=outcome.detail
        )
        with self._store.transaction():
            self._store.executions.settle_intent(
                f"{execution_id}:{record.n}", {"state": outcome.state, "detail": outcome.detail}
            )
            self._store.executions.put_step(execution_id, ended)
            if outcome.result:
                self._store.executions.set_result(execution_id, outcome.result)
            self._log_step(execution_id, ended, trace_id)
            if outcome.state is StepState.FAILED:
                self._fail(execution_id, _failure_of(record, outcome), trace_id)
            elif record.n >= execution.to_step:
                self._complete(execution, trace_id)

    def cancel_run(self, execution_id: str, *, trace_id: str = "", ms: int | None = None) -> None:
        """End the run as the operator asked; every step that has not ended is cancelled."""
        with self._store.transaction():
            if self._is_over(execution_id):
                return
            error = CancelledError(
                "The operator cancelled the run.", remedy=self._again(execution_id)
            )
            for record in self._store.executions.steps(execution_id):
                if record.state.is_over:
                    continue
                was_running = record.state is StepState.RUNNING
                cancelled = replace(
                    record,
                    state=StepState.CANCELLED,
                    ended_at=self._clock.now() if was_running else None,
                    ms=ms if was_running else None,
                )
                self._store.executions.put_step(execution_id, cancelled)
                if was_running:
                    self._log_step(execution_id, cancelled, trace_id)
            self._end(execution_id, ExecutionStatus.CANCELLED, error)
            self._log(execution_id, LogLevel.WARN, "run cancelled", {}, trace_id)

    def fail_run(self, execution_id: str, error: BuilderError, *, trace_id: str = "") -> None:
        """End the run for a reason outside its steps; a step in flight fails with it."""
        with self._store.transaction():
            if self._is_over(execution_id):
                return
            for record in self._store.executions.steps(execution_id):
                if record.state is StepState.RUNNING:
                    failed = replace(
                        record,
                        state=StepState.FAILED,
                        ended_at=self._clock.now(),
                        detail=error.message,
                    )
                    self._store.executions.put_step(execution_id, failed)
                    self._log_step(execution_id, failed, trace_id)
            self._fail(execution_id, error, trace_id)

    def settle_run(self, execution_id: str) -> None:
        """End a run that nothing drives any more by what its steps say."""
        with self._store.transaction():
            if self._is_over(execution_id):
                return
            execution = self._store.executions.require(execution_id)
            wanted = range(execution.from_step, execution.to_step + 1)
            steps = [one for one in self._store.executions.steps(execution_id) if one.n in wanted]
            if all(one.state in {StepState.OK, StepState.SKIPPED} for one in steps):
                self._complete(execution, "")
            elif execution.cancel_requested:
                self.cancel_run(execution_id)
            else:
                self.fail_run(execution_id, self._lost(execution_id))

    def _complete(self, execution: Execution, trace_id: str) -> None:
        wanted = range(execution.from_step, execution.to_step + 1)
        skipped = sum(
            one.state is StepState.SKIPPED and one.n in wanted
            for one in self._store.executions.steps(execution.execution_id)
        )
        summary = f"ok, {skipped} skipped" if skipped else "ok"
        self._store.executions.set_result(execution.execution_id, {"detail": summary})
        self._end(execution.execution_id, ExecutionStatus.COMPLETED, None)
        self._log(
            execution.execution_id, LogLevel.INFO, "run completed", {"detail": summary}, trace_id
        )

    def _fail(self, execution_id: str, error: BuilderError, trace_id: str) -> None:
        self._end(execution_id, ExecutionStatus.FAILED, error)
        details: dict[str, Json] = {
            "code": error.code,
            "error": error.message,
            "remedy": error.remedy,
        }
        self._log(execution_id, LogLevel.ERROR, "run failed", details, trace_id)

    def _end(self, execution_id: str, status: ExecutionStatus, error: BuilderError | None) -> None:
        self._store.executions.set_status(
            execution_id,
            status,
            error=None if error is None else error.message,
            error_code=None if error is None else error.code,
            error_remedy=None if error is None else error.remedy,
            error_exit=None if error is None else int(error.exit_code),
        )

    def _lost(self, execution_id: str) -> BuilderError:
        return BuilderError(
            "The engine lost this run before its last step ended.",
            remedy=self._again(execution_id),
            code="engine_lost",
        )

    def _again(self, execution_id: str) -> str:
        return again(self._store.executions.require(execution_id))

    def _is_over(self, execution_id: str) -> bool:
        return self._store.executions.require(execution_id).status.is_over

    def _log_step(self, execution_id: str, record: StepRecord, trace_id: str) -> None:
        details: dict[str, Json] = {"ms": record.ms, "detail": record.detail}
        self._store.logs.append(
            execution_id, _LEVELS[record.state], _MESSAGES[record.state], step=record.n,
            step_name=record.name, details=details, trace_id=trace_id,
        )  # fmt: skip

    def _log(
        self, execution_id: str, level: LogLevel, message: str, details: Mapping[str, Json],
        trace_id: str,
    ) -> None:  # fmt: skip
        self._store.logs.append(execution_id, level, message, details=details, trace_id=trace_id)


def again(execution: Execution) -> str:
    """The remedy of a run that only has to be run again."""
    return f"Run it again with: tmux-builder deploy {execution.key.session_id}"


def _failure_of(record: StepRecord, outcome: StepOutcome) -> BuilderError:
    if outcome.failure is not None:
        return outcome.failure
    return BuilderError(
        f"The step {record.name} failed: {outcome.detail or 'it gave no reason'}.",
        remedy="Read its lines with tmux-builder session logs, then run it again.",
    )
