"""What somebody changed by hand on an object store, found by one listing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from core.models.release import Drift, PublishedObject
from core.ports.objects import StoredObject

MOST_SHOWN = 100
NOTHING = "none"


def drift_of(
    known: Mapping[str, PublishedObject],
    listed: Mapping[str, StoredObject],
    *,
    kind: str,
    resource_id: str,
) -> tuple[Drift, ...]:
    """Objects that are missing, other ones or not ours; past a hundred only how many more."""
    found = _differences(known, listed)
    shown = [
        Drift(kind=kind, resource_id=resource_id, what=what, expected=expected, found=is_there)
        for what, expected, is_there in islice(found, MOST_SHOWN)
    ]
    more = sum(1 for _ in found)
    if more:
        shown.append(
            Drift(
                kind=kind,
                resource_id=resource_id,
                what="more files",
                expected="as published",
                found=f"{more} differ",
            )
        )
    return tuple(shown)


def _differences(
    known: Mapping[str, PublishedObject], listed: Mapping[str, StoredObject]
) -> Iterator[tuple[str, str, str]]:
    for path in sorted({*known, *listed}):
        expected = known[path].etag if path in known else NOTHING
        found = listed[path].etag if path in listed else NOTHING
        if expected != found:
            yield f"file {path}", expected, found
