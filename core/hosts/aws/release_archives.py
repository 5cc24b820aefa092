"""The bucket of a dynamic site: the agent and the archives of its newest releases.

What the product wrote is recorded with the ETag that S3 answered, so that one listing tells what
has to be written anew.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import CancelledError
from core.hosts.instance.agent_program import agent_program
from core.hosts.instance.archive import CHUNK_BYTES, ReleaseArchive, archive_key, write_archive
from core.models.release import PublishedObject
from core.models.session import SessionKey
from core.ports.host import Log, PublishRequest
from core.ports.objects import ObjectStore, StoredObject
from core.store.store import Store

KEPT_ARCHIVES = 10
"""As many as an instance keeps itself: a new one can serve each of them without an upload."""

_WHOLE_BYTES = 16 * 1024 * 1024
_HEADERS = {"Content-Type": "application/octet-stream", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseArchives:
    """Puts releases into one session's bucket."""

    objects: ObjectStore
    store: Store
    key: SessionKey

    def put(self, request: PublishRequest) -> ReleaseArchive:
        """Bring the agent and the release's archive there, unless they are there unchanged.

        Raises:
            CancelledError: It was cancelled between two uploads.
            BuilderError: The release is damaged, or the bucket cannot be reached.
        """
        listed = self.objects.list()
        self._put_agent(listed, request.log)
        _leave_if_cancelled(request)
        wanted = archive_key(request.release.release_id)
        known, there = self._known().get(wanted), listed.get(wanted)
        if known is not None and there is not None and known.etag == there.etag:
            return ReleaseArchive(
                release_id=request.release.release_id, path=Path(wanted), sha256=known.sha256,
                size_bytes=there.size_bytes,
            )  # fmt: skip
        return self._put_archive(request)

    def put_agent(self) -> None:
        """Bring the agent there: every command but a look may update the instance's own."""
        self._put_agent(self.objects.list(), lambda _message, _details: None)

    def prune(self, current: str) -> list[str]:
        """Delete archives of old releases and agents of former versions; what was deleted.

        Args:
            current: The release that is served.
        """
        deploys = self.store.releases.deploys(self.key)
        ordered = dict.fromkeys([current, *(one.release_id for one in deploys)])
        kept = {archive_key(one) for one in list(ordered)[:KEPT_ARCHIVES]} | {agent_program().key}
        stale = sorted(self._known().keys() - kept)
        if stale:
            self.objects.delete(stale)
            self._forget(stale)
        return stale

    def _put_agent(self, listed: dict[str, StoredObject], log: Log) -> None:
        program = agent_program()
        known, there = self._known().get(program.key), listed.get(program.key)
        if known is not None and there is not None and known.etag == there.etag:
            return
        etag = self.objects.put(program.key, program.content, _HEADERS)
        self._note(program.key, program.sha256, etag)
        log("file uploaded", {"path": program.key, "bytes": len(program.content)})

    def _put_archive(self, request: PublishRequest) -> ReleaseArchive:
        with tempfile.TemporaryDirectory(prefix="tb-release-") as folder:
            archive = write_archive(request.release, request.trees, Path(folder) / "release")
            _leave_if_cancelled(request)
            etag = self.objects.put(archive.key, _content(archive), _HEADERS)
        self._note(archive.key, archive.sha256, etag)
        request.log("file uploaded", {"path": archive.key, "bytes": archive.size_bytes})
        return archive

    def _known(self) -> dict[str, PublishedObject]:
        return self.store.published.get(self.key)

    def _note(self, path: str, sha256: str, etag: str) -> None:
        written = PublishedObject(path=path, sha256=sha256, etag=etag, headers=_headers_digest())
        self.store.published.put(self.key, {**self._known(), path: written})

    def _forget(self, paths: Collection[str]) -> None:
        left = {path: one for path, one in self._known().items() if path not in paths}
        self.store.published.put(self.key, left)


def _content(archive: ReleaseArchive) -> bytes | Iterator[bytes]:
    """Small ones whole, so that their ETag is their hash; large ones while they are read."""
    if archive.size_bytes <= _WHOLE_BYTES:
        return archive.path.read_bytes()
    return _chunks(archive.path)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            yield chunk


def _headers_digest() -> str:
    return hashlib.sha256(repr(sorted(_HEADERS.items())).encode()).hexdigest()[:16]


def _leave_if_cancelled(request: PublishRequest) -> None:
    if request.cancelled():
        raise CancelledError(
            "The deploy was cancelled before the new release was started.",
            remedy="Deploy again to go on; the former release is served on.",
        )
