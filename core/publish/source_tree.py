"""Reading a folder that a pane writes: by directory handles, following no link, within bounds.

A symbolic link is never followed. One that leads outside of the folder is an error, because
somebody expects that content to be published; one that stays inside is left out and listed,
because not every host knows links.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import AnswerIsNoError, BuilderError, StorageError
from core.models.release import ReleaseFile
from core.publish.git_objects import BlobDigest
from core.publish.left_out import HEAD_BYTES, is_left_out_by_name, is_private_key, shown_path
from core.publish.source_memory import SourceMemory

CHUNK_BYTES = 1024 * 1024
DEEPEST_FOLDER = 48
HELD_BYTES = 24 * 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOVED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one site may hold."""

    files: int = 20_000
    size_bytes: int = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """What a site folder held at one moment."""

    files: tuple[ReleaseFile, ...]
    held: Mapping[str, bytes]
    """Contents of small files, as far as they are few: a new release needs no second reading."""
    blobs: Mapping[str, bytes]
    """git's id of every other file's content."""
    read: Mapping[str, os.stat_result]
    """The state of every file that was read, from before its reading."""
    left_out: tuple[str, ...]


class SourceChangedError(BuilderError):
    """Somebody wrote while it was read; reading again may succeed."""

    code = "source_changed"
    retryable = True


def read_source(source: Path, limits: Limits, memory: SourceMemory | None = None) -> SourceTree:
    """Every file to publish, with its hash.

    Args:
        source: The site's folder.
        limits: How much is accepted.
        memory: Knows files that need not be read; None reads all of them.

    Raises:
        AnswerIsNoError: A link leads outside, or there is more than `limits` allow.
        SourceChangedError: A file went away while the folder was read.
        StorageError: Something in it cannot be read.
    """
    walk = _Walk(source, limits, memory)
    with _translated(source):
        handle = os.open(source, _FOLDER)
        try:
            walk.folder(handle, "", 0)
        finally:
            os.close(handle)
    return SourceTree(
        files=tuple(sorted(walk.files, key=lambda file: file.path.encode())),
        blobs=walk.blobs,
        held=walk.held,
        read=walk.read,
        left_out=tuple(sorted(walk.left_out)),
    )


class _Walk:
    def __init__(self, source: Path, limits: Limits, memory: SourceMemory | None) -> None:
        self._source = source
        self._limits = limits
        self._memory = memory
        self._entries = 0
        self._size_bytes = 0
        self.files: list[ReleaseFile] = []
        self.blobs: dict[str, bytes] = {}
        self.held: dict[str, bytes] = {}
        self.read: dict[str, os.stat_result] = {}
        self._held_bytes = 0
        self.left_out: list[str] = []

    def folder(self, handle: int, prefix: str, depth: int) -> None:
        if depth > DEEPEST_FOLDER:
            raise _too_much(f"source/ has folders deeper than {DEEPEST_FOLDER} levels")
        for name, info in self._names(handle):
            path = f"{prefix}{name}"
            if is_left_out_by_name(path):
                self.left_out.append(shown_path(path))
            elif stat.S_ISDIR(info.st_mode):
                deeper = os.open(name, _FOLDER, dir_fd=handle)
                try:
                    self.folder(deeper, f"{path}/", depth + 1)
                finally:
                    os.close(deeper)
            elif not stat.S_ISREG(info.st_mode):
                self._special(path, info.st_mode)
            elif not self._is_remembered(path, info):
                self._file(handle, name, path)

    def _names(self, handle: int) -> list[tuple[str, os.stat_result]]:
        found: list[tuple[str, os.stat_result]] = []
        with os.scandir(handle) as entries:
            for entry in entries:
                self._entries += 1
                if self._entries > self._limits.files * 4:
                    raise _too_much(f"source/ holds more than {self._limits.files * 4} entries")
                found.append((entry.name, entry.stat(follow_symlinks=False)))
        return sorted(found)

    def _special(self, path: str, mode: int) -> None:
        if stat.S_ISLNK(mode) and self._leads_outside(path):
            raise AnswerIsNoError(
                f"A symlink in source/ points outside: {path}.",
                remedy=f"Replace source/{path} by a copy of the file it points to.",
                code="symlink_outside",
            )
        self.left_out.append(shown_path(path))

    def _leads_outside(self, path: str) -> bool:
        try:
            target = (self._source / path).resolve()
        except (OSError, RuntimeError):
            return False
        return not target.is_relative_to(self._source.resolve())

    def _is_remembered(self, path: str, info: os.stat_result) -> bool:
        seen = None if self._memory is None else self._memory.unchanged(path, info)
        if seen is None:
            return False
        self.blobs[path] = seen.oid
        self._grow(info.st_size)
        self._add(path, info, seen.sha256)
        return True

    def _file(self, handle: int, name: str, path: str) -> None:
        descriptor = os.open(name, _FILE, dir_fd=handle)
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise _changed(path)
            sha256 = self._read(descriptor, path, info.st_size)
        finally:
            os.close(descriptor)
        if sha256 is None:
            self.left_out.append(shown_path(path))
            return
        self.read[path] = info
        self._add(path, info, sha256)

    def _add(self, path: str, info: os.stat_result, sha256: str) -> None:
        is_executable = bool(info.st_mode & stat.S_IXUSR)
        self.files.append(
            ReleaseFile(path=path, sha256=sha256, size_bytes=info.st_size, executable=is_executable)
        )
        if len(self.files) > self._limits.files:
            raise _too_much(f"source/ holds more than {self._limits.files} files")

    def _read(self, descriptor: int, path: str, size_bytes: int) -> str | None:
        """The SHA-256 of an open file, None for a private key; keeps its content or git's id."""
        is_held = size_bytes <= CHUNK_BYTES and self._held_bytes + size_bytes <= HELD_BYTES
        digest, left = hashlib.sha256(), size_bytes
        blob = None if is_held else BlobDigest(size_bytes)
        content = b""
        while left:
            # One byte more than is left: a file that grew meanwhile is noticed without a call.
            chunk = os.read(descriptor, min(CHUNK_BYTES, left) + 1)
            if left == size_bytes and _is_key(path, chunk):
                return None
            digest.update(chunk)
            if blob is None:
                content = content + chunk if content else chunk
            else:
                blob.update(chunk)
            left -= len(chunk)
            self._grow(len(chunk))
            if left < 0 or not chunk:
                raise _changed(path)
        self._keep(path, content, blob)
        return digest.hexdigest()

    def _keep(self, path: str, content: bytes, blob: BlobDigest | None) -> None:
        if blob is None:
            self._held_bytes += len(content)
            self.held[path] = content
        else:
            self.blobs[path] = blob.oid()

    def _grow(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > self._limits.size_bytes:
            mebibytes = self._limits.size_bytes // 1024**2
            raise _too_much(f"source/ holds more than {mebibytes} MiB")


def _is_key(path: str, chunk: bytes) -> bool:
    """The quick look first: most files say nothing of the kind."""
    if chunk.find(b"PRIVATE KEY", 0, HEAD_BYTES) < 0:
        return False
    return is_private_key(path, chunk[:HEAD_BYTES])


def stream_file(source: Path, file: ReleaseFile) -> Iterator[bytes]:
    """The bytes of a file that `read_source` saw, proven to be the same while they are read.

    Raises:
        SourceChangedError: They are other bytes by now. The last chunk may be out already.
    """
    digest, left = hashlib.sha256(), file.size_bytes
    with os.fdopen(_open_again(source, file.path), "rb", buffering=0) as stream:
        while left:
            chunk = stream.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise _changed(file.path)
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        if stream.read(1) or digest.hexdigest() != file.sha256:
            raise _changed(file.path)


def _open_again(source: Path, path: str) -> int:
    *folders, name = path.split("/")
    with _translated(source):
        current = os.open(source, _FOLDER)
        try:
            for folder in folders:
                deeper = os.open(folder, _FOLDER, dir_fd=current)
                os.close(current)
                current = deeper
            return os.open(name, _FILE, dir_fd=current)
        finally:
            os.close(current)


@contextmanager
def _translated(source: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _MOVED:
            raise _changed(str(error.filename)) from error
        raise StorageError(
            f"{source} cannot be read: {error.filename}: {error.strerror}.",
            remedy="Make every file in source/ readable, then deploy again.",
        ) from error


def _changed(path: str) -> SourceChangedError:
    return SourceChangedError(
        f"source/ changed while it was being read ({shown_path(path)}).",
        remedy="Deploy again when nothing writes the site any more.",
    )


def _too_much(sentence: str) -> AnswerIsNoError:
    return AnswerIsNoError(
        f"{sentence}.",
        remedy="Move what does not belong to the site out of source/, then deploy again.",
        code="source_too_big",
    )
