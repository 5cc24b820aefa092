"""The one place where calls to a cloud are tried again: named faults, deadline, growing pause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.clock import Clock
from core.errors import CancelledError, TimedOutError

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long something is waited for.

    Attributes:
        deadline_s: From the first try.
        interval_s: Before the second try; it grows by half with each.
        longest_s: The longest pause.
    """

    deadline_s: float
    interval_s: float = 1.0
    longest_s: float = 15.0


def retried(
    act: Callable[[], Answer],
    *,
    again: Callable[[Exception], bool],
    patience: Patience,
    clock: Clock,
    cancelled: Callable[[], bool] = lambda: False,
) -> Answer:
    """The answer of `act`, tried again while `again` says that its error may pass.

    Raises:
        Exception: The last error, when it is another one or the time is out.
        CancelledError: The operator cancelled meanwhile.
    """
    end, pause_s = clock.monotonic() + patience.deadline_s, patience.interval_s
    while True:
        try:
            return act()
        except Exception as error:
            if not again(error) or clock.monotonic() + pause_s >= end:
                raise
        pause_s = _pause(clock, pause_s, patience, cancelled)


def awaited(
    probe: Callable[[], Answer | None],
    *,
    what: str,
    remedy: str,
    patience: Patience,
    clock: Clock,
    cancelled: Callable[[], bool] = lambda: False,
) -> Answer:
    """What `probe` answers once it is not None.

    Args:
        what: What never came true, as the end of `... was not ready: {what}`.

    Raises:
        TimedOutError: The time is out; what was begun goes on in the cloud.
        CancelledError: The operator cancelled meanwhile.
    """
    end, pause_s = clock.monotonic() + patience.deadline_s, patience.interval_s
    while True:
        answer = probe()
        if answer is not None:
            return answer
        if clock.monotonic() + pause_s >= end:
            raise TimedOutError(
                f"{what} did not come true within {patience.deadline_s:g} s.", remedy=remedy
            )
        pause_s = _pause(clock, pause_s, patience, cancelled)


def _pause(
    clock: Clock, pause_s: float, patience: Patience, cancelled: Callable[[], bool]
) -> float:
    if cancelled():
        raise CancelledError(
            "The work in the cloud was cancelled; what was made is kept.",
            remedy="Deploy again to go on, or destroy the session's resources.",
        )
    clock.sleep(pause_s)
    return min(pause_s * 1.5, patience.longest_s)
