"""Files that only grow, read by offset: whole lines only, each line once.

They lie in a session's configuration folder, which the pane can write, so they are opened beneath
it without following links, and nothing in them is kept longer than its bounds allow.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from core.files import open_beneath

_CHUNK = 1024 * 1024
_READ_LIMIT = 256 * 1024 * 1024
_LINE_LIMIT = 32 * 1024 * 1024


class LineTaker(Protocol):
    """Gets each line once, without its end."""

    def add(self, line: bytes) -> None: ...


Taker = TypeVar("Taker", bound=LineTaker)


@dataclass(slots=True)
class _Tail(Generic[Taker]):
    """How far one file was read."""

    taker: Taker
    identity: tuple[int, int] | None = None
    offset: int = 0
    rest: bytes = b""
    is_skipping: bool = False


class LineTails(Generic[Taker]):
    """One taker per file; a second look costs only what is new.

    Args:
        folder: Nothing outside of it is opened.
        make_taker: Makes the taker of a file that was not read yet, or was replaced.
    """

    def __init__(self, folder: Path, make_taker: Callable[[], Taker]) -> None:
        self._folder = folder
        self._make_taker = make_taker
        self._tails: dict[Path, _Tail[Taker]] = {}

    def follow(self, path: Path) -> Taker:
        """The taker of a file, which has every whole line now; a file that is missing has none."""
        tail = self._tails.setdefault(path, _Tail(self._make_taker()))
        handle = self._open(path)
        if handle is None:
            return tail.taker
        info = os.fstat(handle)
        with os.fdopen(handle, "rb") as stream:
            identity = (info.st_dev, info.st_ino)
            if tail.identity not in {None, identity} or info.st_size < tail.offset:
                tail = self._tails[path] = _Tail(self._make_taker())
            tail.identity = identity
            end = min(info.st_size, _READ_LIMIT)
            stream.seek(tail.offset)
            while tail.offset < end and (piece := stream.read(min(_CHUNK, end - tail.offset))):
                tail.offset += len(piece)
                _take(tail, piece)
        return tail.taker

    def _open(self, path: Path) -> int | None:
        try:
            handle = open_beneath(self._folder, str(path.relative_to(self._folder)))
        except (OSError, ValueError):
            return None
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        return None


def _take(tail: _Tail[Taker], piece: bytes) -> None:
    """Give whole lines on and keep the rest; a line past all bounds is skipped."""
    *lines, rest = (tail.rest + piece).split(b"\n")
    if lines and tail.is_skipping:
        lines, tail.is_skipping = lines[1:], False
    for line in lines:
        tail.taker.add(line)
    if len(rest) > _LINE_LIMIT:
        rest, tail.is_skipping = b"", True
    tail.rest = rest
