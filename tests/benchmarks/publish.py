"""Publishing to an object store, side by side with the tools that others use for it."""

from __future__ import annotations

from tests.benchmarks import publish_azurite, publish_big, publish_faulty, publish_speed
from tests.benchmarks.rows import Measure

MEASURES: tuple[Measure, ...] = (
    publish_speed.MEASURE,
    publish_faulty.MEASURE,
    publish_azurite.MEASURE,
    publish_big.MEASURE,
)
