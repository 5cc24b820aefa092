"""Acts that the worker is asked for, with their answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from core.clock import Clock, from_text, to_text
from core.errors import BuilderError
from core.models.execution import Json
from core.models.request import RESUMABLE, Request, RequestKind, RequestState
from core.models.session import SessionKey
from core.store.columns import from_json, to_json, told_json
from core.store.database import Database, Row

_AGAIN = "again"


class Requests:
    """A small mailbox: queued, taken, then done or failed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, kind: RequestKind, key: SessionKey, payload: Mapping[str, Json] | None = None,
        request_id: str | None = None,
    ) -> Request:  # fmt: skip
        """Ask for an act; the same id again is the same request."""
        request_id = request_id or uuid.uuid4().hex
        self._database.execute(
            "INSERT INTO requests (request_id, kind, user_id, session_id, payload, state,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                request_id, kind, key.user_id, key.session_id, to_json(dict(payload or {})),
                RequestState.QUEUED, to_text(self._clock.now()),
            ),
        )  # fmt: skip
        return self.require(request_id)

    def require(self, request_id: str) -> Request:
        row = self._database.row("SELECT * FROM requests WHERE request_id = ?", (request_id,))
        if row is None:
            raise KeyError(request_id)
        return _request(row)

    def queued(self) -> list[Request]:
        rows = self._database.rows(
            "SELECT * FROM requests WHERE state = 'queued' ORDER BY created_at, request_id"
        )
        return [_request(row) for row in rows]

    def unfinished(self, kind: RequestKind, key: SessionKey) -> Request | None:
        """The oldest of that kind that the session still waits for."""
        row = self._database.row(
            "SELECT * FROM requests WHERE user_id = ? AND session_id = ? AND kind = ?"
            " AND state IN ('queued', 'taken') ORDER BY created_at, request_id",
            (key.user_id, key.session_id, kind),
        )
        return None if row is None else _request(row)

    def take(self, request_id: str) -> bool:
        """Claim a queued request; False when somebody else was faster."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE requests SET state = 'taken' WHERE request_id = ? AND state = 'queued'",
                (request_id,),
            )
            return cursor.rowcount == 1

    def queue_again(self) -> int:
        """At a worker's start: what its predecessor died in and can be begun again, once.

        A second death in the same act is answered like any other, so that no act can keep killing
        workers.
        """
        again = 0
        with self._database.transaction() as connection:
            for request in self._taken():
                if request.kind in RESUMABLE and not request.payload.get(_AGAIN):
                    payload = to_json({**request.payload, _AGAIN: True})
                    connection.execute(
                        "UPDATE requests SET state = 'queued', payload = ? WHERE request_id = ?",
                        (payload, request.request_id),
                    )
                    again += 1
        return again

    def fail_taken(self, message: str, remedy: str) -> int:
        """At a worker's start: what a dead worker had taken is answered, not left hanging."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE requests SET state = 'failed', error_code = 'interrupted', error_exit = 1,"
                " error_message = ?, error_remedy = ? WHERE state = 'taken'",
                (message, remedy),
            )
            return cursor.rowcount

    def forget_result(self, request_id: str) -> None:
        """For an answer that only its reader needs: it does not stay in the store."""
        self._database.execute(
            "UPDATE requests SET result = NULL WHERE request_id = ?", (request_id,)
        )

    def finish(self, request_id: str, result: Mapping[str, Json]) -> None:
        self._database.execute(
            "UPDATE requests SET state = 'done', result = ? WHERE request_id = ?",
            (told_json(result), request_id),
        )

    def fail(self, request_id: str, error: BuilderError) -> None:
        self._database.execute(
            "UPDATE requests SET state = 'failed', error_code = ?, error_exit = ?,"
            " error_message = ?, error_remedy = ?, result = ? WHERE request_id = ?",
            (
                error.code,
                int(error.exit_code),
                error.message,
                error.remedy,
                None if error.data is None else told_json(msgspec.to_builtins(dict(error.data))),
                request_id,
            ),
        )

    def _taken(self) -> list[Request]:
        rows = self._database.rows("SELECT * FROM requests WHERE state = 'taken'")
        return [_request(row) for row in rows]


def _request(row: Row) -> Request:
    return Request(
        request_id=row["request_id"],
        kind=RequestKind(row["kind"]),
        key=SessionKey(row["user_id"], row["session_id"]),
        payload=from_json(row["payload"]),
        state=RequestState(row["state"]),
        created_at=from_text(row["created_at"]),
        result=None if row["result"] is None else from_json(row["result"]),
        error_code=row["error_code"],
        error_exit=row["error_exit"],
        error_message=row["error_message"],
        error_remedy=row["error_remedy"],
    )
