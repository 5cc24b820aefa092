"""Sessions as front ends see them: create, list with filters, rows for the app, archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from core.errors import UsageError
from core.models.overview import SessionRow
from core.models.session import Session, SessionKey
from core.models.states import ModelSpeed, SessionMode, SessionState
from core.models.user import HostProvider, SiteType
from core.services.choices import host_provider_of, mode_of, site_type_of
from core.services.context import Environment
from core.services.names import NameService
from core.services.rows import RowReader
from core.store.views import Views

if TYPE_CHECKING:
    from core.accounts.sessions import SessionCreator
    from core.injection.inject import Injected

__all__ = ["CreatedSession", "SessionFilter", "SessionPage", "SessionRow", "SessionService"]

PROMPT_LIMIT = 1_000_000


def _latest_first(row: SessionRow) -> tuple[float, int]:
    """The change counter tells those of one millisecond apart."""
    return -row.session.updated_at.timestamp(), -row.session.change


_ATTENTION = {state: order for order, state in enumerate(SessionState)}
_ORDERS: dict[str, Callable[[SessionRow], tuple[float, ...] | tuple[str, float]]] = {
    "attention": lambda row: (_ATTENTION[row.state], *_latest_first(row)),
    "newest": lambda row: (-row.session.created_at.timestamp(),),
    "oldest": lambda row: (row.session.created_at.timestamp(),),
    "updated": _latest_first,
    "email": lambda row: (row.email, -row.session.created_at.timestamp()),
}
SORTS = tuple(_ORDERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions are wanted; None means any. `user` is a name, `since` an aware instant."""

    user: str | None = None
    states: frozenset[SessionState] | None = None
    host_provider: HostProvider | None = None
    site_type: SiteType | None = None
    since: datetime | None = None
    limit: int | None = None
    sort: str = "attention"
    archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """Part of the list; `total` counts all that match."""

    sessions: tuple[SessionRow, ...]
    total: int
    shown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedSession:
    """The answer of `session create`."""

    session: Session
    execution_id: str | None
    injected: Injected
    path: str


class SessionService:
    """Everything about sessions but talking to them."""

    def __init__(self, environment: Environment, names: NameService) -> None:
        self._environment = environment
        self._store = environment.store
        self._names = names
        self._rows = RowReader(environment)

    @property
    def is_uncontained(self) -> bool:
        """Whether the operator switched isolation off: every session then has his own rights."""
        return not self._environment.settings.isolation_required

    def create(
        self,
        user_id: str,
        *,
        host_provider: HostProvider | str | None = None,
        site_type: SiteType | str | None = None,
        prompt: str | None = None,
        mode: SessionMode | str | None = None,
        start: bool = True,
        simulated: bool = False,
        model_speed: ModelSpeed = ModelSpeed.NORMAL,
        model_url: str | None = None,
        copy_source_from: SessionKey | None = None,
    ) -> CreatedSession:
        """Make a session of a user and, with `start`, queue its first run.

        Args:
            host_provider: The user's where it is not given; `site_type` likewise.
            mode: The setting `claude.mode` where it is not given.
            copy_source_from: Begin with the site of this session.
            model_url: Where its Claude finds a Messages API that is not the vendor's.

        Raises:
            UsageError: A bad choice or prompt; nothing was written.
            NotFoundError: No such user or session.
            StorageError: The data root cannot be written; nothing is left.
        """
        from core.accounts.sessions import SessionWish  # noqa: PLC0415 - not for light verbs

        user = self._names.user(user_id)
        wish = SessionWish(
            host_provider=host_provider_of(host_provider) or user.host_provider,
            site_type=site_type_of(site_type) or user.site_type,
            brief=self.checked_prompt(prompt),
            mode=self.checked_mode(mode),
            simulated=simulated,
            model_speed=model_speed,
            model_url=model_url,
            aws_profile=self._environment.settings.aws_profile,
            azure_profile=self._environment.settings.azure_subscription,
            copy_from=copy_source_from,
        )
        if start:
            self._environment.worker.ensure_running()
        session, injected = self._creator().create(user, wish)
        execution_id = self._queue(session.key) if start else None
        self._names.remember(session.key)
        path = self._environment.root.session(session.key.user_id, session.key.session_id).root
        return CreatedSession(
            session=session, execution_id=execution_id, injected=injected, path=str(path)
        )

    def row(self, key: SessionKey) -> SessionRow:
        """One session with everything its line shows.

        Raises:
            NotFoundError: There is none.
        """
        return self._rows.one(key)

    def rows(self) -> list[SessionRow]:
        """Every session, newest first, in one pass."""
        return self._rows.all()

    def changed_since(self, change: int) -> tuple[list[SessionRow], int]:
        """The rows that changed after that counter, and the counter to ask with next time."""
        return self._rows.changed_since(change)

    def list(self, wanted: SessionFilter | None = None) -> SessionPage:
        """The sessions that a filter lets through, in its order.

        Raises:
            UsageError: An unknown order.
            NotFoundError, AmbiguousNameError: The filter's user.
        """
        wanted = wanted or SessionFilter()
        if wanted.sort not in _ORDERS:
            raise UsageError(
                f"Sessions cannot be sorted by {wanted.sort[:40]!r}.",
                remedy=f"Use {', '.join(SORTS)}.",
            )
        user_id = None if wanted.user is None else self._names.user(wanted.user).user_id
        rows = [row for row in self._rows.all() if _passes(row, wanted, user_id)]
        rows.sort(key=_ORDERS[wanted.sort])
        shown = tuple(rows if wanted.limit is None else rows[: max(0, wanted.limit)])
        return SessionPage(sessions=shown, total=len(rows), shown=len(shown))

    def archive(self, key: SessionKey, archived: bool = True) -> SessionRow:
        """Take a session out of the list, or put it back; nothing of it is deleted."""
        self._rows.one(key)
        self._store.sessions.archive(key, archived=archived)
        return self._rows.one(key)

    def checked_prompt(self, prompt: str | None) -> str | None:
        """A first wish as it will be stored; None where there is none.

        Raises:
            UsageError: It is empty or too long.
        """
        return None if prompt is None else checked_text(prompt, "prompt")

    def checked_mode(self, mode: SessionMode | str | None) -> SessionMode:
        """The mode of a new session.

        Raises:
            UsageError: There is no such mode.
        """
        usual = SessionMode(self._environment.settings.text("claude.mode"))
        return mode_of(mode) or usual

    def _queue(self, key: SessionKey) -> str:
        execution = self._store.executions.add(key)
        Views(self._store).execution(execution.execution_id)
        self._environment.worker.wake()
        return execution.execution_id

    def _creator(self) -> SessionCreator:
        from core.accounts.sessions import SessionCreator  # noqa: PLC0415 - not for light verbs

        environment = self._environment
        return SessionCreator(
            environment.store, Views(environment.store), environment.root, environment.library,
            environment.clock, environment.prepare_repository,
        )  # fmt: skip


def checked_text(text: str, what: str) -> str:
    """A text for Claude, word for word.

    Raises:
        UsageError: It is empty, too long or no text.
    """
    if not text.strip():
        raise UsageError(f"The {what} is empty.", remedy=f"Give the {what} as text.")
    if len(text) > PROMPT_LIMIT:
        raise UsageError(
            f"The {what} has {len(text)} characters, more than {PROMPT_LIMIT}.",
            remedy="Put it into a file below the session's source folder and name the file.",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"The {what} is not valid text.", remedy="Give it in UTF-8.") from error
    return text


def _passes(row: SessionRow, wanted: SessionFilter, user_id: str | None) -> bool:
    session = row.session
    return (
        session.archived == wanted.archived
        and user_id in {None, session.key.user_id}
        and (wanted.states is None or row.state in wanted.states)
        and wanted.host_provider in {None, session.host_provider}
        and wanted.site_type in {None, session.site_type}
        and (wanted.since is None or session.updated_at >= wanted.since)
    )
