"""Turning columns into values and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import msgspec

from core.clock import from_text, to_text
from core.models.execution import Json


def instant(value: str | None) -> datetime | None:
    return None if value is None else from_text(value)


def text(value: datetime | None) -> str | None:
    return None if value is None else to_text(value)


def to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def from_json(value: str) -> Mapping[str, Json]:
    """A JSON object that this program wrote."""
    return cast("Mapping[str, Json]", msgspec.json.decode(value))
