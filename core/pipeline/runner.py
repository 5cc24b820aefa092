"""Runs one step of one run: row before act, intent before effect, outcome before checkpoint."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace

from core.errors import BuilderError, NotFoundError
from core.models.execution import Execution, StepRecord
from core.models.session import Session
from core.models.states import StepState
from core.paths import DataRoot
from core.pipeline.attempt import StepAttempt
from core.pipeline.ledger import Ledger, again
from core.pipeline.ports import StepPorts
from core.pipeline.publishing import ViewPublisher
from core.pipeline.step import Step, StepContext, StepOutcome
from core.store.store import Store

logger = logging.getLogger(__name__)


class RunParked(BaseException):
    """The worker stops, so the run leaves without an end and is taken up at the next start.

    It is no `Exception`, because the engine records those as the step's end.
    """


class StepRunner:
    """What the engine calls for each step. Whatever a step does, its rows end in a known state."""

    def __init__(
        self, *, store: Store, root: DataRoot, ports: StepPorts, steps: Mapping[int, Step],
        worker: str,
    ) -> None:  # fmt: skip
        self._store = store
        self._root = root
        self._ports = ports
        self._steps = steps
        self._ledger = Ledger(store, ports.clock, worker)
        self._views = ViewPublisher(ports.views)
        self._stopping = threading.Event()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Steps leave at their next safe point; no new one begins."""
        self._stopping.set()

    def close(self) -> None:
        """Write the views that wait; call it when no step runs any more."""
        self._views.close()

    def plan(self, execution_id: str) -> list[tuple[int, str]]:
        """Number and name of the steps that the run wants; none where the run is unknown."""
        execution = self._store.executions.get(execution_id)
        if execution is None:
            logger.warning("run without a row", extra={"execution_id": execution_id})
            return []
        wanted = range(execution.from_step, execution.to_step + 1)
        return [(n, self._steps[n].name) for n in sorted(self._steps) if n in wanted]

    def run(self, execution_id: str, n: int, trace_id: str) -> bool:
        """Run step `n`, or take note that it has ended already; whether the run goes on.

        Raises:
            RunParked: The worker stops.
        """
        execution = self._store.executions.require(execution_id)
        record = self._ledger.step(execution_id, n)
        if execution.status.is_over:
            return False
        if record.state.is_over:
            return record.state in {StepState.OK, StepState.SKIPPED}
        if execution.cancel_requested:
            self._cancel(execution, record, trace_id)
            return False
        if self.is_stopping:
            raise RunParked
        return self._run(execution, record, trace_id)

    def start(self, execution_id: str) -> None:
        """The run is admitted."""
        self._ledger.start_run(execution_id)
        self._views.soon(execution_id)

    def cancel(self, execution_id: str) -> None:
        """Cancel a run that no thread drives; a driven one sees the request itself."""
        execution = self._store.executions.require(execution_id)
        running = [
            one
            for one in self._store.executions.steps(execution_id)
            if one.state is StepState.RUNNING
        ]
        self._cancel(execution, running[0] if running else None, "")

    def fail(self, execution_id: str, error: Exception, trace_id: str = "") -> None:
        """End a run whose engine or store broke under it."""
        if isinstance(error, BuilderError):
            reason = error
        else:
            logger.error("run broke", exc_info=error, extra={"execution_id": execution_id})
            execution = self._store.executions.require(execution_id)
            reason = _unexpected("The run", error, execution)
        self._ledger.fail_run(execution_id, reason, trace_id=trace_id)
        self._views.now(execution_id)

    def settle(self, execution_id: str) -> None:
        """Make sure that a run which nothing drives any more has an end."""
        if self._store.executions.get(execution_id) is None:
            return
        self._ledger.settle_run(execution_id)
        self._views.now(execution_id)

    def _run(self, execution: Execution, record: StepRecord, trace_id: str) -> bool:
        execution_id = execution.execution_id
        record, attempt_number = self._ledger.begin_step(execution, record, trace_id)
        self._views.soon(execution_id)
        attempt = StepAttempt(
            store=self._store, clock=self._ports.clock, execution=execution, record=record,
            trace_id=trace_id, stopping=self._stopping, changed=self._views.soon,
        )  # fmt: skip
        outcome = self._attempt(execution, record, attempt, is_first=attempt_number == 1)
        if outcome.state is StepState.FAILED:
            # A step that was told to leave gives no verdict on its work.
            if self._store.executions.is_cancel_requested(execution_id):
                self._cancel(execution, record, trace_id, ms=attempt.elapsed_ms)
                return False
            if self.is_stopping:
                attempt.log("step left for the next worker")
                raise RunParked
        ended = replace(record, ms=attempt.elapsed_ms)
        self._ledger.end_step(execution, ended, outcome, trace_id)
        self._views.now(execution_id)
        return outcome.state is not StepState.FAILED

    def _attempt(
        self, execution: Execution, record: StepRecord, attempt: StepAttempt, *, is_first: bool
    ) -> StepOutcome:
        facts = {"execution_id": execution.execution_id, "step": record.name}
        try:
            step = self._steps[record.n]
            ctx = self._context(execution, record, attempt)
            done = None if is_first else step.probe(ctx)
            return step.run(ctx) if done is None else done
        except BuilderError as error:
            logger.info("step failed", extra={**facts, "code": error.code})
            return _failed(error)
        except Exception as error:
            logger.exception("step broke", extra=facts)
            return _failed(_unexpected(f"The step {record.name}", error, execution))

    def _cancel(
        self, execution: Execution, record: StepRecord | None, trace_id: str,
        ms: int | None = None,
    ) -> None:  # fmt: skip
        """End the run; a step that is or was in flight lets go of what it started."""
        if record is not None and record.state is StepState.RUNNING:
            attempt = StepAttempt(
                store=self._store, clock=self._ports.clock, execution=execution, record=record,
                trace_id=trace_id, stopping=self._stopping, changed=self._views.soon,
            )  # fmt: skip
            self._abandon(execution, record, attempt)
        self._ledger.cancel_run(execution.execution_id, trace_id=trace_id, ms=ms)
        self._views.now(execution.execution_id)

    def _abandon(self, execution: Execution, record: StepRecord, attempt: StepAttempt) -> None:
        try:
            self._steps[record.n].abandon(self._context(execution, record, attempt))
        except Exception:
            # The run is cancelled all the same; what goes on is said in the log.
            logger.exception("step not abandoned", extra={"execution_id": execution.execution_id})

    def _context(
        self, execution: Execution, record: StepRecord, attempt: StepAttempt
    ) -> StepContext:
        return StepContext(
            execution=execution,
            session=self._session(execution),
            store=self._store,
            root=self._root,
            ports=self._ports,
            n=record.n,
            log=attempt.log,
            progress=attempt.progress,
            cancelled=attempt.cancelled,
        )

    def _session(self, execution: Execution) -> Session:
        session = self._store.sessions.get(execution.key)
        if session is None:
            raise NotFoundError(
                f"The session {execution.key.session_id} of this run does not exist.",
                remedy="List the sessions with: tmux-builder session list",
            )
        return session


def _failed(error: BuilderError) -> StepOutcome:
    return StepOutcome(state=StepState.FAILED, detail=error.message, failure=error)


def _unexpected(what: str, error: Exception, execution: Execution) -> BuilderError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".: ")
    return BuilderError(
        f"{what} broke unexpectedly ({reason}).",
        remedy=f"The worker's log has the traceback. {again(execution)}",
        code="unexpected",
    )
