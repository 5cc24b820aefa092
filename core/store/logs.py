"""The log of every run as rows; the 10,000th line costs what the first did."""

from __future__ import annotations

from collections.abc import Mapping

from core.clock import Clock, from_text, to_text
from core.models.execution import Json, LogEntry, LogLevel
from core.redaction import redacted, redacted_all
from core.store.columns import from_json, to_json
from core.store.database import Database, Row


class Logs:
    """Append and tail. Lines of one run count from 1."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def append(
        self, execution_id: str, level: LogLevel, message: str, *, step: int | None = None,
        step_name: str | None = None, details: Mapping[str, Json] | None = None,
        trace_id: str = "",
    ) -> LogEntry:  # fmt: skip
        """Add the run's next line; no known secret gets into it."""
        now = self._clock.now()
        message = redacted(message)
        told = {redacted(name): redacted_all(one) for name, one in (details or {}).items()}
        with self._database.transaction(durable=False) as connection:
            line: int = connection.execute(
                "INSERT INTO log_entries (execution_id, line, timestamp, level, message, step,"
                " step_name, details, trace_id) VALUES (?1, (SELECT COALESCE(MAX(line), 0) + 1"
                " FROM log_entries WHERE execution_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                " RETURNING line",
                (
                    execution_id, to_text(now), level, message, step, step_name,
                    to_json(told), trace_id,
                ),
            ).fetchone()[0]  # fmt: skip
        return LogEntry(
            line=line, timestamp=now, level=level, message=message, step=step,
            step_name=step_name, details=told, trace_id=trace_id,
        )  # fmt: skip

    def tail(
        self, execution_id: str, *, after_line: int = 0, limit: int | None = None
    ) -> list[LogEntry]:
        """Lines after `after_line`, oldest first; with a limit the newest that many."""
        rows = self._database.rows(
            "SELECT * FROM log_entries WHERE execution_id = ? AND line > ?"
            " ORDER BY line DESC LIMIT ?",
            (execution_id, after_line, -1 if limit is None else limit),
        )
        return [_entry(row) for row in reversed(rows)]


def _entry(row: Row) -> LogEntry:
    return LogEntry(
        line=row["line"],
        timestamp=from_text(row["timestamp"]),
        level=LogLevel(row["level"]),
        message=row["message"],
        step=row["step"],
        step_name=row["step_name"],
        details=from_json(row["details"]),
        trace_id=row["trace_id"],
    )
