"""The result documents of the three checks, as they are shown, stored and written for Claude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.models.execution import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDocument:
    """Written to `deployment/tests/<test>.json`; `skipped` holds the remedy, not a verdict."""

    test: str
    timestamp: datetime
    passed: bool
    duration_ms: int
    attempts: int
    details: Mapping[str, Json]
    error: str | None = None
    skipped: str | None = None
