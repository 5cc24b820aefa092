"""How long something took, added up over several stretches, by a monotonic clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.clock import Clock


class Stopwatch:
    """Counts only while it runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._elapsed_s = 0.0

    @property
    def ms(self) -> int:
        return round(self._elapsed_s * 1000)

    @contextmanager
    def running(self) -> Iterator[None]:
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._elapsed_s += self._clock.monotonic() - began
