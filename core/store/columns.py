"""Turning columns into values and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import msgspec

from core.clock import from_text, to_text
from core.models.execution import Json
from core.redaction import redacted, redacted_fields

TOLD = frozenset({"detail", "details", "message", "error", "reason", "failures", "text"})
"""Names under which a document holds words for people."""


def instant(value: str | None) -> datetime | None:
    return None if value is None else from_text(value)


def text(value: datetime | None) -> str | None:
    return None if value is None else to_text(value)


def told(words: str | None) -> str | None:
    """Words for people, without a secret that this process knows."""
    return None if words is None else redacted(words)


def told_json(document: Mapping[str, Json]) -> str:
    """A document whose words for people are as `told`; its other fields are acted upon."""
    return to_json(redacted_fields(document, TOLD))


def to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def from_json(value: str) -> Mapping[str, Json]:
    """A JSON object that this program wrote."""
    return cast("Mapping[str, Json]", msgspec.json.decode(value))
