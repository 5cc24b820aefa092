"""Sessions: an exclusive folder with all that a Claude finds in it, then the row that names it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.accounts.injections import SessionInjector
from core.accounts.source_copy import copy_source
from core.clock import Clock
from core.errors import BuilderError, NotFoundError, StorageError
from core.files import make_private_folder
from core.injection.inject import Injected
from core.injection.layers import LibrarySource
from core.models.session import Session, SessionKey
from core.models.states import ModelSpeed, SessionMode
from core.models.user import HostProvider, SiteType, User
from core.paths import DataRoot, SessionPaths
from core.store.store import Store
from core.store.views import Views

SECONDS_TRIED = 3600

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionWish:
    """What a new session shall be.

    Attributes:
        brief: The operator's first wish, kept in the store only.
        copy_from: Another session whose `source/` is copied.
    """

    host_provider: HostProvider
    site_type: SiteType
    brief: str | None = None
    mode: SessionMode = SessionMode.UNATTENDED
    simulated: bool = False
    model_speed: ModelSpeed = ModelSpeed.NORMAL
    model_url: str | None = None
    aws_profile: str = "sunwaretech"
    azure_profile: str = "sunwaretech"
    copy_from: SessionKey | None = None


class SessionCreator:
    """Makes and repairs sessions.

    Args:
        prepare_repository: Makes the session's folder a git repository; repeatable.
    """

    def __init__(
        self,
        store: Store,
        views: Views,
        root: DataRoot,
        library: LibrarySource,
        clock: Clock,
        prepare_repository: Callable[[Path], None],
    ) -> None:
        self._store = store
        self._views = views
        self._root = root
        self._injector = SessionInjector(store, root, library)
        self._clock = clock
        self._prepare_repository = prepare_repository

    def create(self, user: User, wish: SessionWish) -> tuple[Session, Injected]:
        """A new session with its whole folder tree. Others see it once it is complete.

        Raises:
            StorageError, LibraryError: It cannot be made; nothing of it is left.
            NotFoundError: The session to copy from is not there.
        """
        while True:
            session = self._claim(user, wish)
            paths = self._paths(session.key)
            try:
                self._make_folders(paths)
                injected = self._injector.write(session)
                self._prepare_repository(paths.root)
                session = replace(session, injection_sha256=injected.lock_sha256)
                if wish.copy_from is not None:
                    copy_source(self._existing(wish.copy_from), paths.source)
                if self._store.sessions.add(session):
                    self._views.session(session.key)
                    break
                self._remove(paths)
            except BaseException:
                self._take_back(session.key, paths)
                raise
        logger.info(
            "session created",
            extra={
                "user_id": session.key.user_id,
                "session_id": session.key.session_id,
                "host_provider": str(session.host_provider),
            },
        )
        return self._store.sessions.get(session.key) or session, injected

    def ensure(self, key: SessionKey) -> Injected:
        """Repair an existing session's folders, injected files and view; repeatable.

        Raises:
            NotFoundError: There is no such session.
            StorageError, LibraryError: It cannot be repaired.
        """
        session = self._store.sessions.get(key)
        if session is None:
            raise _unknown(key)
        paths = self._paths(key)
        make_private_folder(paths.root)
        self._make_folders(paths)
        injected = self._injector.write_recorded(session)
        self._prepare_repository(paths.root)
        self._views.session(key)
        return injected

    def _claim(self, user: User, wish: SessionWish) -> Session:
        """Make the folder exclusively; the loser takes the next free second."""
        now = self._clock.now()
        make_private_folder(self._root.sessions(user.user_id))
        for second in range(SECONDS_TRIED):
            key = SessionKey(user.user_id, _session_id(now + timedelta(seconds=second)))
            if self._store.sessions.get(key) is None and _make(self._paths(key).root):
                return Session(
                    key=key,
                    host_provider=wish.host_provider,
                    site_type=wish.site_type,
                    created_at=now,
                    updated_at=now,
                    brief=wish.brief,
                    mode=wish.mode,
                    simulated=wish.simulated,
                    model_speed=wish.model_speed,
                    model_url=wish.model_url,
                    aws_profile=wish.aws_profile,
                    azure_profile=wish.azure_profile,
                )
        raise StorageError(
            f"No free second for a new session of {user.user_id} in the next hour.",
            remedy="Wait a moment and create it again.",
        )

    def _make_folders(self, paths: SessionPaths) -> None:
        for folder in paths.folders():
            if folder.is_symlink():
                raise StorageError(
                    f"{folder} is a link where a folder of the session belongs.",
                    remedy=f"Look who put it there, remove {folder} and run it again.",
                )
            make_private_folder(folder)
        make_private_folder(paths.claude_config.parent)
        make_private_folder(paths.claude_config)

    def _existing(self, key: SessionKey) -> Path:
        if self._store.sessions.get(key) is None:
            raise _unknown(key)
        return self._paths(key).root

    def _take_back(self, key: SessionKey, paths: SessionPaths) -> None:
        try:
            self._store.sessions.remove(key)
        except BuilderError:
            logger.warning(
                "session kept half made",
                extra={"user_id": key.user_id, "session_id": key.session_id},
            )
            return
        self._remove(paths)

    def _remove(self, paths: SessionPaths) -> None:
        shutil.rmtree(paths.root, ignore_errors=True)
        shutil.rmtree(paths.claude_config, ignore_errors=True)

    def _paths(self, key: SessionKey) -> SessionPaths:
        return self._root.session(key.user_id, key.session_id)


def _session_id(instant: datetime) -> str:
    return f"sess_{instant.astimezone(UTC):%Y%m%d_%H%M%S}"


def _make(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return False
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be created: {error.strerror}.",
            remedy="Check free space and rights of the data root, then run it again.",
        ) from error
    return True


def _unknown(key: SessionKey) -> NotFoundError:
    return NotFoundError(
        f"There is no session {key.session_id} of user {key.user_id}.",
        remedy="tmux-builder session list",
    )
