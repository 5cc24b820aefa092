"""Acts that other threads ask the agents' thread for, each with its answer or its error."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from core.errors import ConflictError, TimedOutError

T = TypeVar("T")
_Act = tuple[Callable[[], None], Callable[[BaseException], None]]


class Mailbox:
    """Who asks gets an answer, an error, or the news that nobody will come to it any more."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._acts: queue.SimpleQueue[_Act] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False

    def ask(self, act: Callable[[], T], *, timeout_s: float) -> T:
        """Have it done and wait for it. Never called on the thread that does it.

        Raises:
            TimedOutError: The thread did not come to it; it is not done any more.
            ConflictError: The worker is ending.
        """
        answer: Future[T] = Future()
        with self._lock:
            if self._is_closed:
                raise _ending()
            self._acts.put((lambda: _perform(act, answer), answer.set_exception))
        self._wake()
        wait([answer], timeout_s)
        if not answer.done() and answer.cancel():
            raise TimedOutError(
                f"The worker's agents did not answer within {timeout_s:g} s.",
                remedy="Try again; the worker's log says what holds it up.",
            )
        return answer.result(timeout_s)

    def do_all(self) -> None:
        """Do what was asked so far, on this thread; an act's failure goes to who asked."""
        while not self._acts.empty():
            self._acts.get_nowait()[0]()

    def close(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._is_closed = True

    def refuse_left(self) -> None:
        """Nobody does these any more."""
        while not self._acts.empty():
            self._acts.get_nowait()[1](_ending())


def _perform(act: Callable[[], T], answer: Future[T]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(act())
    except BaseException as error:  # noqa: BLE001 - handed to who asked
        answer.set_exception(error)


def _ending() -> ConflictError:
    return ConflictError(
        "The worker is ending, so it takes no more requests.",
        remedy="Run the command again: it starts a new worker.",
        code="worker_ending",
    )
