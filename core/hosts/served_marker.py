"""What a public address answers: the marker of the release that is served there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.clock import Clock
from core.cloud.retrying import Patience, awaited
from core.errors import CloudUnreachableError
from core.models.release import MARKER_PATH

TIMEOUT_S = 10.0
APPEARS = Patience(deadline_s=900.0, interval_s=0.5, longest_s=10.0)
"""Edges settle: until then anything may come, also errors of TLS and other sites' pages."""

_LONGEST_ID = 64


def served_release(url: str, *, ca: Path | None = None) -> str | None:
    """The release id that the site says; None where it has no marker.

    Args:
        ca: A file of authorities to trust instead of the system's.

    Raises:
        CloudUnreachableError: Nothing answers there.
    """
    import requests  # noqa: PLC0415 - heavy, on use only

    try:
        with requests.get(
            f"{url}/{MARKER_PATH}", timeout=TIMEOUT_S, allow_redirects=False, stream=True,
            verify=True if ca is None else str(ca),
        ) as answer:  # fmt: skip
            said = answer.raw.read(_LONGEST_ID + 1, decode_content=True).decode("ascii", "replace")
    except (requests.RequestException, OSError) as error:
        raise CloudUnreachableError(
            f"{url} does not answer: {type(error).__name__}.",
            remedy="Check the network, then run the same command again.",
        ) from error
    is_marker = answer.status_code == 200 and said.strip().isalnum() and len(said) <= _LONGEST_ID
    return said.strip() if is_marker else None


def await_release(
    url: str,
    release_id: str,
    *,
    clock: Clock,
    cancelled: Callable[[], bool],
    ca: Path | None = None,
) -> None:
    """Return when the public address says that it serves this release.

    Raises:
        TimedOutError: It does not within a quarter of an hour.
        CancelledError: The operator cancelled meanwhile.
    """

    def is_served() -> bool | None:
        try:
            return True if served_release(url, ca=ca) == release_id else None
        except CloudUnreachableError:
            return None

    awaited(
        is_served,
        what=f"{url} serves the release {release_id}",
        remedy="The edges follow by themselves; run the same command again in a few minutes.",
        patience=APPEARS,
        clock=clock,
        cancelled=cancelled,
    )
