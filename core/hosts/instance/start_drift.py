"""An instance that was started with the text of a former version of the product.

It is kept on both clouds: what its program has written would be gone with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.hosts.instance.commands import start_digest
from core.models.release import Drift

NEW_ONE = "destroy and deploy make a new one"


def start_drift(kind: str, resource_id: str, found: str | None) -> Iterator[Drift]:
    """Nothing where it has no such tag: nobody noted then what it was started with."""
    wanted = start_digest()
    if found not in (None, wanted):
        yield Drift(
            kind=kind, resource_id=resource_id, what="first start",
            expected=f"{wanted}, as of today", found=f"{found}, kept; {NEW_ONE}",
        )  # fmt: skip
