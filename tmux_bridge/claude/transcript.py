"""The chat, read from the CLI's transcripts: by offset, whole lines only, each line once.

Transcripts lie in the session's configuration folder, which the pane can write, so they are
opened beneath it without following links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.files import open_beneath
from core.models.transcript import ChatItem
from tmux_bridge.claude.chat import Chat
from tmux_bridge.claude.state import TranscriptTail

_CHUNK = 1024 * 1024
_READ_LIMIT = 256 * 1024 * 1024
_LINE_LIMIT = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """What the model reported, each message counted once."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(slots=True)
class _Tail:
    """How far one transcript was read."""

    identity: tuple[int, int] | None = None
    offset: int = 0
    rest: bytes = b""
    is_skipping: bool = False
    chat: Chat = field(default_factory=Chat)


class TranscriptReader:
    """Reads one session's transcripts; a second look costs only what is new.

    Args:
        config: The session's configuration folder of the CLI: nothing outside is opened.
        folder: The session's folder; paths in tool titles are shown relative to it.
    """

    def __init__(self, config: Path, folder: Path | None = None) -> None:
        self._config = config
        self._folder = str(folder) if folder is not None else ""
        self._tails: dict[Path, _Tail] = {}

    def read(self, transcripts: Sequence[Path]) -> list[ChatItem]:
        """All that was said and done, oldest first; a transcript that is not there adds nothing."""
        items: list[ChatItem] = []
        for path in transcripts:
            items += self._follow(path).chat.items()
        return items

    def tail(self, transcript: Path) -> TranscriptTail:
        """How the newest turn of a transcript stands."""
        return self._follow(transcript).chat.tail()

    def usage(self, transcripts: Sequence[Path]) -> TokenUsage:
        """The tokens of all transcripts."""
        totals = [0, 0, 0, 0]
        for path in transcripts:
            for counts in self._follow(path).chat.usage.values():
                totals = [total + count for total, count in zip(totals, counts, strict=True)]
        return TokenUsage(
            input_tokens=totals[0], output_tokens=totals[1],
            cache_read_tokens=totals[2], cache_write_tokens=totals[3],
        )  # fmt: skip

    def _follow(self, path: Path) -> _Tail:
        tail = self._tails.setdefault(path, _Tail(chat=Chat(self._folder)))
        handle = self._open(path)
        if handle is None:
            return tail
        info = os.fstat(handle)
        with os.fdopen(handle, "rb") as stream:
            identity = (info.st_dev, info.st_ino)
            if tail.identity not in {None, identity} or info.st_size < tail.offset:
                tail = self._tails[path] = _Tail(chat=Chat(self._folder))
            tail.identity = identity
            end = min(info.st_size, _READ_LIMIT)
            stream.seek(tail.offset)
            while tail.offset < end and (piece := stream.read(min(_CHUNK, end - tail.offset))):
                tail.offset += len(piece)
                _take(tail, piece)
        return tail

    def _open(self, path: Path) -> int | None:
        try:
            handle = open_beneath(self._config, str(path.relative_to(self._config)))
        except (OSError, ValueError):
            return None
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        return None


def _take(tail: _Tail, piece: bytes) -> None:
    """Give whole lines to the chat and keep the rest; a line past all bounds is skipped."""
    *lines, rest = (tail.rest + piece).split(b"\n")
    if lines and tail.is_skipping:
        lines, tail.is_skipping = lines[1:], False
    for line in lines:
        tail.chat.add(line)
    if len(rest) > _LINE_LIMIT:
        rest, tail.is_skipping = b"", True
    tail.rest = rest
