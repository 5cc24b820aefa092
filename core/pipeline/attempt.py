"""What a running step holds: its log, its line of progress, and the question whether to leave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from core.clock import Clock
from core.models.execution import Execution, Json, LogLevel, StepRecord
from core.store.store import Store

POLL_S = 0.1
PROGRESS_S = 0.2


class StepAttempt:
    """One attempt of one step; everything it says is committed when the call returns."""

    def __init__(
        self, *, store: Store, clock: Clock, execution: Execution, record: StepRecord,
        trace_id: str, stopping: threading.Event, changed: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._execution_id = execution.execution_id
        self._record = record
        self._trace_id = trace_id
        self._stopping = stopping
        self._changed = changed
        self._begin = clock.monotonic()
        self._asked_at = self._begin
        self._shown_at = self._begin - PROGRESS_S
        self._is_cancelled = False
        self._unshown: str | None = None

    @property
    def elapsed_ms(self) -> int:
        return round((self._clock.monotonic() - self._begin) * 1000)

    def log(
        self,
        message: str,
        details: Mapping[str, Json] | None = None,
        *,
        level: LogLevel = LogLevel.INFO,
    ) -> None:
        self._store.logs.append(
            self._execution_id, level, message, step=self._record.n,
            step_name=self._record.name, details=details, trace_id=self._trace_id,
        )  # fmt: skip
        self._changed(self._execution_id)

    def progress(self, text: str) -> None:
        """Shown at once, or with the next sign of life where the last one is too fresh."""
        self._unshown = text
        self._show()

    def cancelled(self) -> bool:
        """The worker stops, or the operator cancelled; the store is asked ten times a second."""
        self._show()
        return self._stopping.is_set() or self.is_cancel_requested()

    def is_cancel_requested(self) -> bool:
        now = self._clock.monotonic()
        if not self._is_cancelled and now - self._asked_at >= POLL_S:
            self._asked_at = now
            self._is_cancelled = self._store.executions.is_cancel_requested(self._execution_id)
        return self._is_cancelled

    def _show(self) -> None:
        now = self._clock.monotonic()
        text = self._unshown
        if text is None or now - self._shown_at < PROGRESS_S:
            return
        self._unshown = None
        self._shown_at = now
        self._store.executions.put_step(self._execution_id, replace(self._record, detail=text))
        self._changed(self._execution_id)
