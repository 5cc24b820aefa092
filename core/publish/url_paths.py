"""Which addresses a CDN must forget: the changed ones, and no more of them than pay off."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from core.publish.headers import is_hashed_asset
from core.publish.source_state import HOME_PAGE

MOST_PATHS = 8
EVERYTHING = ("/*",)
_KEPT = "/!$&'()+,;=:@~"
"""What browsers send as it is; a CDN compares the spelling."""


def changed_url_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """URL paths for changed or deleted files, sorted; `/*` where there are more than eight.

    A name with a content hash never changes under it, so it is not among them. An index document
    answers at its folder's address too.
    """
    found: set[str] = set()
    for path in paths:
        if is_hashed_asset(path):
            continue
        address = f"/{quote(path, safe=_KEPT)}"
        found.add(address)
        if path.rpartition("/")[2] == HOME_PAGE:
            found.add(address.removesuffix(HOME_PAGE))
        if len(found) > MOST_PATHS:
            return EVERYTHING
    return tuple(sorted(found))
