"""A release against what a store holds: what to write, what to prove, what is stale. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from core.errors import AnswerIsNoError, NothingToDeployError
from core.models.release import MARKER_PATH, PublishedObject, Release, ReleaseFile
from core.ports.objects import StoredObject
from core.publish.headers import content_type, headers_digest, is_hashed_asset
from core.publish.source_state import HOME_PAGE

LONGEST_PATH_BYTES = 1024
_MD5 = re.compile(r"[0-9a-f]{32}")


class Phase(IntEnum):
    """Order of writing: nothing is named by a page before it is there."""

    HASHED = 0
    OTHER = 1
    PAGE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a publish does.

    Attributes:
        pending: Files to send, in the order of the phases.
        proofs: By path, the MD5 that the store says; the same content need not be sent.
        stale: Paths in the store that the release does not have.
    """

    pending: tuple[ReleaseFile, ...]
    proofs: Mapping[str, str]
    stale: tuple[str, ...]


def phase_of(path: str) -> Phase:
    if is_hashed_asset(path):
        return Phase.HASHED
    return Phase.PAGE if content_type(path).startswith("text/html") else Phase.OTHER


def require_publishable(release: Release) -> None:
    """Refuse what no object store could serve, before anything is written.

    Raises:
        NothingToDeployError: There is no home page.
        AnswerIsNoError: A path cannot be an object's name.
    """
    if all(file.path != HOME_PAGE for file in release.files):
        raise NothingToDeployError(
            f"The release has no {HOME_PAGE}, so the site would have no home page.",
            remedy="Ask Claude for the home page, or put it into source/, then deploy again.",
        )
    for file in release.files:
        parts = file.path.split("/")
        if len(file.path.encode()) > LONGEST_PATH_BYTES or not {"", ".", ".."}.isdisjoint(parts):
            raise AnswerIsNoError(
                f"The path {file.path[:200]!r} cannot be an object's name in a cloud.",
                remedy=f"Rename it: parts that say something, {LONGEST_PATH_BYTES} bytes at most.",
                code="path_not_publishable",
            )


def compared(
    release: Release,
    known: Mapping[str, PublishedObject],
    listed: Mapping[str, StoredObject],
) -> Comparison:
    """What differs. An ETag that is the recorded one proves content and headers.

    Where the record does not know the object, an ETag that looks like an MD5 is worth reading the
    file for: S3 gives it to objects that were written in one part.
    """
    pending, proofs = [], {}
    for file in release.files:
        known_one, listed_one = known.get(file.path), listed.get(file.path)
        if listed_one is not None and is_as_recorded(file, known_one, listed_one.etag):
            continue
        pending.append(file)
        if listed_one is not None and _may_be_equal(file, known_one, listed_one):
            proofs[file.path] = listed_one.etag
    wanted = {file.path for file in release.files} | {MARKER_PATH}
    return Comparison(
        pending=tuple(sorted(pending, key=lambda file: phase_of(file.path))),
        proofs=proofs,
        stale=tuple(sorted(path for path in listed if path not in wanted)),
    )


def is_as_recorded(file: ReleaseFile, known: PublishedObject | None, etag: str) -> bool:
    """Whether the record says that this ETag stands for this content with these headers."""
    return (
        known is not None
        and known.etag == etag
        and known.sha256 == file.sha256
        and known.headers == headers_digest(file.path)
    )


def _may_be_equal(
    file: ReleaseFile, known: PublishedObject | None, listed: StoredObject
) -> bool:  # fmt: skip
    """Not for an object that is as we left it, nor for our content that somebody wrote over."""
    if listed.size_bytes != file.size_bytes or _MD5.fullmatch(listed.etag) is None:
        return False
    if known is None:
        return True
    is_ours = known.headers == headers_digest(file.path)
    return is_ours and known.etag != listed.etag and known.sha256 != file.sha256
