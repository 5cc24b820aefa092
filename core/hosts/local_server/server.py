"""The server process: every site of a data root, and the control socket that changes them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import suppress

import msgspec
from starlette.types import Receive, Scope, Send

from core.errors import BuilderError
from core.hosts.local_server.control import (
    LONGEST_LINE_BYTES,
    Activate,
    Answer,
    Command,
    Ping,
    Refresh,
    Remove,
    Restore,
    Shutdown,
    Status,
    problem_of,
)
from core.hosts.local_server.layout import SiteDocument, all_sites
from core.hosts.local_server.pages import no_site
from core.hosts.local_server.ports import PortServer
from core.hosts.local_server.running_site import RunningSite
from core.models.session import SessionKey
from core.paths import DataRoot, RuntimePaths

WATCH_EVERY_S = 1.0
MEND_EVERY_S = 5.0
TOUCH_EVERY_S = 3600.0

logger = logging.getLogger(__name__)


class SiteServer:
    """Serves all sites of one data root until it is told to end, or the data root is gone."""

    def __init__(self, root: DataRoot, runtime: RuntimePaths, lock: int) -> None:
        self._root = root
        self._runtime = runtime
        self._lock = lock
        self._ports = PortServer(self._answer_request)
        self._sites: dict[SessionKey, RunningSite] = {}
        self._by_port: dict[int, RunningSite] = {}
        self._ending = asyncio.Event()

    async def run(self) -> None:
        """Bring back every site, open the control socket, serve."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        serving = asyncio.create_task(self._ports.run_until_told())
        while not self._ports.started:
            await asyncio.sleep(0.005)
        await self._restore_all()
        control = await self._listen()
        logger.info("local host server ready", extra={"pid": os.getpid()})
        watching = asyncio.create_task(self._watch())
        await self._ending.wait()
        control.close()
        watching.cancel()
        await asyncio.gather(*(site.close() for site in self._sites.values()))
        self._ports.end()
        await serving
        logger.info("local host server ended", extra={"pid": os.getpid()})

    async def _answer_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        port = scope["server"][1]
        site = self._site_on(port)
        backend = None if site is None else site.backend
        if backend is None:
            await no_site()(scope, receive, send)
        else:
            await backend(scope, receive, send)

    def _site_on(self, port: int) -> RunningSite | None:
        site = self._by_port.get(port)
        if site is None or site.port != port:
            self._by_port = {one.port: one for one in self._sites.values() if one.port}
            site = self._by_port.get(port)
        return site

    async def _restore_all(self) -> None:
        for folder in all_sites(self._root):
            if folder.document() is not None:
                await self._mend(self._site(folder.key))

    async def _mend(self, site: RunningSite) -> None:
        try:
            await site.restore()
        except BuilderError as error:
            logger.warning(
                "a site cannot be served",
                extra={"session_id": site.folder.key.session_id, "reason": error.message},
            )

    async def _listen(self) -> asyncio.AbstractServer:
        self._runtime.host_socket.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(
                self._converse, path=self._runtime.host_socket, limit=LONGEST_LINE_BYTES
            )
        finally:
            os.umask(before)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one command; a caller that hangs up gives its command up."""
        command: Command | None = None
        try:
            command = msgspec.json.decode(await reader.readline(), type=Command)
            doing = asyncio.create_task(self._do(command))
            hanging_up = asyncio.create_task(reader.read(1))
            await asyncio.wait({doing, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            hanging_up.cancel()
            if not doing.done():
                doing.cancel()
            answer = await doing
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        except (msgspec.DecodeError, ValueError, OSError) as error:
            logger.warning("a control command was not understood", extra={"reason": str(error)})
        except asyncio.CancelledError:
            logger.info("a control command was given up")
        finally:
            writer.close()
        if isinstance(command, Shutdown) or (isinstance(command, Remove) and not self._sites):
            self._ending.set()

    async def _do(self, command: Command) -> Answer:
        try:
            return await self._obey(command)
        except BuilderError as error:
            return Answer(pid=os.getpid(), problem=problem_of(error))
        except Exception as error:
            logger.exception("a control command failed")
            failed = BuilderError(
                f"The local host server failed: {error!r}.",
                remedy=f"Read {self._runtime.host_log}, then deploy again.",
            )
            return Answer(pid=os.getpid(), problem=problem_of(failed))

    async def _obey(self, command: Command) -> Answer:
        match command:
            case Activate():
                return await self._activate(command)
            case Restore():
                site = self._site(command.key)
                try:
                    await site.restore()
                finally:
                    self._forget_unless_served(site)
                return _state(site)
            case Refresh():
                await self._site(command.key).refresh()
            case Remove():
                await self._site(command.key).remove()
                self._sites.pop(command.key, None)
            case Status():
                known = self._sites.get(command.key)
                return Answer(pid=os.getpid()) if known is None else _state(known)
            case Ping() | Shutdown():
                pass
        return Answer(pid=os.getpid())

    async def _activate(self, command: Activate) -> Answer:
        site = self._site(command.key)
        document = SiteDocument(
            port=command.port, site_type=command.site_type, isolated=command.isolated
        )
        try:
            switched = await site.activate(document, command.release_id)
        finally:
            self._forget_unless_served(site)
        return msgspec.structs.replace(_state(site), switched=switched)

    def _site(self, key: SessionKey) -> RunningSite:
        if key not in self._sites:
            self._sites[key] = RunningSite(self._root, key, self._ports)
        return self._sites[key]

    def _forget_unless_served(self, site: RunningSite) -> None:
        if site.backend is None and site.folder.document() is None:
            self._sites.pop(site.folder.key, None)

    async def _watch(self) -> None:
        """End without a data root or lock file; mend sites whose port was taken; stay unswept."""
        loop = asyncio.get_running_loop()
        mend_at = loop.time() + MEND_EVERY_S
        touch_at = loop.time() + TOUCH_EVERY_S
        while not self._is_orphaned():
            await asyncio.sleep(WATCH_EVERY_S)
            if loop.time() >= mend_at:
                for site in [one for one in self._sites.values() if one.backend is None]:
                    await self._mend(site)
                mend_at = loop.time() + MEND_EVERY_S
            if loop.time() >= touch_at:
                self._touch()
                touch_at = loop.time() + TOUCH_EVERY_S
        logger.warning("data root or runtime folder is gone")
        self._ending.set()

    def _is_orphaned(self) -> bool:
        try:
            held, named = os.fstat(self._lock), self._runtime.host_lock.stat()
        except OSError:
            return True
        return held.st_ino != named.st_ino or not self._root.path.is_dir()

    def _touch(self) -> None:
        """Cleaners of temporary folders remove what is old."""
        for path in (self._runtime.path, self._runtime.host_lock, self._runtime.host_socket):
            with suppress(OSError):
                os.utime(path)


def _state(site: RunningSite) -> Answer:
    return Answer(pid=os.getpid(), release_id=site.answering_release, port=site.port)


def serve(root: DataRoot, runtime: RuntimePaths, lock: int) -> None:
    """Run the server of a data root to its end; `lock` is held as long as it lives."""

    async def run() -> None:
        await SiteServer(root, runtime, lock).run()

    asyncio.run(run())
