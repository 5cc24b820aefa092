"""What the pipeline's first two steps ask for: a user and a session that are whole."""

from __future__ import annotations

from core.accounts.sessions import SessionCreator
from core.accounts.users import UserManager
from core.models.session import SessionKey


class AccountRepair:
    """Makes what is missing of a user or a session; whatever is there already stays."""

    def __init__(self, users: UserManager, sessions: SessionCreator) -> None:
        self._users = users
        self._sessions = sessions

    def ensure_user(self, user_id: str) -> None:
        """The user's folder, document and registry entry."""
        self._users.ensure(user_id)

    def ensure_session(self, key: SessionKey) -> None:
        """The session's folder tree, configuration and injected library items."""
        self._sessions.ensure(key)
