"""The exported JSON files that people and Claude read; never read back as truth.

Whoever commits a change writes its views, under one lock, from what the store then holds. The
registry remembers which users it covers, so of many writers that wait for the lock the first
writes for all of them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import msgspec

from core.clock import to_text
from core.errors import BuilderError, StorageError
from core.files import read_regular, replace_beneath, write_atomically
from core.models.cost import SessionCost
from core.models.session import SessionKey
from core.store.documents import (
    Document,
    config_document,
    execution_document,
    shown_logs,
    user_document,
)
from core.store.locks import held_file
from core.store.run_log import RunLog
from core.store.store import Store

VIEW_LIMIT_BYTES = 16_000_000
LOGS_IN_VIEW = 500

logger = logging.getLogger(__name__)


class _Coverage(msgspec.Struct, frozen=True):
    """What the registry file on disk holds, and which file that is."""

    users: int
    inode: int
    size: int
    mtime_ns: int


class Views:
    """Writes the views of one data root. Safe for any number of processes and threads.

    Every method raises StorageError where the file cannot be written; the store keeps the truth
    and the worker mends the view later.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root = store.root
        self._run_log = RunLog(store)

    def registry(self) -> None:
        """`registry.json`: returns when every user committed before this call is in it."""
        needed = self._store.users.count()
        with self._lock() as handle:
            if _covered(handle, self._root.registry) < needed:
                self._write_registry(handle)

    def user(self, user_id: str) -> None:
        """`user.json`. A user never changes, so an equal file is left as it is."""
        user = self._store.users.get(user_id)
        if user is not None:
            self._put(f"{user_id}/user.json", _pretty(user_document(user)))

    def session(self, key: SessionKey) -> None:
        """`deployment/config.json` of a session."""
        with self._lock():
            self._put_session(key)

    def execution(self, execution_id: str) -> None:
        """`executions/<id>.json` and the run's log file, from the newest 500 entries on."""
        self._make_executions_folder()
        with self._lock():
            self._put_execution(execution_id)
            self._run_log.export(execution_id)

    def log(self, execution_id: str) -> None:
        """Only the new lines of the run's log file; costs the same however long the log is."""
        with self._lock():
            self._run_log.export(execution_id)

    def mend(self) -> int:
        """Write every view that is missing or stale; how many there were.

        Looks without the lock, so that nobody waits while thousands of files are compared.
        """
        self._make_executions_folder()
        with self._lock() as handle:
            mended = self._mend_registry(handle)
        writers = (*self._stale_users(), *self._stale_sessions(), *self._stale_executions())
        return mended + sum(self._mended(write) for write in writers)

    def _write_registry(self, handle: int) -> None:
        with self._store.transaction():
            users, registry = self._store.users.count(), self._store.users.registry()
        write_atomically(self._root.registry, _pretty(dict(registry)))
        info = self._root.registry.stat()
        coverage = _Coverage(
            users=users, inode=info.st_ino, size=info.st_size, mtime_ns=info.st_mtime_ns
        )
        os.ftruncate(handle, 0)
        os.pwrite(handle, msgspec.json.encode(coverage), 0)

    def _mend_registry(self, handle: int) -> int:
        if _covered(handle, self._root.registry) >= self._store.users.count():
            return 0
        self._write_registry(handle)
        return 1

    def _stale_users(self) -> Iterator[Callable[[], None]]:
        for user in self._store.users.all():
            name = f"{user.user_id}/user.json"
            is_there = self._root.user(user.user_id).is_dir()
            if is_there and not self._is_written(name, _pretty(user_document(user))):
                yield partial(self.user, user.user_id)

    def _stale_sessions(self) -> Iterator[Callable[[], None]]:
        blocks = self._store.sessions.provider_blocks()
        for session in self._store.sessions.all():
            content = _pretty(config_document(session, blocks.get(session.key, {})))
            paths = self._root.session(session.key.user_id, session.key.session_id)
            is_there = paths.deployment.is_dir()
            if is_there and not self._is_written(self._config_name(session.key), content):
                yield partial(self.session, session.key)

    def _stale_executions(self) -> Iterator[Callable[[], None]]:
        for execution_id, changed_at in self._store.executions.stamps().items():
            try:
                written = self._root.execution(execution_id).stat().st_mtime
            except OSError:
                written = 0.0
            if written < changed_at.timestamp():
                yield partial(self.execution, execution_id)

    def _mended(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except BuilderError as error:
            logger.warning("view not mended", extra={"reason": error.message})
            return False
        return True

    def _put_session(self, key: SessionKey) -> None:
        session = self._store.sessions.get(key)
        if session is not None:
            block = self._store.sessions.provider_block(key)
            self._put(self._config_name(key), _pretty(config_document(session, block)))

    def _put_execution(self, execution_id: str) -> None:
        execution = self._store.executions.get(execution_id)
        if execution is None:
            return
        steps = self._store.executions.steps(execution_id)
        logs = shown_logs(self._store.logs.tail(execution_id, limit=LOGS_IN_VIEW), verbose=False)
        cost = self._costs(execution.key)
        document = execution_document(execution, steps, logs, cost)
        replace_beneath(self._root.path, f"executions/{execution_id}.json", _pretty(document))

    def _costs(self, key: SessionKey) -> SessionCost:
        """What Claude used; what clouds cost is no fact of a run."""
        usage, today = self._store.usage, to_text(self._store.clock.now())[:10]
        return SessionCost(
            today=usage.of_session(key, today), total=usage.of_session(key), cloud_usd_day=None
        )

    def _put(self, name: str, content: bytes) -> None:
        """Write one view below the data root unless it is equal already."""
        if not self._is_written(name, content):
            replace_beneath(self._root.path, name, content)

    def _is_written(self, name: str, content: bytes) -> bool:
        return read_regular(self._root.path, name, limit=VIEW_LIMIT_BYTES) == content

    def _config_name(self, key: SessionKey) -> str:
        paths = self._root.session(key.user_id, key.session_id)
        return paths.config.relative_to(self._root.path).as_posix()

    def _make_executions_folder(self) -> None:
        try:
            self._root.executions.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {self._root.executions} cannot be created: {error.strerror}.",
                remedy="Check free space and rights of the data root, then run it again.",
            ) from error

    def _lock(self) -> AbstractContextManager[int]:
        return held_file(self._root.views_lock)


def _covered(handle: int, registry: Path) -> int:
    """How many users the registry on disk holds; -1 where it is missing or not the one we wrote."""
    try:
        coverage = msgspec.json.decode(os.pread(handle, 4096, 0), type=_Coverage)
        info = registry.stat()
    except (OSError, msgspec.MsgspecError):
        return -1
    same = (info.st_ino, info.st_size, info.st_mtime_ns)
    if same != (coverage.inode, coverage.size, coverage.mtime_ns):
        return -1
    return coverage.users


def _pretty(document: Document) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
