"""A test case of the end-to-end check and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.models.execution import Json


class Outcome(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One named test. `message` is one line: expected, got, page; `log` is everything known."""

    name: str
    outcome: Outcome = Outcome.PASSED
    message: str = ""
    log: str = ""

    def as_failure(self) -> dict[str, Json]:
        return {"name": self.name, "message": self.message, "log": self.log}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Worth saying, but no failure."""

    name: str
    message: str

    def as_json(self) -> dict[str, Json]:
        return {"name": self.name, "message": self.message}


def matches(name: str, grep: str | None) -> bool:
    """Whether a case's name is asked for: plain text, in any case."""
    return grep is None or grep.lower() in name.lower()
