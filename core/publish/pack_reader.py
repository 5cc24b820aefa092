"""Reading the repository's packs without starting git: which objects there are, and small ones.

git is the authority: what is not found or not understood here (a delta after a repack, a loose
object, a pack that is damaged) is asked of git by the caller, which then says what is wrong.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path

from core.publish.git_objects import BLOB, COMMIT, TREE, object_id

LARGEST_BYTES = 1024 * 1024
"""Of an object that is read here at once; git streams what is larger."""
_KINDS = {1: COMMIT, 2: TREE, 3: BLOB}
_INDEX_HEADING = b"\xfftOc" + struct.pack(">I", 2)
_NAMES_BEGIN = 8 + 256 * 4
_SUMS = 40
_LONG = 1 << 31
"""Set where the rest of an offset is a place in the table of long ones."""
_ENTRY_HEADING_BYTES = 16


class PackedObjects:
    """What the packs of a repository held when this was made; packs only ever come in addition.

    Args:
        repository: One of the product's own.
    """

    def __init__(self, repository: Path) -> None:
        self._places: dict[bytes, tuple[Path, int]] = {}
        self._folders: dict[bytes, dict[bytes, bytes]] = {}
        for index in sorted((repository / "objects" / "pack").glob("*.idx")):
            with suppress(OSError, struct.error):
                self._add(index)

    def __contains__(self, oid: object) -> bool:
        return oid in self._places

    def content(self, kind: bytes, oid: bytes) -> bytes | None:
        """An object's content, proven by its id; None for whatever git has to answer."""
        place = self._places.get(oid)
        if place is None:
            return None
        try:
            content = _read_entry(*place, kind)
        except (OSError, zlib.error, IndexError):
            return None
        return content if content is not None and object_id(kind, content) == oid else None

    def blob_at(self, tree: str, path: str) -> bytes | None:
        """The id of the file at a path of a release's tree; None as for `content`."""
        oid: bytes | None = bytes.fromhex(tree)
        for name in path.encode().split(b"/"):
            oid = None if oid is None else self._entries(oid).get(name)
        return oid

    def _entries(self, tree: bytes) -> dict[bytes, bytes]:
        """Ids by name of one folder, kept for the next path through it."""
        if tree not in self._folders:
            self._folders[tree] = dict(_tree_entries(self.content(TREE, tree) or b""))
        return self._folders[tree]

    def _add(self, index: Path) -> None:
        told = index.read_bytes()
        pack = index.with_suffix(".pack")
        if not told.startswith(_INDEX_HEADING) or not _is_whole(pack, told[-_SUMS:-20]):
            return
        count: int = struct.unpack_from(">I", told, _NAMES_BEGIN - 4)[0]
        offsets_begin = _NAMES_BEGIN + count * 24
        offsets = [
            struct.unpack_from(">Q", told, offsets_begin + count * 4 + (one & _LONG - 1) * 8)[0]
            if one & _LONG
            else one
            for one in struct.unpack_from(f">{count}I", told, offsets_begin)
        ]
        names = (told[at : at + 20] for at in range(_NAMES_BEGIN, _NAMES_BEGIN + count * 20, 20))
        self._places.update(zip(names, zip(repeat(pack), offsets), strict=False))


def _tree_entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    begin = 0
    while begin < len(content):
        end = content.index(b"\0", begin)
        _mode, _space, name = content[begin:end].partition(b" ")
        yield name, content[end + 1 : end + 21]
        begin = end + 21


def _is_whole(pack: Path, checksum: bytes) -> bool:
    """Whether the file begins and ends as the pack that the index was made for."""
    with pack.open("rb", buffering=0) as stream:
        if stream.read(4) != b"PACK":
            return False
        stream.seek(-len(checksum), os.SEEK_END)
        return stream.read(len(checksum)) == checksum


def _read_entry(pack: Path, offset: int, kind: bytes) -> bytes | None:
    """The content at an offset, None where it is of another kind, a delta or too large."""
    with pack.open("rb", buffering=0) as stream:
        handle = stream.fileno()
        heading = os.pread(handle, _ENTRY_HEADING_BYTES, offset)
        found, size, used = _heading_of(heading)
        if _KINDS.get(found) != kind or size > LARGEST_BYTES:
            return None
        inflate, begin = zlib.decompressobj(), offset + used
        content = inflate.decompress(os.pread(handle, _deflated_bytes(size), begin), size + 1)
    return content if len(content) == size else None


def _heading_of(heading: bytes) -> tuple[int, int, int]:
    """Kind, size, and how many bytes say so."""
    byte, used = heading[0], 1
    kind, size, shift = (byte >> 4) & 7, byte & 0x0F, 4
    while byte & 0x80:
        byte, used = heading[used], used + 1
        size |= (byte & 0x7F) << shift
        shift += 7
    return kind, size, used


def _deflated_bytes(size: int) -> int:
    """More than a stream of that content ever takes: stored blocks grow by 5 bytes in 16 KiB."""
    return size + size // 1024 + 64
