"""The parts of a doctor's report: what a check answers and how it is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How a check ended; `skip` is a fault that does not matter for what was asked."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a probe saw. `need` and `fix` are None where nothing is wrong."""

    state: CheckState
    found: str
    need: str | None = None
    fix: str | None = None


Probe = Callable[[], Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorCheck:
    """One line of the report; `ms` is how long the probe took."""

    id: str
    state: CheckState
    found: str
    need: str | None
    fix: str | None
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """All checks and what the computer is ready for."""

    ready: dict[str, bool]
    checks: tuple[DoctorCheck, ...]
    purposes: frozenset[str]
    """What was asked for, or what the users there need."""

    @property
    def is_well(self) -> bool:
        """Nothing that was asked for is missing."""
        return all(self.ready[purpose] for purpose in self.purposes)
