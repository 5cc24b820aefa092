"""Processes that the agent starts: marked in their environment, ended with all they started.

The mark is inherited, so it also finds what left its group, and what a killed agent left running;
it is there from the first instant, which a note on disk is not.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from .accounts import process_options
from .place import Place

STOP_S = 5.0
MARK = "TMUX_BUILDER_RUN"
_MOST_SWEEPS = 20
_numbers = itertools.count(1)


class Process:
    """One started group of processes."""

    def __init__(self, process: asyncio.subprocess.Process, mark: str) -> None:
        self._process = process
        self._mark = mark
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        return self._process.returncode

    def read_into(self, write: Callable[[bytes], None]) -> None:
        self._reading = asyncio.create_task(self._read(write))

    async def wait(self) -> int:
        code = await self._process.wait()
        await self._drained()
        return code

    async def stop(self) -> None:
        """Ask the group to end, then end it and what left it; nothing is left afterwards."""
        self._signal(signal.SIGTERM)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait(), STOP_S)
        self._signal(signal.SIGKILL)
        await self._process.wait()
        await asyncio.to_thread(_sweep, f"{MARK}={self._mark}\0")
        await self._drained()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _read(self, write: Callable[[bytes], None]) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for as a pipe
        while chunk := await self._process.stdout.read(16 * 1024):
            write(chunk)

    async def _drained(self) -> None:
        if self._reading is not None:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._reading), 1.0)


async def start_process(
    place: Place, command: Sequence[str], *, folder: Path, environment: dict[str, str]
) -> Process:
    """Start a program of the customer's as the site's user, with nothing of the agent's own."""
    mark = f"{place.root}#{os.getpid()}.{next(_numbers)}"
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=str(folder),
        env={**environment, MARK: mark},
        start_new_session=True,
        **process_options(place.settings().user),
    )
    return Process(process, mark)


def end_left_over(place: Place) -> None:
    """End everything that a killed agent of this place left running."""
    _sweep(f"{MARK}={place.root}#")


def _sweep(start: str) -> None:
    """Kill every process with such an entry in its environment, and what it forks meanwhile."""
    for _round in range(_MOST_SWEEPS):
        found = [pid for pid in _pids() if _is_marked(pid, start.encode())]
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - 3.9


def _is_marked(pid: int, start: bytes) -> bool:
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return b"\0" + start in b"\0" + content
