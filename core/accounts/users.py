"""Users: the same person is the same user, whoever asks and however it is spelled."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import unicodedata
from dataclasses import dataclass

from core.clock import Clock
from core.errors import BuilderError, NotFoundError, UsageError
from core.files import make_private_folder
from core.models.user import (
    HostProvider,
    SiteType,
    User,
    make_user_id,
    normalize_email,
    normalize_phone,
)
from core.store.store import Store
from core.store.views import Views

NAME_LIMIT = 120
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person in normal form, and the user id that follows from it."""

    email: str
    phone: str
    user_id: str


class UserManager:
    """Makes and finds users; their folders and views are on disk when a method returns."""

    def __init__(self, store: Store, views: Views, clock: Clock) -> None:
        self._store = store
        self._views = views
        self._clock = clock

    def identify(self, email: str, phone: str) -> Identity:
        """Who this is, without writing anything.

        Raises:
            InvalidEmailError, InvalidPhoneError: As the names say.
        """
        normal_email, normal_phone = normalize_email(email), normalize_phone(phone)
        user_id = make_user_id(normal_email, normal_phone)
        return Identity(email=normal_email, phone=normal_phone, user_id=user_id)

    def create(
        self,
        email: str,
        phone: str,
        *,
        host_provider: HostProvider = HostProvider.LOCAL,
        site_type: SiteType = SiteType.STATIC,
        name: str | None = None,
    ) -> tuple[User, bool]:
        """The user of this person, and whether it is new. What is stored stays as it is.

        Raises:
            UsageError: E-mail, phone or name cannot be one; nothing was written.
            StorageError: The data root cannot be written; a new user is not left behind.
        """
        identity = self.identify(email, phone)
        wanted = User(
            user_id=identity.user_id,
            email=identity.email,
            phone=identity.phone,
            name=checked_name(name),
            created_at=self._clock.now(),
            host_provider=host_provider,
            site_type=site_type,
        )
        self._make_folders(wanted.user_id)
        is_new = self._add(wanted)
        if is_new:
            logger.info("user created", extra={"user_id": wanted.user_id})
        return self.get(wanted.user_id), is_new

    def ensure(self, user_id: str) -> User:
        """Repair an existing user's folders and views; changes nothing where all is well.

        Raises:
            NotFoundError: There is no such user.
        """
        user = self.get(user_id)
        self._make_folders(user_id)
        self._write_views(user_id)
        return user

    def get(self, user_id: str) -> User:
        """The user of a full id.

        Raises:
            NotFoundError: There is none.
        """
        user = self._store.users.get(user_id)
        if user is None:
            raise NotFoundError(
                f"There is no user {user_id[:64]!r}.", remedy="tmux-builder user list"
            )
        return user

    def find(self, email: str, phone: str) -> User | None:
        """The user of this person, in any spelling; None where there is none yet."""
        return self._store.users.get(self.identify(email, phone).user_id)

    def list(self) -> list[User]:
        """Every user, newest first."""
        return self._store.users.all()

    def _add(self, user: User) -> bool:
        try:
            is_new = self._store.users.add(user)
        except BuilderError:
            self._remove_empty_folders(user.user_id)
            raise
        try:
            self._write_views(user.user_id)
        except BuilderError:
            if is_new:
                self._take_back(user.user_id)
            raise
        return is_new

    def _write_views(self, user_id: str) -> None:
        self._views.user(user_id)
        self._views.registry()

    def _make_folders(self, user_id: str) -> None:
        root = self._store.root
        make_private_folder(root.path)
        make_private_folder(root.user(user_id))
        make_private_folder(root.sessions(user_id))

    def _take_back(self, user_id: str) -> None:
        """A user whose files could not be written is no user; one that is used already stays."""
        try:
            self._store.users.remove(user_id)
        except (sqlite3.IntegrityError, BuilderError):
            logger.warning("user kept without its files", extra={"user_id": user_id})
            return
        shutil.rmtree(self._store.root.user(user_id), ignore_errors=True)

    def _remove_empty_folders(self, user_id: str) -> None:
        root = self._store.root
        for folder in (root.sessions(user_id), root.user(user_id)):
            with contextlib.suppress(OSError):
                folder.rmdir()


def checked_name(name: str | None) -> str | None:
    """A free-text name for people: trimmed, one printable line, None where it is empty.

    Raises:
        UsageError: It is too long or holds control characters.
    """
    text = (name or "").strip()
    if len(text) > NAME_LIMIT or any(_is_control(letter) for letter in text):
        raise UsageError(
            f"The name is too long or holds control characters ({len(text)} characters given).",
            remedy=f"Give one line of at most {NAME_LIMIT} characters.",
            code="invalid_name",
        )
    return text or None


def _is_control(letter: str) -> bool:
    """Control characters, line separators and those that turn the direction of writing."""
    return unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} or letter in _DIRECTIONS
