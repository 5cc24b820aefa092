"""Users and sessions as the lines of the list: sorted by attention, filtered, folded. No screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.models.states import SessionState
from tui.states import ATTENTION

if TYPE_CHECKING:
    from core.models.overview import SessionRow, UserRow
    from core.models.session import SessionKey


@dataclass(frozen=True, slots=True)
class Line:
    """A user's line, or with a key one of its sessions."""

    user_id: str
    key: SessionKey | None = None
    count: int = 0
    """Sessions of the user that the filter leaves."""


class SessionIndex:
    """What the list shows; every change rebuilds the order in one pass over everything."""

    def __init__(self) -> None:
        self.rows: dict[SessionKey, SessionRow] = {}
        self.users: dict[str, UserRow] = {}
        self.lines: list[Line] = []
        self.counts: dict[SessionState, int] = {}
        self.shown = 0
        self.has_scripted = False
        self.filter_text = ""
        self._folded: set[str] = set()
        self._texts: dict[SessionKey, str] = {}
        self._ranks: dict[SessionKey, tuple[int, float]] = {}
        self._user_texts: dict[str, str] = {}
        self._order: list[tuple[str, list[SessionKey]]] = []
        self._matches: set[SessionKey] | None = None
        self._user_matches: set[str] = set()

    def load(self, users: Iterable[UserRow], rows: Iterable[SessionRow]) -> None:
        """Take everything anew."""
        self.rows = {row.key: row for row in rows if not row.session.archived}
        self._texts = {key: _text(row) for key, row in self.rows.items()}
        self._ranks = {key: _rank(row) for key, row in self.rows.items()}
        self._set_users(users)
        self._rebuild()

    def _set_users(self, users: Iterable[UserRow]) -> None:
        self.users = {user.user.user_id: user for user in users}
        self._user_texts = {
            user_id: f"{row.user.email} {user_id} {row.user.name or ''} {row.user.phone}".lower()
            for user_id, row in self.users.items()
        }

    def change(self, rows: Sequence[SessionRow], users: Iterable[UserRow] | None = None) -> None:
        """Take sessions that are new, changed or archived, and the users where they were read."""
        if users is not None:
            self._set_users(users)
        for row in rows:
            if row.session.archived:
                self.rows.pop(row.key, None)
                self._texts.pop(row.key, None)
                self._ranks.pop(row.key, None)
            else:
                self.rows[row.key] = row
                self._texts[row.key] = _text(row)
                self._ranks[row.key] = _rank(row)
        self._rebuild()

    def set_filter(self, text: str) -> None:
        """Show only what holds every word; a longer text narrows what the shorter one left."""
        narrower = bool(self.filter_text) and text.startswith(self.filter_text)
        self.filter_text = text
        self._match(narrower=narrower)
        self._lay_out()

    def fold(self, user_id: str, *, folded: bool) -> None:
        (self._folded.add if folded else self._folded.discard)(user_id)
        self._lay_out()

    def is_folded(self, user_id: str) -> bool:
        return user_id in self._folded and not self.filter_text

    def position(self, user_id: str | None, key: SessionKey | None) -> int | None:
        """Where a session, or else its user, is in the list now."""
        of_user = None
        for number, line in enumerate(self.lines):
            if key is not None and line.key == key:
                return number
            if line.user_id == user_id and line.key is None:
                of_user = number
        return of_user

    def first_session(self) -> int:
        """The line of the first session, or 0."""
        return next((number for number, line in enumerate(self.lines) if line.key), 0)

    def waiting_after(self, line: int, step: int) -> int | None:
        """The next line (step 1) or the one before (step -1) that needs the operator."""
        total = len(self.lines)
        for distance in range(1, total + 1):
            number = (line + step * distance) % total
            key = self.lines[number].key
            if key is not None and self.rows[key].state is SessionState.NEEDS_YOU:
                return number
        return None

    def _rebuild(self) -> None:
        self.counts = dict.fromkeys(SessionState, 0)
        by_user: dict[str, list[SessionKey]] = {user_id: [] for user_id in self.users}
        ranks = self._ranks
        for key in sorted(ranks, key=ranks.__getitem__):
            by_user.setdefault(key.user_id, []).append(key)
        for row in self.rows.values():
            self.counts[row.state] += 1
        self.has_scripted = any(row.session.simulated for row in self.rows.values())
        heads = [(user_id, keys) for user_id, keys in by_user.items() if keys]
        heads.sort(key=lambda head: ranks[head[1][0]])
        empty = [(user_id, keys) for user_id, keys in by_user.items() if not keys]
        empty.sort(key=lambda head: -self.users[head[0]].user.created_at.timestamp())
        self._order = [*heads, *empty]
        self._match(narrower=False)
        self._lay_out()

    def _match(self, *, narrower: bool) -> None:
        words = self.filter_text.lower().split()
        if not words:
            self._matches = None
            return
        among = self._matches if narrower and self._matches is not None else self._texts
        self._matches = {key for key in among if all(word in self._texts[key] for word in words)}
        self._user_matches = {
            user_id
            for user_id, text in self._user_texts.items()
            if all(word in text for word in words)
        }

    def _lay_out(self) -> None:
        lines: list[Line] = []
        shown = 0
        for user_id, keys in self._order:
            matches = self._matches
            left = keys if matches is None else [key for key in keys if key in matches]
            if matches is not None and not left and user_id not in self._user_matches:
                continue
            shown += len(left)
            lines.append(Line(user_id, None, len(left)))
            if not self.is_folded(user_id):
                lines.extend(Line(user_id, key) for key in left)
        self.lines = lines
        self.shown = shown


def _rank(row: SessionRow) -> tuple[int, float]:
    return ATTENTION[row.state], -row.session.updated_at.timestamp()


def _text(row: SessionRow) -> str:
    session = row.session
    return (
        f"{row.email} {session.key.user_id} {session.key.session_id} {session.host_provider}"
        f" {session.site_type} {row.state} {row.state.value.replace('_', ' ')}"
        f" {'scripted' if session.simulated else ''}"
    ).lower()
