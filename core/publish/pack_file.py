"""Writing one git pack and its index: a thousand files become two files and two flushes.

git's own writers deflate and hash everything with one slow pass each; a deploy waits for that.
Here bytes are stored as they are (deflate without compression): most of a site's bytes are
pictures, and the repack of a repository with many releases makes its texts small.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from core.publish.git_objects import BLOB, COMMIT, TREE

TEMPORARY = "tmp_pack_release"
_KINDS = {COMMIT: 1, TREE: 2, BLOB: 3}
_PACK_VERSION, _INDEX_VERSION = 2, 2
_FIRST_LONG_OFFSET = 1 << 31
_BUFFER_BYTES = 1 << 20


class PackFile:
    """One pack on its way into `objects/pack`; nothing of it is seen before `finish`.

    Args:
        folder: `objects/pack` of a repository that the caller has locked.
        count: How many objects will be added; the pack's first line says it.

    Raises:
        OSError: The disk is full or refuses.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._path = folder / TEMPORARY
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._entries: list[tuple[bytes, int, int]] = []
        self._offset = self._crc = 0
        self._stream = self._path.open("xb", buffering=_BUFFER_BYTES)
        self._write(b"PACK" + struct.pack(">II", _PACK_VERSION, count))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._stream.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def add(self, kind: bytes, oid: bytes, size_bytes: int, chunks: Iterable[bytes]) -> None:
        """One object; `chunks` gives exactly `size_bytes`, and `oid` is their id."""
        offset, self._crc = self._offset, 0
        deflated, waiting = zlib.compressobj(0), _heading(_KINDS[kind], size_bytes)
        for chunk in chunks:
            waiting += deflated.compress(chunk)
            if len(waiting) > _BUFFER_BYTES:
                self._write(waiting)
                waiting = b""
        self._write(waiting + deflated.flush())
        self._entries.append((oid, self._crc, offset))

    def finish(self) -> None:
        """Put pack and index in place, in this order, both flushed to the disk."""
        if len(self._entries) != self._count:
            raise AssertionError(f"{len(self._entries)} of {self._count} objects came")
        pack_sum = self._digest.digest()
        self._stream.write(pack_sum)
        self._close()
        name = f"pack-{pack_sum.hex()}"
        self._path.rename(self._folder / f"{name}.pack")
        self._stream = self._path.open("xb", buffering=_BUFFER_BYTES)
        self._stream.write(_index(sorted(self._entries), pack_sum))
        self._close()
        self._path.rename(self._folder / f"{name}.idx")
        flush_folder(self._folder)

    def _write(self, part: bytes) -> None:
        self._digest.update(part)
        self._crc = zlib.crc32(part, self._crc)
        self._offset += len(part)
        self._stream.write(part)

    def _close(self) -> None:
        self._stream.flush()
        os.fchmod(self._stream.fileno(), 0o400)
        os.fsync(self._stream.fileno())
        self._stream.close()


def flush_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _heading(kind: int, size: int) -> bytes:
    """The type and the size in sevens of bits, four in the first byte."""
    parts = bytearray()
    byte, size = (kind << 4) | (size & 0x0F), size >> 4
    while size:
        parts.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    parts.append(byte)
    return bytes(parts)


def _index(entries: list[tuple[bytes, int, int]], pack_sum: bytes) -> bytes:
    """Version 2: a fan-out by the first byte, ids, checksums, offsets, long offsets."""
    found = [0] * 256
    for oid, _crc, _offset in entries:
        found[oid[0]] += 1
    total, fan_out = 0, []
    for number in found:
        total += number
        fan_out.append(total)
    long_offsets = [offset for _oid, _crc, offset in entries if offset >= _FIRST_LONG_OFFSET]
    places = {offset: _FIRST_LONG_OFFSET | place for place, offset in enumerate(long_offsets)}
    offsets = [places.get(offset, offset) for _oid, _crc, offset in entries]
    body = b"".join(
        (
            b"\xfftOc", struct.pack(">I", _INDEX_VERSION), struct.pack(">256I", *fan_out),
            *(oid for oid, _crc, _offset in entries),
            struct.pack(f">{total}I", *(crc for _oid, crc, _offset in entries)),
            struct.pack(f">{total}I", *offsets),
            struct.pack(f">{len(long_offsets)}Q", *long_offsets),
            pack_sum,
        )
    )  # fmt: skip
    return body + hashlib.sha1(body, usedforsecurity=False).digest()
