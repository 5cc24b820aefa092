"""Blocking calls off the screen's thread, on daemon threads that never delay leaving the app.

The event loop's own executor is not used: it joins its threads at exit, so that a minute-long wait
for a check would keep the terminal. Threads are kept for reuse, because the store holds a
connection for each of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from textual.worker import WorkType

T = TypeVar("T")


class ThreadPool:
    """Grows when every thread is busy, never shrinks; the app needs a handful."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job`, which must not raise, on some thread."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                threading.Thread(target=self._serve, name="tui-background", daemon=True).start()
        self._jobs.put(job)

    def _serve(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._idle += 1


_POOL = ThreadPool()


async def in_background(function: Callable[[], T]) -> T:
    """Await a blocking call. Cancelling the wait leaves the call to end by itself, unheard."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(outcome: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(outcome)  # type: ignore[arg-type]  # None only where T is None
        else:
            future.set_exception(error)

    def job() -> None:
        outcome: T | None = None
        error: BaseException | None = None
        try:
            outcome = function()
        except BaseException as raised:  # noqa: BLE001  # handed to whoever awaits the call
            error = raised
        with suppress(RuntimeError):  # the app has left in the meantime
            loop.call_soon_threadsafe(settle, outcome, error)

    _POOL.submit(job)
    return await future


def as_worker(function: Callable[[], None]) -> WorkType[None]:
    """A blocking function as the app's workers take it; nothing begins until it is called."""

    async def work() -> None:
        await in_background(function)

    return work
