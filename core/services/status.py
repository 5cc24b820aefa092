"""Documents about runs and sessions, read from the store."""

from __future__ import annotations

from datetime import datetime

from core.errors import ExitCode, NotFoundError
from core.models.execution import Execution, Json, LogEntry, LogLevel
from core.models.overview import SessionRow, UserRow
from core.models.session import SessionKey
from core.models.states import SessionState
from core.services.context import Environment
from core.services.cost_reader import CostReader
from core.services.rows import RowReader
from core.store import documents

_LEVELS = {level: order for order, level in enumerate(LogLevel)}


class StatusService:
    """What `status`, `deploy` and the API show."""

    def __init__(self, environment: Environment) -> None:
        self._store = environment.store
        self._rows = RowReader(environment)
        self._ceilings = environment.ceilings
        self._costs = CostReader(environment.store, lambda: self._ceilings.today)

    def document(self, execution_id: str, *, verbose: bool = False) -> dict[str, Json]:
        """The execution document; with `verbose` its DEBUG entries too.

        Raises:
            NotFoundError: There is no such run.
        """
        execution = self._require(execution_id)
        logs = documents.shown_logs(self._store.logs.tail(execution_id), verbose=verbose)
        steps = self._store.executions.steps(execution_id)
        cost = self._costs.one(execution.key)
        return documents.execution_document(execution, steps, logs, cost)

    def deploy_document(self, execution_id: str) -> dict[str, Json]:
        """`data` of `deploy`, `rollback` (with `from_deploy`) and `demo` (with `simulated`)."""
        execution = self._require(execution_id)
        row = self._rows.one(execution.key)
        steps = self._store.executions.steps(execution_id)
        document = documents.deploy_document(execution, steps, row.session, row.cost)
        if execution.kind == "rollback":
            document["from_deploy"] = execution.result.get("from_deploy")
        return document

    def error(self, execution_id: str) -> dict[str, Json] | None:
        """The envelope's error object of a run that ended badly; None while all is well."""
        return documents.execution_error(self._require(execution_id))

    def warnings(self, execution_id: str) -> list[dict[str, Json]]:
        """The envelope's warnings: what a run collected, and ceilings that are near or reached."""
        execution = self._require(execution_id)
        told = self._ceilings.warnings(execution.key.user_id)
        found = documents.execution_warnings(execution)
        found += [{"code": code, "message": message} for code, message in told]
        return found

    def exit_code(self, execution_id: str) -> ExitCode:
        """How a verb that followed this run ends: from its record, never from a stream."""
        return documents.execution_exit(self._require(execution_id))

    def newest(self, key: SessionKey) -> Execution | None:
        """The session's newest run; None where there is none yet."""
        return self._store.executions.newest(key)

    def session_document(self, row: SessionRow) -> dict[str, Json]:
        """One session as `session list` gives it."""
        return documents.session_document(row)

    def user_document(self, row: UserRow, sessions: bool = False) -> dict[str, Json]:
        """One user as `user list` gives it; with `sessions` as `user show` does."""
        document = documents.user_row_document(row)
        if sessions:
            keys = [one.key for one in self._store.sessions.of_user(row.user.user_id)]
            document["sessions"] = [documents.session_document(self._rows.one(key)) for key in keys]
        return document

    def log_document(self, entry: LogEntry) -> dict[str, Json]:
        """One log entry as JSON."""
        return documents.log_document(entry)

    def counts(self) -> dict[str, Json]:
        """How many sessions, the archived ones aside, are in each state."""
        counts: dict[str, int] = dict.fromkeys((str(state) for state in SessionState), 0)
        rows = [row for row in self._rows.all() if not row.session.archived]
        for row in rows:
            counts[str(row.state)] += 1
        return {"counts": {**counts}, "total": len(rows)}

    def logs(
        self,
        key: SessionKey,
        *,
        step: int | None = None,
        level: LogLevel | str | None = None,
        since: datetime | None = None,
        run: int | None = None,
        after_line: int = 0,
    ) -> list[LogEntry]:
        """Entries of one run, the newest where none is given, oldest first.

        Args:
            level: The lowest level that is shown; without one everything but DEBUG.
            after_line: Only later lines, for a caller that follows.

        Raises:
            NotFoundError: The session has no such run.
        """
        runs = self._store.executions.of_session(key)
        chosen = next((one for one in runs if run is None or one.run == run), None)
        if chosen is None and run is not None:
            raise NotFoundError(
                f"{key.session_id} has no run {run}.", remedy=f"It has {len(runs)} runs."
            )
        if chosen is None:
            return []
        lowest = _LEVELS[LogLevel.INFO] if level is None else _LEVELS[_level(level)]
        entries = self._store.logs.tail(chosen.execution_id, after_line=after_line)
        return [
            entry
            for entry in entries
            if _LEVELS[entry.level] >= lowest
            and step in {None, entry.step}
            and (since is None or entry.timestamp >= since)
        ]

    def _require(self, execution_id: str) -> Execution:
        execution = self._store.executions.get(execution_id)
        if execution is None:
            raise NotFoundError(
                f"There is no execution {execution_id[:120]!r}.",
                remedy="tmux-builder session list",
            )
        return execution


def _level(value: str) -> LogLevel:
    from core.services.choices import choice_of  # noqa: PLC0415 - only a filter needs it

    level = choice_of(LogLevel, value.upper(), "level")
    assert level is not None  # noqa: S101 - a value was given
    return level
