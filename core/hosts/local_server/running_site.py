"""One site that is served: its port, the release behind it, and the switch between two."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from starlette.types import Receive, Scope, Send

from core.errors import StorageError
from core.hosts.local_server.app_log import AppLog
from core.hosts.local_server.child import end_recorded_child
from core.hosts.local_server.dynamic_site import DynamicSite, dynamic_site
from core.hosts.local_server.layout import SiteDocument, SiteFolder, StoredRelease
from core.hosts.local_server.ports import PortServer
from core.hosts.local_server.static_site import StaticSite
from core.hosts.local_server.variables_file import VariablesFile
from core.models.session import SessionKey
from core.models.user import SiteType
from core.paths import DataRoot

logger = logging.getLogger(__name__)


class Backend(Protocol):
    """What answers the requests of one release."""

    @property
    def release_id(self) -> str: ...

    @property
    def is_up(self) -> bool: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def close(self) -> None: ...


class RunningSite:
    """A site in this process. A request sees one backend from its first byte to its last."""

    def __init__(self, root: DataRoot, key: SessionKey, ports: PortServer) -> None:
        self.folder = SiteFolder(root, key)
        self.port: int | None = None
        self.backend: Backend | None = None
        self._ports = ports
        self._variables = VariablesFile(root.variables(key.user_id, key.session_id))
        self._log = AppLog(root.session(key.user_id, key.session_id).root)
        self._changing = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def answering_release(self) -> str | None:
        """The release that requests on the port get now."""
        if self.port is None or self.backend is None or not self._ports.is_open(self.port):
            return None
        return self.backend.release_id if self.backend.is_up else None

    async def activate(self, document: SiteDocument, release_id: str) -> bool:
        """Serve a stored release; whether that was a change.

        Raises:
            AnswerIsNoError: The site's program did not come up; the former release stays.
            ConflictError: The port is taken.
            StorageError: The release is not in its place.
        """
        async with self._changing:
            if self._serves(document, release_id):
                return False
            release = self._load(release_id)
            await self._ports.open(document.port)
            try:
                backend = await self._started(document, release)
            except BaseException:
                if self.backend is None:
                    self._ports.close_port(document.port)
                raise
            self.folder.write_document(document)
            self.folder.switch(release_id)
            self._take_over(document.port, backend)
            return True

    async def restore(self) -> None:
        """Serve what the folder says, as far as it can be; a program may come up later.

        Raises:
            ConflictError: The port is taken.
            StorageError: The folder is damaged.
        """
        async with self._changing:
            document, release_id = self.folder.document(), self.folder.current()
            if document is None or release_id is None or self._serves(document, release_id):
                return
            if self.backend is not None and self.port == document.port:
                return
            release = self._load(release_id)
            await self._ports.open(document.port)
            end_recorded_child(self.folder.child_record)
            self._take_over(document.port, self._restored(document, release))

    async def refresh(self) -> None:
        """Replace the program by one with the newest variables; nothing where none is served.

        Raises:
            AnswerIsNoError: The new one did not come up; the old one serves on.
            StorageError: The folder, or the file of the variables, is damaged.
        """
        async with self._changing:
            document, release_id = self.folder.document(), self.folder.current()
            if self.backend is None or document is None or release_id is None:
                return
            backend = await self._started(document, self._load(release_id))
            self._take_over(document.port, backend)

    async def remove(self) -> None:
        """Stop serving, and make sure that no later server starts again."""
        async with self._changing:
            self.folder.forget()
            await self._stop()

    async def close(self) -> None:
        """Stop serving for now."""
        async with self._changing:
            await self._stop()

    def _serves(self, document: SiteDocument, release_id: str) -> bool:
        return (
            self.answering_release == release_id
            and self.port == document.port
            and self.folder.document() == document
            and self.folder.current() == release_id
        )

    def _load(self, release_id: str) -> StoredRelease:
        release = self.folder.load(release_id)
        if release is None:
            raise StorageError(
                f"Release {release_id} is not in its place on the local host.",
                remedy="Deploy the site again.",
            )
        return release

    async def _started(self, document: SiteDocument, release: StoredRelease) -> Backend:
        if document.site_type is SiteType.STATIC:
            return StaticSite(release)
        site = self._dynamic(document, release)
        await site.start()
        return site

    def _restored(self, document: SiteDocument, release: StoredRelease) -> Backend:
        if document.site_type is SiteType.STATIC:
            return StaticSite(release)
        site = self._dynamic(document, release)
        site.start_in_background()
        return site

    def _dynamic(self, document: SiteDocument, release: StoredRelease) -> DynamicSite:
        return dynamic_site(
            self.folder, release, self._log,
            variables=self._variables, isolated=document.isolated,
        )  # fmt: skip

    def _take_over(self, port: int, backend: Backend) -> None:
        if self.port is not None and self.port != port:
            self._ports.close_port(self.port)
        former, self.backend, self.port = self.backend, backend, port
        if former is not None:
            closing = asyncio.create_task(former.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _stop(self) -> None:
        if self.port is not None:
            self._ports.close_port(self.port)
        former, self.backend, self.port = self.backend, None, None
        if former is not None:
            await former.close()
        if self._closing:
            await asyncio.wait(self._closing)
