"""What the session's machine fetches: its agent and the releases, in a private container."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.hosts.instance.agent_program import agent_program
from core.hosts.instance.archive import CHUNK_BYTES, ReleaseArchive, archive_key
from core.models.release import PublishedObject
from core.ports.host import Log
from core.ports.objects import ObjectStore

WHOLE_BYTES = 8 * 1024 * 1024
"""An archive up to this size is sent as one; a larger one in parts, so that memory is bounded."""

_HEADERS: Mapping[str, str] = {"Content-Type": "application/octet-stream"}

Known = dict[str, PublishedObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """One object as it should be in the container."""

    key: str
    sha256: str
    content: Callable[[], bytes | Iterator[bytes]]


def agent_shipment() -> Shipment:
    program = agent_program()
    return Shipment(key=program.key, sha256=program.sha256, content=lambda: program.content)


def release_shipment(archive: ReleaseArchive) -> Shipment:
    return Shipment(key=archive.key, sha256=archive.sha256, content=lambda: _content(archive))


def bring(
    objects: ObjectStore,
    wanted: Sequence[Shipment],
    known: Mapping[str, PublishedObject],
    remember: Callable[[Known], None],
    log: Log,
) -> frozenset[str]:
    """Put what is not there, or not as it was put; one listing. What lies there afterwards.

    Args:
        remember: Told of each object once it is written.

    Raises:
        BuilderError: As the store says.
    """
    there = objects.list()
    written = {key: one for key, one in known.items() if key in there}
    for one in wanted:
        before = written.get(one.key)
        if before is not None and (before.sha256, before.etag) == (one.sha256, there[one.key].etag):
            continue
        etag = objects.put(one.key, one.content(), _HEADERS)
        written[one.key] = PublishedObject(path=one.key, sha256=one.sha256, etag=etag, headers="")
        remember(written)
        log("file uploaded", {"path": one.key})
    return frozenset({*there, *written})


def clear_old(
    objects: ObjectStore, there: frozenset[str], wanted: Sequence[Shipment], kept: Sequence[str]
) -> None:
    """Delete releases that no machine keeps any more, and former agents."""
    needed = {one.key for one in wanted} | {archive_key(release_id) for release_id in kept}
    objects.delete(sorted(there - needed))


def _content(archive: ReleaseArchive) -> bytes | Iterator[bytes]:
    if archive.size_bytes <= WHOLE_BYTES:
        return archive.path.read_bytes()
    return _chunks(archive.path)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            yield chunk
