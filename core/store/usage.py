"""What Claude used: one row per message, summed per session and day in the same commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from core.clock import Clock, to_text
from core.models.cost import Spending, TokenCounts, UsageEntry, UsageSource
from core.models.session import SessionKey
from core.store.database import Database, Row
from core.store.sessions import touch

_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_SUMS = ", ".join(f"COALESCE(SUM({name}), 0) AS {name}" for name in _COUNTS)
_UNPRICED = (
    "COALESCE(SUM(CASE WHEN u.usd IS NULL AND NOT EXISTS (SELECT 1 FROM claude_totals t"
    " WHERE t.user_id = u.user_id AND t.session_id = u.session_id"
    " AND t.claude_session_id = u.claude_session_id AND t.before_usd + t.now_usd > 0)"
    " THEN 1 ELSE 0 END), 0)"
)
_GROWS = ", ".join(
    f"{name} = CASE WHEN excluded.{name} > usage.{name} THEN excluded.{name} ELSE usage.{name} END"
    for name in _COUNTS
)
_OWN = "user_id = ? AND session_id = ?"
_NAMES = {
    "day": "u.day", "user": "u.user_id", "host": "s.host_provider",
    "session": "u.user_id || '/' || u.session_id",
}  # fmt: skip
ALL_DAYS = ""
"""The day under which the sum of all days stands: before every real one."""


FEW = 50
"""Up to so many entries are asked for by their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntry:
    """The figures of an entry as they are recorded."""

    usd: float | None
    tokens: TokenCounts


class Usage:
    """Amounts by message. The same message again never adds up, and no message ever shrinks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(self, key: SessionKey, entries: Iterable[UsageEntry]) -> bool:
        """Write entries and the sums of their days; whether anything changed."""
        with self._database.transaction() as connection:
            before = self.of_session(key)
            days = {self._put(key, entry) for entry in entries}
            for day in days | {ALL_DAYS}:
                self._sum_up(key, day)
            changed = self.of_session(key) != before
            if changed:
                touch(connection, key, self._clock.now())
        return changed

    def counted(self, key: SessionKey, claude_session_id: str, total_usd: float) -> float:
        """What the CLI has counted for a conversation in all its processes.

        A new process of the same conversation counts from nothing, so a lower total is added to
        what was counted before.

        Args:
            total_usd: What its process says now.
        """
        before, now = self._total(key, claude_session_id)
        return before + total_usd + (now if total_usd < now else 0.0)

    def set_total(self, key: SessionKey, claude_session_id: str, total_usd: float) -> None:
        """Remember what the CLI's process says now, as `counted` takes it."""
        before, now = self._total(key, claude_session_id)
        before += now if total_usd < now else 0.0
        self._database.execute(
            "INSERT INTO claude_totals (user_id, session_id, claude_session_id, before_usd,"
            " now_usd) VALUES (?, ?, ?, ?, ?) ON CONFLICT (user_id, session_id, claude_session_id)"
            " DO UPDATE SET before_usd = excluded.before_usd, now_usd = excluded.now_usd",
            (*_values(key), claude_session_id, before, total_usd),
        )

    def _total(self, key: SessionKey, claude_session_id: str) -> tuple[float, float]:
        row = self._database.row(
            f"SELECT before_usd, now_usd FROM claude_totals WHERE {_OWN} AND claude_session_id = ?",
            (*_values(key), claude_session_id),
        )
        return (0.0, 0.0) if row is None else (row["before_usd"], row["now_usd"])

    def of_conversation(self, key: SessionKey, claude_session_id: str, without: str) -> float:
        """Dollars of one conversation, the entry of that id aside."""
        row = self._database.row(
            f"SELECT COALESCE(SUM(usd), 0.0) AS usd FROM usage WHERE {_OWN}"
            " AND claude_session_id = ? AND entry_id <> ?",
            (key.user_id, key.session_id, claude_session_id, without),
        )
        return 0.0 if row is None else float(row["usd"])

    def of_session(self, key: SessionKey, day: str = ALL_DAYS) -> Spending:
        """What a session used, on one day or in all."""
        row = self._database.row(
            f"SELECT * FROM usage_days WHERE {_OWN} AND day = ?", (*_values(key), day)
        )
        return Spending() if row is None else _spending(row)

    def of_prompt(self, key: SessionKey, claude_prompt_id: str) -> Spending:
        """What one turn used, by the CLI's id of its prompt."""
        row = self._database.row(
            f"SELECT {_SUMS}, SUM(usd) AS usd, {_UNPRICED} AS unpriced FROM usage u WHERE {_OWN}"
            " AND claude_prompt_id = ?",
            (key.user_id, key.session_id, claude_prompt_id),
        )
        return Spending() if row is None else _spending(row)

    def of_sessions(self, day: str = ALL_DAYS) -> dict[SessionKey, Spending]:
        """Every session that used anything, on one day or in all; one query."""
        rows = self._database.rows("SELECT * FROM usage_days WHERE day = ?", (day,))
        return {_key(row): _spending(row) for row in rows}

    def grouped(
        self, by: str, since: str, *, user_id: str | None = None, key: SessionKey | None = None
    ) -> list[tuple[str, Spending]]:
        """The sums of the days from `since` on, under their names.

        Args:
            by: `day`, `user`, `host` or `session`; a session's name is `user_id/session_id`.
            user_id: Only this user's; `key` only this session's.
        """
        where, values = "u.day >= ?", [since]
        if user_id is not None:
            where, values = f"{where} AND u.user_id = ?", [*values, user_id]
        if key is not None:
            where = f"{where} AND u.user_id = ? AND u.session_id = ?"
            values += _values(key)
        sums = ", ".join(f"SUM(u.{name}) AS {name}" for name in _COUNTS)
        rows = self._database.rows(
            f"SELECT {_NAMES[by]} AS name, {sums}, SUM(u.usd) AS usd, SUM(u.unpriced) AS unpriced"
            " FROM usage_days u JOIN sessions s ON s.user_id = u.user_id"
            f" AND s.session_id = u.session_id WHERE {where} GROUP BY name ORDER BY name",
            values,
        )
        return [(row["name"], _spending(row)) for row in rows]

    def used(self, day: str, user_id: str | None = None) -> float:
        """Dollars of one day, of one user or of all; what has no price counts as nothing."""
        where, values = "day = ?", [day]
        if user_id is not None:
            where, values = f"{where} AND user_id = ?", [*values, user_id]
        row = self._database.row(
            f"SELECT COALESCE(SUM(usd), 0.0) AS usd FROM usage_days WHERE {where}", values
        )
        return 0.0 if row is None else float(row["usd"])

    def users(self, day: str) -> list[str]:
        """The ids of those who used anything on that day, the one who spent most first."""
        rows = self._database.rows(
            "SELECT user_id FROM usage_days WHERE day = ? GROUP BY user_id"
            " ORDER BY COALESCE(SUM(usd), 0.0) DESC, user_id",
            (day,),
        )
        return [row["user_id"] for row in rows]

    def newest(self, key: SessionKey) -> str | None:
        """When the newest entry of a session was made; None where there is none."""
        row = self._database.row(f"SELECT MAX(at) AS at FROM usage WHERE {_OWN}", _values(key))
        return None if row is None else row["at"]

    def known(self, key: SessionKey, entry_ids: Collection[str]) -> dict[str, KnownEntry]:
        """Those of the entries that are recorded, with their figures; one query for many."""
        if not entry_ids:
            return {}
        where, values = _OWN, list(_values(key))
        if len(entry_ids) <= FEW:
            where += f" AND entry_id IN ({', '.join('?' * len(entry_ids))})"
            values += entry_ids
        rows = self._database.rows(f"SELECT * FROM usage WHERE {where}", values)
        return {
            row["entry_id"]: KnownEntry(usd=row["usd"], tokens=_token_counts(row)) for row in rows
        }

    def claim(self, name: str, day: str) -> bool:
        """Whether this is the first time that `name` is claimed on that day, by any process."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM meta WHERE key LIKE 'notice:%' AND key NOT LIKE ?",
                (f"notice:{day}:%",),
            )
            cursor = connection.execute(
                "INSERT INTO meta (key, value) VALUES (?, '1') ON CONFLICT DO NOTHING",
                (f"notice:{day}:{name}",),
            )
            return cursor.rowcount == 1

    def _put(self, key: SessionKey, entry: UsageEntry) -> str:
        """Write one entry; the day that it belongs to."""
        # The rest beyond the messages shrinks as their lines arrive; a message only ever grows.
        usd = "excluded.usd" if entry.source is UsageSource.STATUS_LINE else (
            "CASE WHEN excluded.usd IS NULL OR excluded.usd < usage.usd THEN usage.usd"
            " ELSE excluded.usd END"
        )  # fmt: skip
        tokens = entry.tokens
        self._database.execute(
            "INSERT INTO usage (user_id, session_id, entry_id, claude_session_id,"
            " claude_prompt_id, at, source, model, input_tokens, output_tokens,"
            " cache_read_tokens, cache_write_tokens, usd) VALUES"
            " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, session_id, entry_id)"
            f" DO UPDATE SET {_GROWS}, usd = {usd}",
            (
                key.user_id, key.session_id, entry.entry_id, entry.claude_session_id,
                entry.claude_prompt_id, to_text(entry.at), entry.source, entry.model,
                tokens.input_tokens, tokens.output_tokens, tokens.cache_read_tokens,
                tokens.cache_write_tokens, entry.usd,
            ),
        )  # fmt: skip
        row = self._database.row(
            f"SELECT at FROM usage WHERE {_OWN} AND entry_id = ?", (*_values(key), entry.entry_id)
        )
        return str(row["at"])[:10] if row is not None else to_text(entry.at)[:10]

    def _sum_up(self, key: SessionKey, day: str) -> None:
        names = ", ".join(_COUNTS)
        self._database.execute(
            f"DELETE FROM usage_days WHERE {_OWN} AND day = ?", (*_values(key), day)
        )
        self._database.execute(
            f"INSERT INTO usage_days (user_id, session_id, day, {names}, usd, unpriced)"
            f" SELECT u.user_id, u.session_id, ?, {_SUMS}, SUM(u.usd), {_UNPRICED} FROM usage u"
            " WHERE u.user_id = ? AND u.session_id = ? AND u.at >= ? AND u.at < ?"
            " GROUP BY u.user_id, u.session_id",
            (day, *_values(key), day, f"{day}U" if day else "Z"),
        )


def _values(key: SessionKey) -> tuple[str, str]:
    return key.user_id, key.session_id


def _key(row: Row) -> SessionKey:
    return SessionKey(row["user_id"], row["session_id"])


def _token_counts(row: Row) -> TokenCounts:
    return TokenCounts(**{name: row[name] for name in _COUNTS})


def _spending(row: Row) -> Spending:
    unpriced, usd = row["unpriced"], row["usd"]
    return Spending(
        tokens=_token_counts(row),
        usd=usd if usd is not None else (None if unpriced else 0.0),
        is_complete=not unpriced,
    )
