"""Instants and durations: aware UTC for what is stored, a monotonic clock for what is measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar


class Clock(Protocol):
    """Where instants and durations come from."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The computer's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def to_text(instant: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as it is stored and shown in JSON."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """The instant behind `to_text`."""
    return datetime.fromisoformat(text)


T = TypeVar("T")


def wait_for(
    probe: Callable[[], T | None],
    *,
    deadline_s: float,
    interval_s: float = 0.05,
    clock: Clock | None = None,
) -> T | None:
    """Ask `probe` until it answers with something true or the deadline has passed.

    Returns:
        The first true answer, or the last one (falsy) when the time was out; the caller knows
        the sentence that says what never became true.
    """
    clock = clock or SystemClock()
    end = clock.monotonic() + deadline_s
    while True:
        answer = probe()
        if answer or clock.monotonic() >= end:
            return answer
        clock.sleep(interval_s)
