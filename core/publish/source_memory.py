"""What the files of a site held when they were last read, so that only changed ones are read.

A file counts as unchanged while device, inode, size, mode, mtime and ctime are what they were.
The ctime is what carries it: the kernel sets it at every change of content, name or rights, and
no process can set it back without setting the computer's clock.

Two things would make that untrue, and both are looked after here. A change within the same tick
of the clock leaves the ctime as it is: so before a file is read, the file system is asked for its
time, and only a file that changed before that time is remembered - whatever is written from then
on gets another ctime. And a program that keeps a file mapped may go on writing to a page that it
made dirty before, unseen until the kernel has written that page to the disk: so what was read
soon after its last change is believed for two minutes only, and then read once more.

The memory lies beside the releases, where no pane can write. It is never needed: lost, damaged
or older than the program, it costs one reading of everything.
"""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.files import read_regular

VERSION = b"tmux-builder source memory 1\n"
LARGEST_BYTES = 64 * 1024 * 1024
SETTLED_NS = 60 * 10**9
"""Twice what the kernel waits, as it comes, before it writes a dirty page to the disk."""
BELIEVED_NS = 120 * 10**9

_STAMP = struct.Struct("<QQQqqq").pack
_OWN_FOLDERS = 3
"""Of the releases, of the user, of all users."""

logger = logging.getLogger(__name__)


class SeenFile(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False
):  # fmt: skip
    """One file as it was read.

    Attributes:
        stamp: Device, inode, mode, size, mtime and ctime of the file, packed: only ever compared.
        sha256: Of its content.
        oid: git's id of its content.
        read_ns: The file system's time at the reading; 0 where the file had long been at rest.
    """

    path: str
    stamp: bytes
    sha256: str
    oid: bytes
    read_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemTime:
    """What a file would get as its ctime on this device, had it been changed at this moment."""

    device: int
    ns: int


class SourceMemory:
    """The memory of one session's source; made anew for every reading of it."""

    def __init__(
        self, path: Path, seen: Mapping[str, SeenFile], now: FileSystemTime | None
    ) -> None:
        self._path, self._seen, self._now = path, seen, now
        self._met: dict[str, SeenFile] = {}

    @classmethod
    def recalled(cls, path: Path) -> SourceMemory:
        """What is kept at `path`, the product's own file; before the source is looked at."""
        return cls(path, _read(path), _file_system_time(path))

    @classmethod
    def empty(cls, path: Path) -> SourceMemory:
        """Nothing is believed, so everything is read; what is read then is remembered."""
        return cls(path, {}, _file_system_time(path))

    def unchanged(self, path: str, info: os.stat_result) -> SeenFile | None:
        """What the file holds, None where it must be read."""
        seen = self._seen.get(path)
        if seen is None or seen.stamp != _stamp(info) or not self._believes(seen):
            return None
        self._met[path] = seen
        return seen

    def oid_of(self, path: str, sha256: str) -> bytes | None:
        """git's id of a content that the path held before, too."""
        seen = self._seen.get(path)
        return seen.oid if seen is not None and seen.sha256 == sha256 else None

    def note(self, path: str, info: os.stat_result, sha256: str, oid: bytes) -> None:
        """Remember what was read; `info` is the file's state before the reading."""
        now = self._now
        if now is None or info.st_dev != now.device or info.st_ctime_ns >= now.ns:
            return
        is_settled = now.ns - info.st_ctime_ns > SETTLED_NS
        self._met[path] = SeenFile(
            path=path, stamp=_stamp(info), sha256=sha256, oid=oid,
            read_ns=0 if is_settled else now.ns,
        )  # fmt: skip

    def keep(self) -> None:
        """Write down what was met; a memory that cannot be written is none, and that is logged."""
        if self._met == self._seen:
            return
        try:
            _write(self._path, self._met.values())
        except OSError as error:
            logger.warning("source memory not written", extra={"reason": error.strerror})

    def _believes(self, seen: SeenFile) -> bool:
        if seen.read_ns == 0:
            return True
        return self._now is not None and 0 <= self._now.ns - seen.read_ns < BELIEVED_NS


def _stamp(info: os.stat_result) -> bytes:
    return _STAMP(
        info.st_dev, info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns
    )


def _file_system_time(path: Path) -> FileSystemTime | None:
    """By a nameless file in the nearest of the product's folders that is there.

    None where it cannot be made; then nothing is remembered.
    """
    for folder in path.parents[:_OWN_FOLDERS]:
        with suppress(OSError), tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            info = os.fstat(probe.fileno())
            return FileSystemTime(device=info.st_dev, ns=info.st_ctime_ns)
    return None


def _read(path: Path) -> dict[str, SeenFile]:
    content = read_regular(path.parent, path.name, limit=LARGEST_BYTES) or b""
    heading, body = content[: len(VERSION) + 32], content[len(VERSION) + 32 :]
    if heading != VERSION + hashlib.sha256(body).digest():
        return {}
    try:
        found = msgspec.msgpack.decode(body, type=list[SeenFile])
    except msgspec.DecodeError:
        return {}
    return {one.path: one for one in found}


def _write(path: Path, seen: Iterable[SeenFile]) -> None:
    """Not flushed: after a power cut its digest tells whether all of it is there."""
    body = msgspec.msgpack.encode(list(seen))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(VERSION + hashlib.sha256(body).digest() + body)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
