"""What a session's Claude is given: written, compared and brought up to date, and recorded.

The digest of each written lock is kept in the store, where no pane reaches: it proves the lock.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from core.errors import ConfirmationNeededError, NotFoundError
from core.injection.comparison import ComparedFile, Comparison, compare, patch
from core.injection.inject import Injected, InjectionPlan, inject, plan_injection, remove_added
from core.injection.layers import LibrarySource
from core.injection.lock import read_lock
from core.injection.templates import SETTINGS, SessionFacts, session_templates
from core.models.session import Session, SessionKey
from core.paths import PROGRAM, DataRoot, SessionPaths
from core.store.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSession:
    """A session's `.claude` beside the library of now."""

    key: SessionKey
    paths: SessionPaths
    plan: InjectionPlan
    comparison: Comparison

    def patch(self, file: ComparedFile) -> str:
        """What an update would change in that file."""
        return patch(self.paths, self.plan, file)


class SessionInjector:
    """Injects the library into sessions that have their folders."""

    def __init__(self, store: Store, root: DataRoot, library: LibrarySource) -> None:
        self._store = store
        self._root = root
        self._library = library

    def write(self, session: Session) -> Injected:
        """Give the session what its rule names; the caller records the lock's digest.

        Raises:
            LibraryError, StorageError: As for `inject`.
        """
        return inject(self._library, self._paths(session.key), facts_of(session))

    def write_recorded(self, session: Session) -> Injected:
        """The same for a session that is in the store."""
        injected = self.write(session)
        if session.injection_sha256 != injected.lock_sha256:
            self._store.sessions.set_injection(session.key, injected.lock_sha256)
        return injected

    def fit_mode(self, session: Session) -> bool:
        """Inject anew where the settings are those of another mode; whether that was so.

        Raises:
            LibraryError, StorageError: As for `inject`.
        """
        lock = read_lock(self._paths(session.key))
        settings = {page.source for page in session_templates(session.mode)}
        given = [file.source for file in lock.files if file.path == SETTINGS] if lock else []
        if settings.issuperset(given):
            return False
        self.write_recorded(session)
        logger.info(
            "injected for another mode",
            extra={
                "user_id": session.key.user_id, "session_id": session.key.session_id,
                "mode": str(session.mode),
            },
        )  # fmt: skip
        return True

    def compare(self, key: SessionKey) -> ComparedSession:
        """The session's files beside those that the library would give it now.

        Raises:
            NotFoundError: There is no such session, or its folder is gone.
            LibraryError: The library cannot keep the session's rule.
        """
        session, paths = self._store.sessions.require(key), self._paths(key)
        if not paths.root.is_dir():
            raise NotFoundError(
                f"The folder of {key.session_id} is gone: {paths.root}.",
                remedy=f"tmux-builder deploy {key.session_id} makes it again.",
            )
        plan = plan_injection(self._library, facts_of(session))
        comparison = compare(paths, plan, session.injection_sha256)
        return ComparedSession(key=key, paths=paths, plan=plan, comparison=comparison)

    def update(self, compared: ComparedSession, *, overwrite: bool) -> Injected:
        """Bring a compared session up to date.

        Args:
            compared: From `compare`, just before.
            overwrite: Also replace what was changed by hand, and remove what was added.

        Raises:
            ConfirmationNeededError: Something was changed by hand; nothing was written.
            LibraryError, StorageError: As for `inject`.
        """
        by_hand = compared.comparison.by_hand
        if by_hand and not overwrite:
            raise hand_made(compared)
        injected = self.write_recorded(self._store.sessions.require(compared.key))
        given = {file.path for file in compared.plan.files}
        lock = compared.paths.injection_lock.name
        gone = [file.path for file in by_hand if file.path not in given and file.path != lock]
        remove_added(compared.paths, gone)
        logger.info(
            "injection updated",
            extra={
                "user_id": compared.key.user_id, "session_id": compared.key.session_id,
                "files": len(compared.comparison.pending), "by_hand": len(by_hand),
            },
        )  # fmt: skip
        return injected

    def _paths(self, key: SessionKey) -> SessionPaths:
        return self._root.session(key.user_id, key.session_id)


def hand_made(compared: ComparedSession) -> ConfirmationNeededError:
    """The refusal that names what an update would take from a person."""
    names = ", ".join(file.path for file in compared.comparison.by_hand)
    session_id = compared.key.session_id
    return ConfirmationNeededError(
        f"In {session_id} these were changed by hand and would be lost: {names}.",
        remedy=f"tmux-builder library diff {session_id} --patch shows them;"
        f" tmux-builder library update {session_id} -y takes the library's.",
    )


def facts_of(session: Session) -> SessionFacts:
    """What the session's pages say about it."""
    from importlib import metadata  # noqa: PLC0415 - 20 ms that only an injection needs

    return SessionFacts(
        user_id=session.key.user_id,
        session_id=session.key.session_id,
        host_provider=session.host_provider,
        site_type=session.site_type,
        product_version=metadata.version(PROGRAM),
        mode=session.mode,
        aws_profile=session.aws_profile,
        azure_profile=session.azure_profile,
    )
