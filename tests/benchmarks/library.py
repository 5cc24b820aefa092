"""What Claude is given and what it may do: escapes, approvals, injection, planted secrets."""

from __future__ import annotations

from tests.benchmarks import (
    library_approvals,
    library_escapes,
    library_injection,
    library_secrets,
)
from tests.benchmarks.rows import Measure

MEASURES: tuple[Measure, ...] = (
    library_escapes.MEASURE,
    library_approvals.MEASURE,
    library_injection.MEASURE,
    library_secrets.MEASURE,
)
