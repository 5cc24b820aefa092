"""The store: one object that gives every repository over one database, and its change counter."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from core.clock import Clock, SystemClock
from core.models.session import SessionKey
from core.paths import DataRoot
from core.store.agents import Agents
from core.store.approvals import Approvals
from core.store.database import Database
from core.store.executions import Executions
from core.store.logs import Logs
from core.store.prompts import Prompts
from core.store.published import PublishedSites
from core.store.releases import Releases
from core.store.requests import Requests
from core.store.sessions import Sessions
from core.store.usage import Usage
from core.store.users import Users


class Store:
    """What the product knows. Opened by `open_store`, shared by all threads of a process."""

    def __init__(self, database: Database, root: DataRoot, clock: Clock) -> None:
        self.database = database
        self.root = root
        self.clock = clock
        self.users = Users(database)
        self.sessions = Sessions(database, clock)
        self.agents = Agents(database, clock)
        self.approvals = Approvals(database, clock)
        self.prompts = Prompts(database, clock)
        self.executions = Executions(database, clock)
        self.logs = Logs(database, clock)
        self.releases = Releases(database, clock)
        self.requests = Requests(database, clock)
        self.published = PublishedSites(database)
        self.usage = Usage(database, clock)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit several repositories' writes together."""
        with self.database.transaction() as connection:
            yield connection

    def installation_id(self) -> str:
        """What tells this data root's cloud resources from those of another; made on first use."""
        self.database.execute(
            "INSERT INTO meta (key, value) VALUES ('installation_id', ?) ON CONFLICT DO NOTHING",
            (uuid.uuid4().hex,),
        )
        row = self.database.row("SELECT value FROM meta WHERE key = 'installation_id'")
        return "" if row is None else str(row["value"])

    def touch(self, key: SessionKey) -> None:
        """Mark a session as changed, for whoever shows it."""
        self.sessions.touch(key)

    def close(self) -> None:
        self.database.close()


def open_store(root: DataRoot, clock: Clock | None = None) -> Store:
    """Open (and create or migrate) the store of a data root; the folder must exist.

    Raises:
        StorageError: The folder or the file cannot be used.
    """
    database = Database(root.store)
    database.migrate()
    return Store(database, root, clock or SystemClock())
