"""Users by id and by their identity."""

from __future__ import annotations

from core.clock import from_text, to_text
from core.models.user import HostProvider, SiteType, User
from core.store.database import Database, Row


class Users:
    """Insert or read; a user is never written twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, user: User) -> bool:
        """Insert unless the same person is there; whether it was new."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO users (user_id, email, phone, name, created_at, host_provider,"
                " site_type) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    user.user_id, user.email, user.phone, user.name, to_text(user.created_at),
                    user.host_provider, user.site_type,
                ),
            )  # fmt: skip
            return cursor.rowcount == 1

    def get(self, user_id: str) -> User | None:
        row = self._database.row("SELECT * FROM users WHERE user_id = ?", (user_id,))
        return None if row is None else _user(row)

    def by_prefix(self, prefix: str, limit: int = 6) -> list[User]:
        """Users whose id starts with `prefix`."""
        rows = self._database.rows(
            "SELECT * FROM users WHERE substr(user_id, 1, ?) = ? ORDER BY user_id LIMIT ?",
            (len(prefix), prefix, limit),
        )
        return [_user(row) for row in rows]

    def by_email(self, email: str, limit: int = 6) -> list[User]:
        rows = self._database.rows(
            "SELECT * FROM users WHERE email = ? ORDER BY created_at LIMIT ?", (email, limit)
        )
        return [_user(row) for row in rows]

    def count(self) -> int:
        """How many users there are; users are never deleted, so it only grows."""
        row = self._database.row("SELECT COUNT(*) AS users FROM users")
        return 0 if row is None else int(row["users"])

    def remove(self, user_id: str) -> None:
        """Forget a user whose creation failed half way.

        Raises:
            sqlite3.IntegrityError: It has sessions already.
        """
        self._database.execute("DELETE FROM users WHERE user_id = ?", (user_id,))

    def all(self) -> list[User]:
        """Every user, newest first."""
        rows = self._database.rows("SELECT * FROM users ORDER BY created_at DESC, user_id")
        return [_user(row) for row in rows]

    def emails(self) -> dict[str, str]:
        """User id to e-mail, for lists of sessions."""
        rows = self._database.rows("SELECT user_id, email FROM users")
        return {row["user_id"]: row["email"] for row in rows}

    def registry(self) -> dict[str, str]:
        """`email|phone` to user id, for the exported registry."""
        rows = self._database.rows("SELECT email, phone, user_id FROM users ORDER BY created_at")
        return {f"{row['email']}|{row['phone']}": row["user_id"] for row in rows}


def _user(row: Row) -> User:
    return User(
        user_id=row["user_id"],
        email=row["email"],
        phone=row["phone"],
        name=row["name"],
        created_at=from_text(row["created_at"]),
        host_provider=HostProvider(row["host_provider"]),
        site_type=SiteType(row["site_type"]),
    )
