"""The database behind the one port: SQLite in WAL mode, a connection per thread.

Users, runs and intents are written with synchronous=FULL; log lines may lose the newest on a power
cut (NORMAL), nothing else. The file must lie on a local disk: WAL does not work over the network.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import StorageError
from core.store.schema import MIGRATIONS

BUSY_TIMEOUT_S = 30.0

logger = logging.getLogger(__name__)

Row = sqlite3.Row
Value = str | int | float | bytes | None


class Database:
    """One SQLite file. Safe to use from any thread; a transaction belongs to its thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @property
    def path(self) -> Path:
        return self._path

    def migrate(self) -> None:
        """Bring the schema up to this program's version.

        Raises:
            StorageError: The file is read-only, full, corrupt, or newer than this program.
        """
        with self.transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise StorageError(
                    f"{self._path} was written by a newer tmux-builder (schema {version}).",
                    remedy="Run the newer program, or choose another folder with --data-dir.",
                )
            for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")

    def exists(self) -> bool:
        return self._path.exists()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Everything inside commits together or not at all; nested ones join the outer."""
        if getattr(self._local, "depth", 0):
            yield self._connection(durable=self._local.writes_durably)
            return
        with self._translated():
            connection = self._connection(durable=durable)
            connection.execute("BEGIN IMMEDIATE")
        self._local.depth, self._local.writes_durably = 1, durable
        try:
            with self._translated():
                yield connection
                connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        finally:
            self._local.depth = 0

    def execute(self, sql: str, values: Sequence[Value] = ()) -> None:
        """One durable statement in a transaction of its own, or in the open one."""
        with self.transaction() as connection:
            connection.execute(sql, values)

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        with self._translated():
            return self._reader().execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Value] = ()) -> Row | None:
        with self._translated():
            found: Row | None = self._reader().execute(sql, values).fetchone()
            return found

    def data_version(self) -> int:
        """Changes whenever another connection commits; costs microseconds to ask."""
        with self._translated():
            version: int = (
                self._connection(durable=True).execute("PRAGMA data_version").fetchone()[0]
            )
            return version

    def close(self) -> None:
        """Close every thread's connections; the object can be used again afterwards."""
        with self._lock:
            for connection in self._all:
                with suppress(sqlite3.Error):
                    connection.close()
            self._all.clear()
            self._local = threading.local()

    def _reader(self) -> sqlite3.Connection:
        durable = self._local.writes_durably if getattr(self._local, "depth", 0) else True
        return self._connection(durable=durable)

    def _connection(self, *, durable: bool) -> sqlite3.Connection:
        name = "durable" if durable else "quick"
        connection: sqlite3.Connection | None = getattr(self._local, name, None)
        if connection is None:
            connection = self._open(synchronous="FULL" if durable else "NORMAL")
            setattr(self._local, name, connection)
        return connection

    def _open(self, *, synchronous: str) -> sqlite3.Connection:
        self._protect()
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        with self._lock:
            self._all.append(connection)
        return connection

    def _protect(self) -> None:
        with suppress(FileExistsError, OSError):
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.DatabaseError, OSError) as error:
            raise StorageError(
                f"The store {self._path} cannot be used: {error}.",
                remedy="Check free space, rights and the disk of the data root, then try again.",
            ) from error
