"""Prompts with their receipts, and the turns they started."""

from __future__ import annotations

from core.clock import Clock, from_text, to_text
from core.models.prompt import Prompt, Turn
from core.models.session import SessionKey
from core.models.states import PromptKind, Receipt, TurnOutcome
from core.store.columns import instant, told
from core.store.database import Database, Row
from core.store.sessions import touch


class Prompts:
    """The queue of every pane. A prompt's receipt only ever moves forward."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, prompt_id: str, key: SessionKey, kind: PromptKind, text: str,
        execution_id: str | None = None,
    ) -> Prompt:  # fmt: skip
        """Queue a text; the same id again is the same prompt."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO prompts (prompt_id, user_id, session_id, seq, kind, text, receipt,"
                " created_at, execution_id) VALUES (?, ?, ?, (SELECT COALESCE(MAX(seq), 0) + 1"
                " FROM prompts WHERE user_id = ? AND session_id = ?), ?, ?, ?, ?, ?)"
                " ON CONFLICT (prompt_id) DO NOTHING",
                (
                    prompt_id, key.user_id, key.session_id, key.user_id, key.session_id, kind,
                    text, Receipt.QUEUED, to_text(self._clock.now()), execution_id,
                ),
            )  # fmt: skip
            touch(connection, key, self._clock.now())
            prompt = self.get(prompt_id)
        assert prompt is not None  # noqa: S101 - inserted above
        return prompt

    def get(self, prompt_id: str) -> Prompt | None:
        row = self._database.row("SELECT * FROM prompts WHERE prompt_id = ?", (prompt_id,))
        return None if row is None else _prompt(row)

    def of_session(self, key: SessionKey, limit: int = 200) -> list[Prompt]:
        """The newest prompts of a session, oldest first."""
        rows = self._database.rows(
            "SELECT * FROM prompts WHERE user_id = ? AND session_id = ? ORDER BY seq DESC LIMIT ?",
            (key.user_id, key.session_id, limit),
        )
        return [_prompt(row) for row in reversed(rows)]

    def open(self) -> list[Prompt]:
        """Prompts without a final receipt, in sending order within each session."""
        rows = self._database.rows(
            "SELECT * FROM prompts WHERE receipt IN ('queued', 'buffered', 'typed')"
            " ORDER BY created_at, seq"
        )
        return [_prompt(row) for row in rows]

    def move(
        self, prompt_id: str, receipt: Receipt, *, reason: str | None = None,
        error_exit: int | None = None, claude_prompt_id: str | None = None,
        server_pid: int | None = None, mark: str | None = None,
    ) -> bool:  # fmt: skip
        """Move a prompt forward; False when it already has a final receipt.

        An unknown one may still become accepted: the receipt came late.
        """
        prompt = self.get(prompt_id)
        if prompt is None or (prompt.receipt.is_final and prompt.receipt is not Receipt.UNKNOWN):
            return False
        now = to_text(self._clock.now())
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE prompts SET receipt = ?, reason = ?, error_exit = ?, settled_at = ?,"
                " claude_prompt_id = COALESCE(?, claude_prompt_id),"
                " server_pid = COALESCE(?, server_pid), mark = COALESCE(?, mark)"
                " WHERE prompt_id = ? AND receipt NOT IN ('accepted', 'refused')",
                (
                    receipt, told(reason), error_exit, now if receipt.is_final else None,
                    claude_prompt_id, server_pid, mark, prompt_id,
                ),
            )  # fmt: skip
            touch(connection, prompt.key, self._clock.now())
            return cursor.rowcount == 1

    def begin_turn(self, prompt: Prompt) -> None:
        """The prompt was accepted: its turn runs."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO turns (prompt_id, user_id, session_id, started_at)"
                " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    prompt.prompt_id, prompt.key.user_id, prompt.key.session_id,
                    to_text(self._clock.now()),
                ),
            )  # fmt: skip
            touch(connection, prompt.key, self._clock.now())

    def end_turns(self, key: SessionKey, outcome: TurnOutcome, message: str | None) -> int:
        """End every open turn of the session; how many there were."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE turns SET ended_at = ?, outcome = ?, message = ?"
                " WHERE user_id = ? AND session_id = ? AND ended_at IS NULL",
                (to_text(self._clock.now()), outcome, told(message), key.user_id, key.session_id),
            )
            if cursor.rowcount:
                touch(connection, key, self._clock.now())
            return cursor.rowcount

    def turn(self, prompt_id: str) -> Turn | None:
        row = self._database.row("SELECT * FROM turns WHERE prompt_id = ?", (prompt_id,))
        return None if row is None else _turn(row)

    def open_turns(self, key: SessionKey) -> list[Turn]:
        rows = self._database.rows(
            "SELECT * FROM turns WHERE user_id = ? AND session_id = ? AND ended_at IS NULL"
            " ORDER BY started_at",
            (key.user_id, key.session_id),
        )
        return [_turn(row) for row in rows]

    def last_turn(self, key: SessionKey) -> Turn | None:
        """The newest turn of the session."""
        row = self._database.row(
            "SELECT * FROM turns WHERE user_id = ? AND session_id = ?"
            " ORDER BY started_at DESC LIMIT 1",
            (key.user_id, key.session_id),
        )
        return None if row is None else _turn(row)


def _prompt(row: Row) -> Prompt:
    return Prompt(
        prompt_id=row["prompt_id"],
        key=SessionKey(row["user_id"], row["session_id"]),
        seq=row["seq"],
        kind=PromptKind(row["kind"]),
        text=row["text"],
        receipt=Receipt(row["receipt"]),
        created_at=from_text(row["created_at"]),
        reason=row["reason"],
        error_exit=row["error_exit"],
        settled_at=instant(row["settled_at"]),
        execution_id=row["execution_id"],
        claude_prompt_id=row["claude_prompt_id"],
        server_pid=row["server_pid"],
        mark=row["mark"],
    )


def _turn(row: Row) -> Turn:
    return Turn(
        prompt_id=row["prompt_id"],
        key=SessionKey(row["user_id"], row["session_id"]),
        started_at=from_text(row["started_at"]),
        ended_at=instant(row["ended_at"]),
        outcome=None if row["outcome"] is None else TurnOutcome(row["outcome"]),
        message=row["message"],
    )
