"""Sending files to an object store with many connections and little memory.

One thread (the caller's) reads, hands out and notes what was written; the others wait for the
network. What is in flight is bounded in bytes, whatever the files are like.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from core.models.release import ReleaseFile
from core.ports.objects import ObjectStore
from core.publish.headers import object_headers

CONNECTIONS = 128
IN_FLIGHT_BYTES = 32 * 1024 * 1024
BIG_FILE_BYTES = 16 * 1024 * 1024
"""From here on a file is sent in parts while it is read."""
_LOOK_UP_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that the store has by now."""

    file: ReleaseFile
    etag: str
    was_sent: bool
    """False where the store's own checksum proved that it had the same content already."""
    ms: int


@dataclass(frozen=True, slots=True)
class _Failure:
    file: ReleaseFile
    error: BaseException


@dataclass(frozen=True, slots=True)
class _Job:
    file: ReleaseFile
    content: bytes | Iterator[bytes]
    proof: str | None


class UploadPool:
    """Uploads of one publish. All methods are for one thread, which also gets the results.

    Args:
        objects: Where to.
        written: Told of every upload, in the caller's thread.
        leave: Asked between files; raises where the work was cancelled.
    """

    def __init__(
        self, objects: ObjectStore, written: Callable[[Upload], None], leave: Callable[[], None]
    ) -> None:
        self._objects, self._written, self._leave = objects, written, leave
        self._threads: list[threading.Thread] = []
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Upload | _Failure] = queue.SimpleQueue()
        self._running = self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """Wait for what is in flight and note it, also on the way out of an error."""
        for _thread in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        while not self._results.empty():
            result = self._results.get()
            if isinstance(result, Upload):
                self._written(result)

    def offer(self, file: ReleaseFile, chunks: Iterator[bytes], proof: str | None) -> None:
        """Send a file, as soon as there is room.

        Args:
            chunks: Read before this returns.
            proof: The MD5 of what the store has; the same content is not sent.

        Raises:
            BuilderError: An upload failed, not necessarily this one.
        """
        self._leave()
        self._wait(lambda: self._has_room(file.size_bytes))
        self._running, self._bytes = self._running + 1, self._bytes + file.size_bytes
        if file.size_bytes >= BIG_FILE_BYTES:
            self._send(_Job(file, self._watched(chunks), None))
            return
        self._jobs.put(_Job(file, b"".join(chunks), proof))
        if len(self._threads) < min(self._running, CONNECTIONS):
            thread = threading.Thread(target=self._work, name="upload", daemon=True)
            thread.start()
            self._threads.append(thread)

    def settle(self) -> None:
        """Return when everything that was offered is written."""
        self._wait(lambda: self._running == 0)

    def _has_room(self, size_bytes: int) -> bool:
        is_alone = self._running == 0
        fits = self._running < CONNECTIONS and self._bytes + size_bytes <= IN_FLIGHT_BYTES
        return is_alone or fits

    def _wait(self, is_enough: Callable[[], bool]) -> None:
        while not (self._results.empty() and is_enough()):
            try:
                result = self._results.get(timeout=_LOOK_UP_S)
            except queue.Empty:
                self._leave()
                continue
            self._running -= 1
            self._bytes -= result.file.size_bytes
            if isinstance(result, _Failure):
                raise result.error
            self._written(result)

    def _watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._leave()
            yield chunk

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._send(job)

    def _send(self, job: _Job) -> None:
        file, content, begin = job.file, job.content, time.monotonic()
        try:
            is_there = _is_proven(content, job.proof)
            etag = (job.proof or "") if is_there else self._put(file, content)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            self._results.put(_Failure(file, error))
            return
        ms = round((time.monotonic() - begin) * 1000)
        self._results.put(Upload(file=file, etag=etag, was_sent=not is_there, ms=ms))

    def _put(self, file: ReleaseFile, content: bytes | Iterator[bytes]) -> str:
        return self._objects.put(file.path, content, object_headers(file.path))


def _is_proven(content: bytes | Iterator[bytes], proof: str | None) -> bool:
    return proof is not None and isinstance(content, bytes) and md5_etag(content) == proof


def md5_etag(content: bytes) -> str:
    """The ETag that S3 gives to an object that is written in one part."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
