"""Approvals with their answers, and what a session was allowed for good."""

from __future__ import annotations

from core.clock import Clock, from_text, to_text
from core.models.approval import Allowance, AnsweredBy, Approval, ApprovalState
from core.models.session import SessionKey
from core.store.columns import instant, text
from core.store.database import Database, Row
from core.store.sessions import touch

KEPT = 200
"""So many answered ones of a session stay for a look; a pane cannot fill the store."""

_COLUMNS = (
    "user_id, session_id, approval_id, tool_name, subject, tool_input, rule_subject, event_sha256,"
    " state, message, answered_by, created_at, deadline_at, answered_at"
)
_OF_SESSION = "user_id = ? AND session_id = ?"


class Approvals:
    """One row per question. Its state leaves `open` once and never changes again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, approval: Approval) -> bool:
        """Insert it unless it is there; whether it was new."""
        key = approval.key
        with self._database.transaction() as connection:
            cursor = connection.execute(
                f"INSERT INTO approvals ({_COLUMNS}) VALUES ({', '.join('?' * 14)})"
                " ON CONFLICT DO NOTHING",
                (
                    key.user_id, key.session_id, approval.approval_id, approval.tool_name,
                    approval.subject, approval.tool_input, approval.rule_subject,
                    approval.event_sha256, approval.state, approval.message,
                    approval.answered_by, to_text(approval.created_at),
                    to_text(approval.deadline_at), text(approval.answered_at),
                ),
            )  # fmt: skip
            if cursor.rowcount != 1:
                return False
            self._forget_old(key)
            touch(connection, key, self._clock.now())
            return True

    def get(self, key: SessionKey, approval_id: str) -> Approval | None:
        row = self._database.row(
            f"SELECT * FROM approvals WHERE {_OF_SESSION} AND approval_id = ?",
            (key.user_id, key.session_id, approval_id),
        )
        return None if row is None else _approval(row)

    def open(self, key: SessionKey | None = None) -> list[Approval]:
        """The open ones of a session, or of all, oldest first."""
        where, values = _of(key)
        rows = self._database.rows(
            f"SELECT * FROM approvals WHERE state = 'open'{where} ORDER BY created_at, rowid",
            values,
        )
        return [_approval(row) for row in rows]

    def newest(self, key: SessionKey, limit: int = KEPT) -> list[Approval]:
        """The newest of a session in any state, newest first."""
        rows = self._database.rows(
            f"SELECT * FROM approvals WHERE {_OF_SESSION} ORDER BY rowid DESC LIMIT ?",
            (key.user_id, key.session_id, limit),
        )
        return [_approval(row) for row in rows]

    def settle(
        self, key: SessionKey, approval_id: str, state: ApprovalState, *,
        answered_by: AnsweredBy | None = None, message: str | None = None,
    ) -> bool:  # fmt: skip
        """Answer an open one; False where it was answered before."""
        now = self._clock.now()
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE approvals SET state = ?, answered_by = ?, message = ?, answered_at = ?"
                f" WHERE {_OF_SESSION} AND approval_id = ? AND state = 'open'",
                (
                    state, answered_by, message, to_text(now), key.user_id, key.session_id,
                    approval_id,
                ),
            )  # fmt: skip
            if cursor.rowcount:
                touch(connection, key, now)
            return cursor.rowcount == 1

    def allow(self, key: SessionKey, tool_name: str, subject: str) -> None:
        """From now on this tool may do this without asking; the same again changes nothing."""
        now = self._clock.now()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO allowances (user_id, session_id, tool_name, subject, created_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (key.user_id, key.session_id, tool_name, subject, to_text(now)),
            )
            touch(connection, key, now)

    def is_allowed(self, key: SessionKey, tool_name: str, subject: str) -> bool:
        row = self._database.row(
            f"SELECT 1 FROM allowances WHERE {_OF_SESSION} AND tool_name = ? AND subject = ?",
            (key.user_id, key.session_id, tool_name, subject),
        )
        return row is not None

    def allowances(self, key: SessionKey | None = None) -> list[Allowance]:
        """What a session, or any, was allowed for good, oldest first."""
        where, values = _of(key)
        rows = self._database.rows(
            f"SELECT * FROM allowances WHERE 1{where} ORDER BY created_at, rowid", values
        )
        return [_allowance(row) for row in rows]

    def disallow(self, key: SessionKey, tool_name: str, subject: str) -> bool:
        """Take an allowance back; whether there was one."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                f"DELETE FROM allowances WHERE {_OF_SESSION} AND tool_name = ? AND subject = ?",
                (key.user_id, key.session_id, tool_name, subject),
            )
            if cursor.rowcount:
                touch(connection, key, self._clock.now())
            return cursor.rowcount == 1

    def _forget_old(self, key: SessionKey) -> None:
        self._database.execute(
            f"DELETE FROM approvals WHERE {_OF_SESSION} AND state <> 'open' AND rowid NOT IN"
            f" (SELECT rowid FROM approvals WHERE {_OF_SESSION} ORDER BY rowid DESC LIMIT ?)",
            (key.user_id, key.session_id, key.user_id, key.session_id, KEPT),
        )


def _of(key: SessionKey | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if key is None else (f" AND {_OF_SESSION}", (key.user_id, key.session_id))


def _approval(row: Row) -> Approval:
    answered_by = row["answered_by"]
    return Approval(
        key=SessionKey(row["user_id"], row["session_id"]),
        approval_id=row["approval_id"],
        tool_name=row["tool_name"],
        subject=row["subject"],
        tool_input=row["tool_input"],
        rule_subject=row["rule_subject"],
        event_sha256=row["event_sha256"],
        created_at=from_text(row["created_at"]),
        deadline_at=from_text(row["deadline_at"]),
        state=ApprovalState(row["state"]),
        message=row["message"],
        answered_by=None if answered_by is None else AnsweredBy(answered_by),
        answered_at=instant(row["answered_at"]),
    )


def _allowance(row: Row) -> Allowance:
    return Allowance(
        key=SessionKey(row["user_id"], row["session_id"]),
        tool_name=row["tool_name"],
        subject=row["subject"],
        created_at=from_text(row["created_at"]),
    )
