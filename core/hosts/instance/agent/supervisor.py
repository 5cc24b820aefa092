"""The agent that serves: it owns the public port and the programs behind it.

Commands ask it over a private socket, one JSON line each way; a caller that hangs up gives its
command up. One command at a time changes what is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import signal
import socket
from contextlib import suppress
from typing import Any

from .answering import AgentError, refusal
from .app import App
from .building import build
from .front import Backend, Front
from .guard import OPEN, read_guard
from .http1 import LARGEST_HEAD_BYTES
from .place import RELEASE_ID, Place, read_json
from .printed import Printed
from .process import end_left_over

LARGEST_COMMAND_BYTES = 4096
END_S = 10.0
BACKLOG = 1024

logger = logging.getLogger(__name__)


class Supervisor:
    """Serves `current`, and switches to another release only after its program has answered."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._app: App | None = None
        self._changing = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()
        self._agent = digest_of(place)
        self.guard = read_guard(place)
        self.port: int | None = None

    @property
    def release_id(self) -> str | None:
        return None if self._app is None else self._app.release_id

    @property
    def is_down(self) -> bool:
        return self._app is not None and self._app.state == "down"

    async def backend(self) -> Backend | None:
        """The program that answers now; a request follows a switch that happens while it waits."""
        app = self._app
        while app is not None:
            if await app.wait_while_starting():
                return app
            if app is self._app:
                return None
            app = self._app
        return None

    async def run(self) -> None:
        """Bring back what was served, open both sockets, serve until told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        end_left_over(self._place)
        self._restore()
        front = Front(self)
        public = await asyncio.start_server(
            front.talk, sock=self._public_socket(), limit=LARGEST_HEAD_BYTES, backlog=BACKLOG
        )
        control = await self._listen()
        logger.info("serving on port %s", self.port)
        await self._ending.wait()
        public.close()
        control.close()
        await front.end(END_S)
        if self._app is not None:
            await self._app.close()
        await asyncio.gather(*self._closing)

    def _restore(self) -> None:
        release_id = self._place.current()
        if release_id is not None and self._place.built(release_id) is not None:
            self._app = self._program(release_id, read_json(self._place.variables) or {})
            self._app.start_in_background()

    def _program(self, release_id: str, variables: dict[str, Any]) -> App:
        return App(self._place, release_id, variables, Printed(self._place.log))

    def _public_socket(self) -> socket.socket:
        """The system's socket where there is one: it holds visitors while the agent restarts."""
        if os.environ.get("LISTEN_PID") == str(os.getpid()):
            listener = socket.socket(fileno=3)
        else:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            host = "0.0.0.0" if self._place.is_system else "127.0.0.1"  # noqa: S104 - a web site
            listener.bind((host, self._place.settings().port))
        self.port = listener.getsockname()[1]
        return listener

    async def _listen(self) -> asyncio.AbstractServer:
        self._place.socket.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(
                self._converse, path=str(self._place.socket), limit=LARGEST_COMMAND_BYTES
            )
        finally:
            os.umask(before)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                command = json.loads(await reader.readline())
            except ValueError:
                return
            if not isinstance(command, dict):
                return
            doing = asyncio.create_task(self._do(command))
            hanging_up = asyncio.create_task(reader.read(1))
            await asyncio.wait({doing, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                logger.warning("a command was given up")
                doing.cancel()
            hanging_up.cancel()
            with suppress(asyncio.CancelledError, OSError):
                writer.write(json.dumps(await doing).encode() + b"\n")
                await writer.drain()

    async def _do(self, command: dict[str, Any]) -> dict[str, Any]:
        self.guard = read_guard(self._place)
        try:
            changed = False
            if command.get("do") == "activate":
                async with self._changing:
                    changed = await self._activate(str(command.get("release")))
            return {**self._status(), "changed": changed}
        except AgentError as error:
            return {**self._status(), **refusal(error)}
        except OSError as error:
            code = "disk_full" if error.errno == 28 else "failed"
            failed = AgentError(code, f"{error.filename or 'The instance'}: {error.strerror}.")
            return {**self._status(), **refusal(failed)}

    async def _activate(self, release_id: str) -> bool:
        """Serve a release with the newest variables; whether that was a change.

        Raises:
            AgentError: It is not there, does not build or does not answer; what was served is
                served on, with the variables that it had.
        """
        if not RELEASE_ID.fullmatch(release_id) or not self._place.site(release_id).is_dir():
            raise AgentError("no_release", f"The instance does not keep release {release_id[:64]}.")
        staged = read_json(self._place.next_variables)
        served = self._app
        if served is not None:
            await served.wait_while_starting()
            if served.serves(release_id, staged):
                return False
        await build(self._place, release_id)
        self._touch(release_id)
        variables = staged if staged is not None else read_json(self._place.variables) or {}
        app = self._program(release_id, variables)
        await app.start()
        if staged is not None:
            self._place.next_variables.replace(self._place.variables)
        self._place.switch(release_id)
        self._app = app
        if served is not None:
            self._close_later(served)
        return True

    def _touch(self, release_id: str) -> None:
        """Give the site's files the time of now: a program that makes validators of times must
        not call a file of another release the same."""
        for parent, folders, names in os.walk(str(self._place.site(release_id))):
            if "node_modules" in folders:
                folders.remove("node_modules")
            for name in names:
                with suppress(OSError):
                    os.utime(os.path.join(parent, name), follow_symlinks=False)  # noqa: PTH118

    def _close_later(self, app: App) -> None:
        closing = asyncio.create_task(app.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _status(self) -> dict[str, Any]:
        app = self._app
        return {
            "ok": True,
            "release": self.release_id,
            "app": "none" if app is None else app.state,
            "pid": None if app is None else app.pid,
            "restarts": 0 if app is None else app.restarts,
            "variables": 0 if app is None else len(app.variables),
            "port": self.port,
            "guard": OPEN if self.guard is None else self.guard.kind,
            "agent": self._agent,
            "error": None,
            "log": [] if app is None else list(app.last_lines()),
        }


def digest_of(place: Place) -> str | None:
    """Which agent this is, by its file at the start."""
    try:
        return hashlib.sha256(place.agent.read_bytes()).hexdigest()
    except OSError:
        return None


def serve(place: Place) -> None:
    """Run the supervisor to its end."""

    async def run() -> None:
        await Supervisor(place).run()

    asyncio.run(run())
