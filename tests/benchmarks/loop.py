"""The main loop: delivery, readiness, state, light verbs, first paint, kills, the pipeline."""

from __future__ import annotations

from tests.benchmarks import (
    loop_delivery,
    loop_first_paint,
    loop_kills,
    loop_pipeline,
    loop_ready,
    loop_verbs,
)
from tests.benchmarks.rows import Measure

MEASURES: tuple[Measure, ...] = (
    loop_delivery.MEASURE,
    loop_ready.MEASURE,
    loop_verbs.MEASURE,
    loop_first_paint.MEASURE,
    loop_pipeline.MEASURE,
    loop_kills.MEASURE,
)
