"""One site on an object store: a release put there so that no visitor meets half of it.

Assets whose names hold a hash first, then everything else, pages last, then the marker that says
which release it is, then the CDN is told, and only then what is stale is deleted. Every write is
recorded with the ETag that the store answered, so that one listing proves the rest unchanged, and
with whether the CDN was told, so that a publish that died is finished by the next one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from core.errors import AnswerIsNoError, CancelledError
from core.models.release import MARKER_PATH, Drift, PublishedObject, Release, ReleaseFile
from core.ports.host import PublishRequest
from core.ports.objects import ObjectStore, StoredObject
from core.publish.headers import headers_digest, is_hashed_asset, object_headers
from core.publish.object_comparison import (
    Comparison,
    compared,
    is_as_recorded,
    phase_of,
    require_publishable,
)
from core.publish.object_drift import drift_of
from core.publish.object_uploads import Upload, UploadPool, md5_etag
from core.publish.url_paths import changed_url_paths

REMEMBERED_FILES = 500
REMEMBERED_BYTES = 64 * 1024 * 1024
_SHARE = 10
_DELETED_AT_ONCE = 1000
_FEW_FILES = 8
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteChange:
    """What a publish did, or would do. The marker is counted nowhere.

    Attributes:
        size_bytes: Of the whole release.
        uploaded_bytes: Of the files that changed.
        invalidated: URL paths that the CDN was told to forget.
    """

    files_total: int
    files_changed: int
    files_deleted: int
    size_bytes: int
    uploaded_bytes: int
    invalidated: tuple[str, ...] = ()


class ObjectSite:
    """Publishes releases of one site. A publish that failed may be called again on it.

    Args:
        objects: The site's own bucket, container or prefix: what is not in a release is deleted.
        known: What the product wrote there, as `remember` kept it; empty where that is lost.
        remember: Keeps the whole record durably; called while a publish runs and at its end.
    """

    def __init__(
        self,
        objects: ObjectStore,
        known: Mapping[str, PublishedObject],
        remember: Callable[[dict[str, PublishedObject]], None],
    ) -> None:
        self._objects = objects
        self._known = dict(known)
        self._remember = remember
        self._files_unsaved = self._bytes_unsaved = 0
        self._ahead: Future[dict[str, StoredObject]] | None = None

    def look_ahead(self) -> None:
        """Ask for the listing now, so that the next `publish` need not wait for it.

        For whoever knows that a release is about to be taken; an error is raised by `publish`.
        """
        self._ahead = _meanwhile("look-ahead", self._objects.list)

    def publish(
        self, request: PublishRequest, invalidate: Callable[[Sequence[str]], None]
    ) -> SiteChange:
        """Bring the store to exactly the request's release.

        Args:
            invalidate: Tells the CDN which URL paths changed; not called where none did. It may
                wait: what is stale is deleted after it has returned.

        Raises:
            NothingToDeployError: The release has no home page.
            AnswerIsNoError: More files would be deleted than allowed, or a path cannot be used.
            CancelledError: It was cancelled between two files; what was written is recorded.
            BuilderError: The store or the CDN failed; publishing again goes on from there.
        """
        require_publishable(request.release)
        _leave_if_cancelled(request)
        listed = self._listed()
        planned = compared(request.release, self._known, listed)
        _require_few_deletes(len(planned.stale), request.max_delete)
        sent = self._upload(request, planned)
        self._write_marker(request.release, listed)
        told = self._announce(planned.stale, invalidate)
        self._delete(request, planned.stale)
        return SiteChange(
            files_total=len(request.release.files),
            files_changed=len(sent),
            files_deleted=len(planned.stale),
            size_bytes=request.release.size_bytes,
            uploaded_bytes=sum(file.size_bytes for file in sent),
            invalidated=told,
        )

    def preview(self, request: PublishRequest) -> SiteChange:
        """What `publish` would do if the store is as it was left; asks nobody.

        Raises:
            NothingToDeployError, AnswerIsNoError: As for `publish`.
        """
        require_publishable(request.release)
        files = request.release.files
        left = {
            path: StoredObject(etag=one.etag, size_bytes=0) for path, one in self._known.items()
        }
        planned = compared(request.release, self._known, left)
        _require_few_deletes(len(planned.stale), request.max_delete)
        marker = _marker(request.release)
        if not is_as_recorded(marker, self._known.get(MARKER_PATH), self._marker_etag()):
            changed = [*(file.path for file in planned.pending), MARKER_PATH]
        else:
            changed = [file.path for file in planned.pending]
        return SiteChange(
            files_total=len(files),
            files_changed=len(planned.pending),
            files_deleted=len(planned.stale),
            size_bytes=request.release.size_bytes,
            uploaded_bytes=sum(file.size_bytes for file in planned.pending),
            invalidated=changed_url_paths([*changed, *planned.stale, *self._unannounced()]),
        )

    def drift(self, kind: str, resource_id: str) -> tuple[Drift, ...]:
        """What the store holds and the record does not say, or the other way round.

        Raises:
            BuilderError: The store cannot be listed.
        """
        return drift_of(self._known, self._objects.list(), kind=kind, resource_id=resource_id)

    def _listed(self) -> dict[str, StoredObject]:
        ahead, self._ahead = self._ahead, None
        listed = self._objects.list() if ahead is None else ahead.result()
        for path in self._known.keys() - listed.keys():
            del self._known[path]
            self._files_unsaved += 1
        return listed

    def _upload(self, request: PublishRequest, planned: Comparison) -> list[ReleaseFile]:
        sent: list[ReleaseFile] = []
        if not planned.pending:
            return sent
        phase = phase_of(planned.pending[0].path)

        def written(upload: Upload) -> None:
            self._note(upload.file, upload.etag, len(request.release.files))
            if upload.was_sent:
                sent.append(upload.file)
                request.log(
                    "file uploaded",
                    {"path": upload.file.path, "bytes": upload.file.size_bytes, "ms": upload.ms},
                )

        leave = _leaver(request)
        with self._saving(), UploadPool(self._objects, written, leave) as pool:
            for file, chunks in request.trees.stream(request.release, planned.pending):
                if phase_of(file.path) is not phase:
                    pool.settle()
                    phase = phase_of(file.path)
                pool.offer(file, chunks, planned.proofs.get(file.path))
            pool.settle()
        return sent

    def _note(self, file: ReleaseFile, etag: str, files_total: int) -> None:
        self._known[file.path] = PublishedObject(
            path=file.path,
            sha256=file.sha256,
            etag=etag,
            headers=headers_digest(file.path),
            is_announced=is_hashed_asset(file.path),
        )
        self._files_unsaved += 1
        self._bytes_unsaved += file.size_bytes
        is_much = self._files_unsaved >= max(REMEMBERED_FILES, files_total // _SHARE)
        if is_much or self._bytes_unsaved >= REMEMBERED_BYTES:
            self._save()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Whatever happens inside, what was written is recorded; a few files may wait a moment."""
        try:
            yield
        except BaseException:
            self._save_unsaved()
            raise
        if self._files_unsaved > _FEW_FILES:
            self._save()

    def _save_unsaved(self) -> None:
        if self._files_unsaved:
            self._save()

    def _save(self) -> None:
        self._files_unsaved = self._bytes_unsaved = 0
        self._remember(dict(self._known))

    def _write_marker(self, release: Release, listed: Mapping[str, StoredObject]) -> None:
        marker, content = _marker(release), release.release_id.encode()
        there, known = listed.get(MARKER_PATH), self._known.get(MARKER_PATH)
        if there is not None and is_as_recorded(marker, known, there.etag):
            self._save_unsaved()
            return
        is_proven = there is not None and known is None and there.etag == md5_etag(content)
        if there is not None and is_proven:
            self._note(marker, there.etag, len(release.files))
            self._save_unsaved()
            return
        headers = object_headers(MARKER_PATH)
        # A run that dies in between sends few files once more; a visitor never sees a difference.
        sent = _meanwhile("marker", lambda: self._objects.put(MARKER_PATH, content, headers))
        try:
            self._save_unsaved()
        finally:
            etag = sent.result()
        self._note(marker, etag, len(release.files))

    def _announce(
        self, stale: Sequence[str], invalidate: Callable[[Sequence[str]], None]
    ) -> tuple[str, ...]:
        unannounced = self._unannounced()
        paths = changed_url_paths([*unannounced, *stale])
        if paths:
            invalidate(paths)
        for path in unannounced:
            self._known[path] = replace(self._known[path], is_announced=True)
        if unannounced or self._files_unsaved:
            self._save()
        return paths

    def _delete(self, request: PublishRequest, stale: Sequence[str]) -> None:
        for begin in range(0, len(stale), _DELETED_AT_ONCE):
            _leave_if_cancelled(request)
            some = stale[begin : begin + _DELETED_AT_ONCE]
            self._objects.delete(some)
            for path in some:
                self._known.pop(path, None)
                request.log("file deleted", {"path": path})
            self._save()

    def _unannounced(self) -> list[str]:
        return [path for path, one in self._known.items() if not one.is_announced]

    def _marker_etag(self) -> str:
        known = self._known.get(MARKER_PATH)
        return "" if known is None else known.etag


def _meanwhile(name: str, ask: Callable[[], _Answer]) -> Future[_Answer]:
    """Ask in a thread of its own; an error is raised where the answer is waited for."""
    answer: Future[_Answer] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return answer


def _marker(release: Release) -> ReleaseFile:
    content = release.release_id.encode()
    return ReleaseFile(
        path=MARKER_PATH, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content)
    )


def _require_few_deletes(count: int, most: int) -> None:
    if count > most:
        raise AnswerIsNoError(
            f"The publish would delete {count} files from the site, more than the {most} allowed.",
            remedy=f"If that is right, deploy with --max-delete {count}.",
            code="too_many_deletes",
        )


def _leaver(request: PublishRequest) -> Callable[[], None]:
    return lambda: _leave_if_cancelled(request)


def _leave_if_cancelled(request: PublishRequest) -> None:
    if request.cancelled():
        raise CancelledError(
            "The publish was cancelled between two files.",
            remedy="Deploy again to go on, or roll back to the former release.",
        )
