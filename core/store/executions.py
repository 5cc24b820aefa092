"""Runs, their seven step rows, and the intents that make a repeated step safe."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.clock import Clock, from_text, to_text
from core.errors import ConflictError
from core.models.execution import STEPS, Execution, Json, StepRecord, execution_id_for
from core.models.session import SessionKey
from core.models.states import ExecutionStatus, StepState
from core.store.columns import from_json, instant, text, to_json, told, told_json
from core.store.database import Database, Row
from core.store.sessions import touch

NEVER_STARTED = "Claude was never started in this session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a step was about to do; an earlier attempt means: probe the world before acting."""

    intent_key: str
    attempt: int
    data: Mapping[str, Json]
    outcome: Mapping[str, Json] | None


class Executions:
    """One running execution per session; the database itself refuses a second."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, key: SessionKey, *, from_step: int = 1, to_step: int = 7, kind: str = "pipeline",
        release_id: str | None = None, skip_tests: bool = False,
        step_three: StepState | None = None, max_delete: int | None = None,
    ) -> Execution:  # fmt: skip
        """Queue the session's next run; steps before `from_step` are shown as done.

        Args:
            step_three: What step 3 shows when it is not run (skipped where Claude never ran).
            max_delete: How many stale files a publish may delete; the host's own limit if None.

        Raises:
            ConflictError: One is queued or running already.
        """
        now = to_text(self._clock.now())
        try:
            with self._database.transaction() as connection:
                run = self._next_run(key)
                execution_id = execution_id_for(key, run)
                connection.execute(
                    "INSERT INTO executions (execution_id, user_id, session_id, run, kind, status,"
                    " current_step, from_step, to_step, skip_tests, release_id, max_delete,"
                    " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        execution_id, key.user_id, key.session_id, run, kind,
                        ExecutionStatus.PENDING, 0, from_step, to_step, int(skip_tests),
                        release_id, max_delete, now, now,
                    ),
                )  # fmt: skip
                for step in STEPS:
                    state = StepState.OK if step.n < from_step else StepState.PENDING
                    detail = None
                    if step.n == 3 and from_step > 3 and step_three is not None:
                        state = step_three
                        detail = NEVER_STARTED if state is StepState.SKIPPED else None
                    connection.execute(
                        "INSERT INTO steps (execution_id, n, name, state, detail)"
                        " VALUES (?, ?, ?, ?, ?)",
                        (execution_id, step.n, step.name, state, detail),
                    )
                touch(connection, key, self._clock.now())
        except sqlite3.IntegrityError as error:
            raise ConflictError(
                f"A run of {key.session_id} is already queued or running.",
                remedy=f"Wait for it (tmux-builder status {key.session_id} --watch) or cancel it.",
            ) from error
        return self.require(execution_id)

    def get(self, execution_id: str) -> Execution | None:
        row = self._database.row("SELECT * FROM executions WHERE execution_id = ?", (execution_id,))
        return None if row is None else _execution(row)

    def require(self, execution_id: str) -> Execution:
        execution = self.get(execution_id)
        if execution is None:
            raise KeyError(execution_id)
        return execution

    def newest(self, key: SessionKey) -> Execution | None:
        row = self._database.row(
            "SELECT * FROM executions WHERE user_id = ? AND session_id = ? ORDER BY run DESC",
            (key.user_id, key.session_id),
        )
        return None if row is None else _execution(row)

    def newest_of_all(self) -> dict[SessionKey, Execution]:
        """The newest run of every session, in one query."""
        rows = self._database.rows(
            "SELECT e.* FROM executions e JOIN (SELECT user_id, session_id, MAX(run) AS run"
            " FROM executions GROUP BY user_id, session_id) n ON e.user_id = n.user_id"
            " AND e.session_id = n.session_id AND e.run = n.run"
        )
        found = (_execution(row) for row in rows)
        return {execution.key: execution for execution in found}

    def current_steps(self) -> dict[str, StepRecord]:
        """Of the newest run of every session the step it stands at, in one query."""
        rows = self._database.rows(
            "SELECT s.* FROM executions e JOIN (SELECT user_id, session_id, MAX(run) AS run"
            " FROM executions GROUP BY user_id, session_id) n ON e.user_id = n.user_id"
            " AND e.session_id = n.session_id AND e.run = n.run JOIN steps s"
            " ON s.execution_id = e.execution_id AND s.n = e.current_step"
        )
        return {row["execution_id"]: _step(row) for row in rows}

    def stamps(self) -> dict[str, datetime]:
        """Every run's id and when it last changed."""
        rows = self._database.rows("SELECT execution_id, updated_at FROM executions")
        return {row["execution_id"]: from_text(row["updated_at"]) for row in rows}

    def of_session(self, key: SessionKey) -> list[Execution]:
        """Every run of the session, newest first."""
        rows = self._database.rows(
            "SELECT * FROM executions WHERE user_id = ? AND session_id = ? ORDER BY run DESC",
            (key.user_id, key.session_id),
        )
        return [_execution(row) for row in rows]

    def unfinished(self) -> list[Execution]:
        """Runs that are queued or running, oldest first."""
        rows = self._database.rows(
            "SELECT * FROM executions WHERE status IN ('pending', 'running') ORDER BY created_at"
        )
        return [_execution(row) for row in rows]

    def set_status(
        self, execution_id: str, status: ExecutionStatus, *, current_step: int | None = None,
        error: str | None = None, error_code: str | None = None, error_remedy: str | None = None,
        error_exit: int | None = None,
    ) -> None:  # fmt: skip
        """Move the run; a finished one keeps its first end."""
        self._update(
            execution_id,
            "status = ?, current_step = COALESCE(?, current_step), error = ?, error_code = ?,"
            " error_remedy = ?, error_exit = ?",
            (status, current_step, told(error), error_code, told(error_remedy), error_exit),
            guard=" AND status IN ('pending', 'running')",
        )

    def set_result(self, execution_id: str, result: Mapping[str, Json]) -> None:
        """Merge keys into the run's result; what people read in it holds no known secret."""
        merged = {**self.require(execution_id).result, **result}
        self._update(execution_id, "result = ?", (told_json(merged),))

    def request_cancel(self, execution_id: str) -> None:
        self._update(execution_id, "cancel_requested = 1", ())

    def is_cancel_requested(self, execution_id: str) -> bool:
        row = self._database.row(
            "SELECT cancel_requested FROM executions WHERE execution_id = ?", (execution_id,)
        )
        return row is not None and bool(row["cancel_requested"])

    def steps(self, execution_id: str) -> list[StepRecord]:
        rows = self._database.rows(
            "SELECT * FROM steps WHERE execution_id = ? ORDER BY n", (execution_id,)
        )
        return [_step(row) for row in rows]

    def put_step(self, execution_id: str, step: StepRecord) -> None:
        """Write one step row whole."""
        execution = self.require(execution_id)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE steps SET state = ?, tries = ?, started_at = ?, ended_at = ?, ms = ?,"
                " detail = ?, log_line = ? WHERE execution_id = ? AND n = ?",
                (
                    step.state, step.tries, text(step.started_at), text(step.ended_at), step.ms,
                    told(step.detail), step.log_line, execution_id, step.n,
                ),
            )  # fmt: skip
            self._stamp(connection, execution)

    def begin_intent(self, intent_key: str, worker: str, data: Mapping[str, Json]) -> Intent:
        """Commit what is about to happen; attempt 1 means that nobody tried before."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO intents (intent_key, attempt, worker, created_at, data)"
                " VALUES (?, 1, ?, ?, ?) ON CONFLICT (intent_key) DO UPDATE SET"
                " attempt = attempt + 1, worker = excluded.worker",
                (intent_key, worker, to_text(self._clock.now()), to_json(data)),
            )
            row = connection.execute(
                "SELECT * FROM intents WHERE intent_key = ?", (intent_key,)
            ).fetchone()
        outcome = row["outcome"]
        return Intent(
            intent_key=intent_key,
            attempt=row["attempt"],
            data=from_json(row["data"]),
            outcome=None if outcome is None else from_json(outcome),
        )

    def settle_intent(self, intent_key: str, outcome: Mapping[str, Json]) -> None:
        """Record what happened, before the engine's own checkpoint."""
        self._database.execute(
            "UPDATE intents SET outcome = ? WHERE intent_key = ?",
            (told_json(outcome), intent_key),
        )

    def _next_run(self, key: SessionKey) -> int:
        row = self._database.row(
            "SELECT COALESCE(MAX(run), 0) + 1 AS run FROM executions"
            " WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )
        return 1 if row is None else int(row["run"])

    def _update(
        self, execution_id: str, assignments: str,
        values: tuple[str | int | None, ...], guard: str = "",
    ) -> None:  # fmt: skip
        execution = self.require(execution_id)
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE executions SET {assignments} WHERE execution_id = ?{guard}",
                (*values, execution_id),
            )
            self._stamp(connection, execution)

    def _stamp(self, connection: sqlite3.Connection, execution: Execution) -> None:
        now: datetime = self._clock.now()
        connection.execute(
            "UPDATE executions SET updated_at = ? WHERE execution_id = ?",
            (to_text(now), execution.execution_id),
        )
        touch(connection, execution.key, now)


def _execution(row: Row) -> Execution:
    return Execution(
        execution_id=row["execution_id"],
        key=SessionKey(row["user_id"], row["session_id"]),
        run=row["run"],
        kind=row["kind"],
        status=ExecutionStatus(row["status"]),
        current_step=row["current_step"],
        from_step=row["from_step"],
        to_step=row["to_step"],
        skip_tests=bool(row["skip_tests"]),
        cancel_requested=bool(row["cancel_requested"]),
        release_id=row["release_id"],
        max_delete=row["max_delete"],
        created_at=from_text(row["created_at"]),
        updated_at=from_text(row["updated_at"]),
        error=row["error"],
        error_code=row["error_code"],
        error_exit=row["error_exit"],
        error_remedy=row["error_remedy"],
        result=from_json(row["result"]),
    )


def _step(row: Row) -> StepRecord:
    return StepRecord(
        n=row["n"],
        name=row["name"],
        state=StepState(row["state"]),
        tries=row["tries"],
        started_at=instant(row["started_at"]),
        ended_at=instant(row["ended_at"]),
        ms=row["ms"],
        detail=row["detail"],
        log_line=row["log_line"],
    )
