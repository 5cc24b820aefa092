"""Users as front ends see them: create with a first session, list, look up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.accounts.users import UserManager
from core.errors import UsageError
from core.models.overview import UserRow
from core.models.session import Session
from core.models.states import SessionMode
from core.models.user import HostProvider, SiteType, User
from core.services.choices import host_provider_of, site_type_of
from core.services.context import Environment
from core.services.names import NameService
from core.services.sessions import SessionService
from core.store.locks import held_folder
from core.store.views import Views

if TYPE_CHECKING:
    from core.injection.inject import Injected

__all__ = ["CreatedUser", "UserPage", "UserPreview", "UserRow", "UserService", "Warning_"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning_:  # noqa: N801 - the builtin owns the plain name
    """Something the operator should know although it went well."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedUser:
    """The answer of `user create`. `injected` is None unless a session was made now."""

    user: User
    is_new: bool
    path: str
    session: Session | None = None
    execution_id: str | None = None
    injected: Injected | None = None
    warnings: tuple[Warning_, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _First:
    """What a session is like that is made with its user."""

    prompt: str | None
    mode: SessionMode


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPreview:
    """Who a form's input is, before anything is written."""

    user_id: str
    email: str
    phone: str
    exists: User | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPage:
    """Part of the list; `total` counts all that match."""

    users: tuple[UserRow, ...]
    total: int
    shown: int


_ORDERS: dict[str, tuple[Callable[[UserRow], object], bool]] = {
    "newest": (lambda row: row.user.created_at, True),
    "oldest": (lambda row: row.user.created_at, False),
    "updated": (lambda row: row.updated_at, True),
    "email": (lambda row: row.user.email, False),
    "sessions": (lambda row: row.sessions, True),
}
SORTS = tuple(_ORDERS)


class UserService:
    """Everything about users."""

    def __init__(
        self, environment: Environment, sessions: SessionService, names: NameService
    ) -> None:
        self._environment = environment
        self._store = environment.store
        self._sessions = sessions
        self._names = names
        self._manager = UserManager(environment.store, Views(environment.store), environment.clock)

    def create(
        self,
        email: str,
        phone: str,
        *,
        host_provider: HostProvider | str | None = None,
        site_type: SiteType | str | None = None,
        name: str | None = None,
        prompt: str | None = None,
        mode: SessionMode | str | None = None,
        start: bool = True,
    ) -> CreatedUser:
        """Make the user, and its first session and run; the same person again starts nothing twice.

        Returns when everything is on disk and the run is queued, not when it ends.

        Args:
            mode: Of a session that is made now; the setting `claude.mode` where it is not given.

        Raises:
            UsageError: Bad e-mail, phone, name, provider, type or prompt; nothing was written.
            StorageError: The data root cannot be written.
        """
        provider, kind = host_provider_of(host_provider), site_type_of(site_type)
        first = _First(
            prompt=self._sessions.checked_prompt(prompt), mode=self._sessions.checked_mode(mode)
        )
        if start:
            self._manager.identify(email, phone)
            self._environment.worker.ensure_running()
        user, is_new = self._manager.create(
            email,
            phone,
            host_provider=provider or HostProvider.LOCAL,
            site_type=kind or SiteType.STATIC,
            name=name,
        )
        created = CreatedUser(
            user=user,
            is_new=is_new,
            path=str(self._environment.root.user(user.user_id)),
            warnings=_kept(user, provider, kind),
        )
        return self._start(created, first, start=start)

    def preview(self, email: str, phone: str) -> UserPreview:
        """Who this is, writing nothing.

        Raises:
            InvalidEmailError, InvalidPhoneError: With the sentence for the form's field.
        """
        identity = self._manager.identify(email, phone)
        return UserPreview(
            user_id=identity.user_id,
            email=identity.email,
            phone=identity.phone,
            exists=self._store.users.get(identity.user_id),
        )

    def get(self, name: str) -> UserRow:
        """The user behind an id, a unique prefix or an e-mail."""
        user = self._names.user(name)
        sessions = self._store.sessions.of_user(user.user_id)
        return self._row(user, sessions)

    def list(
        self,
        *,
        host_provider: HostProvider | str | None = None,
        site_type: SiteType | str | None = None,
        sort: str = "newest",
        limit: int | None = None,
    ) -> UserPage:
        """Users by host and type, at most `limit` of them."""
        if sort not in _ORDERS:
            raise UsageError(
                f"Users cannot be sorted by {sort[:40]!r}.", remedy=f"Use {', '.join(SORTS)}."
            )
        provider, kind = host_provider_of(host_provider), site_type_of(site_type)
        by_user: dict[str, list[Session]] = {}
        for session in self._store.sessions.all():
            by_user.setdefault(session.key.user_id, []).append(session)
        rows = [
            self._row(user, by_user.get(user.user_id, []))
            for user in self._store.users.all()
            if provider in {None, user.host_provider} and kind in {None, user.site_type}
        ]
        order, is_reversed = _ORDERS[sort]
        rows.sort(key=order, reverse=is_reversed)  # type: ignore[arg-type]  # keys compare
        shown = tuple(rows if limit is None else rows[: max(0, limit)])
        return UserPage(users=shown, total=len(rows), shown=len(shown))

    def _start(self, created: CreatedUser, first: _First, *, start: bool) -> CreatedUser:
        """The first session and its run, or the newest ones of somebody who has some."""
        newest = self._store.sessions.of_user(created.user.user_id)
        wants_new = first.prompt is not None and not created.is_new
        if start and wants_new:
            return self._start_session(created, first)
        if start and not newest:
            # Two at once for the same new person: the second finds what the first has started.
            with held_folder(self._environment.root.sessions(created.user.user_id)):
                newest = self._store.sessions.of_user(created.user.user_id)
                if not newest:
                    return self._start_session(created, first)
        if not newest:
            return created
        run = self._store.executions.newest(newest[0].key)
        return replace(
            created, session=newest[0], execution_id=None if run is None else run.execution_id
        )

    def _start_session(self, created: CreatedUser, first: _First) -> CreatedUser:
        made = self._sessions.create(
            created.user.user_id, prompt=first.prompt, mode=first.mode, start=True
        )
        return replace(
            created,
            session=made.session,
            execution_id=made.execution_id,
            injected=made.injected,
        )

    def _row(self, user: User, sessions: Sequence[Session]) -> UserRow:
        changed = [session.updated_at for session in sessions]
        return UserRow(
            user=user,
            sessions=len(sessions),
            updated_at=max([user.created_at, *changed]),
            path=str(self._environment.root.user(user.user_id)),
        )


def _kept(user: User, provider: HostProvider | None, kind: SiteType | None) -> tuple[Warning_, ...]:
    if provider in {None, user.host_provider} and kind in {None, user.site_type}:
        return ()
    asked = f"{provider or user.host_provider} {kind or user.site_type}"
    kept = f"{user.host_provider} {user.site_type}"
    return (
        Warning_(
            code="stored_kept",
            message=f"The user exists with {kept}; that stays, {asked} is not used.",
        ),
    )
