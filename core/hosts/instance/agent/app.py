"""One release's program: started on a private port, proven, kept alive, ended when idle.

The `web:` line of a Procfile is a shell's by definition (`$PORT`, `&&`), so `/bin/sh -c` runs it,
as the site's own user and with a clean environment.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path

from .answering import AgentError
from .place import Place
from .printed import Printed
from .process import Process, start_process

DRAIN_S = 10.0
HOLD_S = 20.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STABLE_AFTER_S = 30.0
_POLL_S = 0.05
_WEB = re.compile(r"^web:[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)

logger = logging.getLogger(__name__)


class App:
    """The program of one release with one set of variables."""

    def __init__(
        self, place: Place, release_id: str, variables: dict[str, str], printed: Printed
    ) -> None:
        self.release_id = release_id
        self.variables = variables
        self.restarts = 0
        self.port = 0
        self._place = place
        self._printed = printed
        self._process: Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._is_starting = False
        self._settled = asyncio.Event()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def state(self) -> str:
        if self._is_starting:
            return "starting"
        is_up = self._process is not None and self._process.code is None
        return "running" if is_up else "down"

    def serves(self, release_id: str, variables: dict[str, str] | None) -> bool:
        """Whether it answers as that release, with those variables where some are named."""
        is_same = variables is None or variables == self.variables
        return self.state == "running" and self.release_id == release_id and is_same

    def last_lines(self) -> tuple[str, ...]:
        return self._printed.last_lines()

    def enter(self) -> None:
        self._in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    async def start(self) -> None:
        """Start it and keep it alive from its first answer on.

        Raises:
            AgentError: It did not come up; nothing of it is left running.
        """
        await self._launch()
        self._keeping = asyncio.create_task(self._keep())

    def start_in_background(self) -> None:
        """Keep it alive even if it cannot start now."""
        self._is_starting = True
        self._keeping = asyncio.create_task(self._keep())

    async def wait_while_starting(self) -> bool:
        """Whether it answers; one that is just starting is waited for."""
        if self._is_starting:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._settled.wait(), HOLD_S)
        return self.state == "running"

    async def close(self) -> None:
        """Answer what was asked, then end the program."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), DRAIN_S)
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.stop()

    async def _launch(self) -> None:
        self._is_starting = True
        self._settled.clear()
        self._printed.forget()
        try:
            self.port = _free_port()
            self._process = await start_process(
                self._place,
                ["/bin/sh", "-c", web_command(self._place.site(self.release_id))],
                folder=self._place.site(self.release_id),
                environment=self._environment(),
            )
            self._process.read_into(self._printed.write)
            await self._wait_until_it_answers(self._process)
        except BaseException:
            await self._end()
            raise
        finally:
            self._is_starting = False
            self._settled.set()

    async def _wait_until_it_answers(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        start_s = self._place.settings().start_s
        ends = loop.time() + start_s
        while loop.time() < ends:
            if process.code is not None:
                await process.wait()
                raise self._not_started(f"ended with code {process.code}")
            with suppress(OSError, asyncio.TimeoutError):
                if await asyncio.wait_for(_answers(self.port), max(0.1, ends - loop.time())):
                    return
            await asyncio.sleep(_POLL_S)
        raise self._not_started(f"did not answer on 127.0.0.1:$PORT in {start_s:g} s")

    def _not_started(self, reason: str) -> AgentError:
        message = f"The site's program {reason}."
        return AgentError("app_not_started", message, self._printed.last_lines())

    async def _keep(self) -> None:
        """Start it again whenever it ends, with pauses that grow while it does not last."""
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            since = loop.time()
            if self._process is not None:
                code = await self._process.wait()
                logger.warning("the program ended with code %s", code)
                self.restarts += 1
                self._is_starting = True
                self._settled.clear()
                await self._end()
            if loop.time() - since > STABLE_AFTER_S:
                pause_s = FIRST_PAUSE_S
            try:
                await self._launch()
            except (AgentError, OSError) as error:
                logger.warning("the program did not start: %s", error)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _environment(self) -> dict[str, str]:
        site, data = self._place.site(self.release_id), self._place.data
        packages = self._place.environment(self.release_id)
        folders = [] if packages is None else [str(packages / "bin")]
        folders += [str(site / "node_modules" / ".bin")]
        folders += ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        own = {
            "PATH": ":".join([*folders, str(Path(sys.executable).parent)]),
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "HOME": str(data),
            "DATA_DIR": str(data),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NODE_ENV": "production",
        }
        return {**self.variables, **own}


def web_command(site: Path) -> str:
    """The command behind `web:`.

    Raises:
        AgentError: There is no Procfile, or no such line in it.
    """
    try:
        found = _WEB.search((site / "Procfile").read_bytes().decode("utf-8", "replace"))
    except OSError:
        found = None
    if found is None or "\0" in found.group(1):
        raise AgentError("empty_source", "The release has no Procfile with a web: line.")
    return found.group(1)


async def _answers(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        return (await reader.read(5)).startswith(b"HTTP/")
    finally:
        writer.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
