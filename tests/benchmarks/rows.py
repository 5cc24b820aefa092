"""What a benchmark gives: rows with a bar, and the sums behind them."""

from __future__ import annotations

import operator
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Figure = int | float | str | list[str] | list[float]
_RELATIONS: Mapping[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `peers` are what it was compared with, measured in the same run."""

    name: str
    value: float
    unit: str
    limit: float
    relation: str = "<="
    peers: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return _RELATIONS[self.relation](self.value, self.limit)

    def document(self, group: str) -> dict[str, object]:
        return {
            "group": group, "name": self.name, "value": round(self.value, 3), "unit": self.unit,
            "bar": f"{self.relation} {self.limit:g}", "ok": self.ok, "peers": dict(self.peers),
        }  # fmt: skip


class Run(Protocol):
    """Measures; `full` asks for the large counts."""

    def __call__(self, *, full: bool) -> list[Row]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A measurement and the names of the rows that it gives."""

    rows: tuple[str, ...]
    run: Run


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; 0 for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
