"""One run of a site's `web:` line: started contained, watched for its port, ended as a group.

The line is a shell's by definition of a Procfile (`$PORT`, `&&`), so `/bin/sh -c` runs it, inside
the sandbox: it sees its own release read-only, its data folder, a private /tmp, and a clean
environment. No shell of the product's own ever sees it. Without a usable bubblewrap it is refused,
unless the operator switched isolation off.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from core.call_filter import filter_descriptor
from core.errors import AnswerIsNoError
from core.hosts.local_server.app_log import AppLog
from core.hosts.local_server.variables_file import VariablesFile
from core.sandbox import Sandbox, bubblewrap_arguments, python_folders, require_bubblewrap

START_DEADLINE_S = 15.0
STOP_DEADLINE_S = 5.0
_POLL_S = 0.05

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """What to run and what it may see."""

    command: str
    release: Path
    data: Path
    isolated: bool
    variables: VariablesFile
    record: Path
    """Where an uncontained run is noted, so that a killed server's successor can end it."""


class Child:
    """A running program on a private loopback port."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, plan: ChildPlan) -> None:
        self.process = process
        self.port = port
        self._plan = plan
        self.inner_pid: int | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    def read_into(self, log: AppLog) -> None:
        self._reading = asyncio.create_task(self._read(log))

    async def wait_until_it_answers(self, log: AppLog) -> None:
        """Wait for an HTTP answer on the port.

        Raises:
            AnswerIsNoError: It ended, or did not answer in time; says what it printed last.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + START_DEADLINE_S
        while loop.time() < ends:
            if not self.is_alive:
                await self._drained()
                raise _not_started(f"ended with code {self.process.returncode}", log)
            with suppress(OSError, TimeoutError):
                if await asyncio.wait_for(_answers(self.port), max(0.1, ends - loop.time())):
                    return
            await asyncio.sleep(_POLL_S)
        raise _not_started(f"did not answer on 127.0.0.1:$PORT in {START_DEADLINE_S:.0f} s", log)

    async def stop(self) -> None:
        """Ask it to end, then end it with all its processes."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_DEADLINE_S)
        except TimeoutError:
            logger.warning("an app did not end when asked", extra={"pid": self.process.pid})
        self._signal(signal.SIGKILL)
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._drained()
        _forget(self._plan.record, self.process.pid)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the program's group; contained, that is the group of the sandbox's init."""
        group = self.inner_pid or (None if self._plan.isolated else self.process.pid)
        with suppress(ProcessLookupError, PermissionError):
            if group is not None and (self.is_alive or not self._plan.isolated):
                os.killpg(group, number)
            elif self.is_alive:
                self.process.send_signal(number)

    async def _read(self, log: AppLog) -> None:
        assert self.process.stdout is not None  # noqa: S101 - it was asked for as a pipe
        while chunk := await self.process.stdout.read(16 * 1024):
            log.write(chunk)

    async def _drained(self) -> None:
        if self._reading is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reading, 1.0)


async def start_child(plan: ChildPlan, log: AppLog) -> Child:
    """Start the program on a free private port; it need not answer yet.

    Raises:
        MissingProgramError: It must be contained and cannot be.
        StorageError: The file of its variables is damaged.
    """
    port = _free_port()
    plan.data.mkdir(mode=0o700, exist_ok=True)
    shell = ["/bin/sh", "-c", plan.command]
    if plan.isolated:
        child = await _start_contained(plan, shell, port)
    else:
        child = await _start(plan, shell, port, ())
        _record(plan.record, child.process.pid)
    child.read_into(log)
    return child


async def _start_contained(plan: ChildPlan, shell: list[str], port: int) -> Child:
    program = await asyncio.to_thread(require_bubblewrap)
    sandbox = Sandbox(
        folder=plan.release, read_only=(*python_folders(), plan.release), writable=(plan.data,)
    )
    reading, writing = os.pipe()
    try:
        with filter_descriptor() as calls:
            options = bubblewrap_arguments(replace(sandbox, calls=calls))
            keep = (writing,) if calls is None else (writing, calls)
            command = [program, "--info-fd", str(writing), *options, "--", *shell]
            child = await _start(plan, command, port, keep)
    finally:
        os.close(writing)
    try:
        described = await _said_by_bubblewrap(reading)
    except BaseException:
        await child.stop()
        raise
    with suppress(ValueError, KeyError, TypeError):
        child.inner_pid = int(json.loads(described)["child-pid"])
    return child


async def _said_by_bubblewrap(reading: int) -> bytes:
    """All that bubblewrap says about the sandbox, up to the end of its pipe."""
    reader = asyncio.StreamReader()
    transport, _protocol = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    try:
        return await asyncio.wait_for(reader.read(), START_DEADLINE_S)
    finally:
        transport.close()


async def _start(plan: ChildPlan, command: list[str], port: int, keep: tuple[int, ...]) -> Child:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=plan.release,
        env=_environment(plan, port),
        pass_fds=keep,
        start_new_session=True,
    )
    return Child(process, port, plan)


def _environment(plan: ChildPlan, port: int) -> dict[str, str]:
    return {
        **plan.variables.read(),
        "PATH": f"/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:{Path(sys.executable).parent}",
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "HOME": str(plan.data),
        "DATA_DIR": str(plan.data),
        "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


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


def _not_started(reason: str, log: AppLog) -> AnswerIsNoError:
    said = log.last_lines()
    return AnswerIsNoError(
        f"The site's program {reason}. It said: {said or 'nothing'}.",
        remedy="Correct the web: line of source/Procfile or the program, then deploy again.",
        code="app_did_not_start",
    )


def end_recorded_child(record: Path, identity: Callable[[int], str | None] | None = None) -> None:
    """End an uncontained program that outlived the server that started it."""
    identity = identity or process_identity
    try:
        noted = json.loads(record.read_bytes())
        pid, started = int(noted["pid"]), str(noted["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if identity(pid) == started:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    record.unlink(missing_ok=True)


def _record(record: Path, pid: int) -> None:
    record.write_text(json.dumps({"pid": pid, "started": process_identity(pid)}))


def _forget(record: Path, pid: int) -> None:
    """Remove the note of that program; its successor's stays."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if int(json.loads(record.read_bytes())["pid"]) == pid:
            record.unlink()


def process_identity(pid: int) -> str | None:
    """When the process started, in the kernel's ticks; None where there is no /proc or process."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return content.rpartition(")")[2].split()[19]
