"""HTTP/1.1 messages as the front needs them: a strict head, and a body as bytes arrive.

Strict where two readers could disagree about where a request ends (RFC 9112, sections 5 to 7):
one framing only, no folded lines, no space before a colon, sizes in plain digits.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

LARGEST_HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 64 * 1024
IDLE_BODY_S = 120.0
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[^\x00\r\n]*")
_REQUEST = re.compile(rb"([A-Z][A-Z_-]{0,31}) (/[\x21-\x7e\x80-\xff]*|\*) HTTP/1\.([01])")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")


class BadMessageError(Exception):
    """What came is no HTTP/1.1 that two readers would understand alike."""


class BrokenOffError(Exception):
    """It ended, or stood still, before it was whole."""


@dataclass(frozen=True)
class Head:
    """A request or an answer without its body; header names keep their spelling."""

    first: bytes
    headers: list[tuple[bytes, bytes]]

    def all(self, name: bytes) -> list[bytes]:
        return [value for known, value in self.headers if known.lower() == name]

    def words(self, name: bytes) -> list[bytes]:
        """The comma-separated words of a header, in lower case."""
        joined = b",".join(self.all(name)).lower()
        return [word.strip() for word in joined.split(b",") if word.strip()]


@dataclass(frozen=True)
class Request:
    """A request's head, understood."""

    head: Head
    method: bytes
    target: bytes
    is_new: bool
    """HTTP/1.1, not 1.0."""

    @property
    def keeps_alive(self) -> bool:
        return self.is_new and b"close" not in self.head.words(b"connection")

    @property
    def upgrades(self) -> bool:
        return self.is_new and b"upgrade" in self.head.words(b"connection")


async def read_head(reader: asyncio.StreamReader, deadline_s: float) -> Head | None:
    """The next head; None where the other side closed before one began.

    Raises:
        BadMessageError: It is too large or malformed.
        BrokenOffError: It ended half way, or did not come in time.
    """
    try:
        raw = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), deadline_s)
    except asyncio.IncompleteReadError as error:
        if not error.partial.strip():
            return None
        raise BrokenOffError("a head ended half way") from error
    except asyncio.LimitOverrunError as error:
        raise BadMessageError("a head is too large") from error
    except (asyncio.TimeoutError, OSError) as error:  # noqa: UP041 - two classes before 3.11
        raise BrokenOffError("no head in time") from error
    first, *lines = raw[:-4].lstrip(b"\r\n").split(b"\r\n")
    return Head(first, [_header(line) for line in lines])


def request_of(head: Head) -> Request:
    """The request that a head describes.

    Raises:
        BadMessageError: It is none.
    """
    found = _REQUEST.fullmatch(head.first)
    if found is None:
        raise BadMessageError("no request line")
    is_new = found.group(3) == b"1"
    if len(head.all(b"host")) > 1 or (is_new and not head.all(b"host")):
        raise BadMessageError("not one host")
    return Request(head, found.group(1), found.group(2), is_new)


def status_of(head: Head) -> int:
    found = _STATUS.fullmatch(head.first)
    if found is None:
        raise BadMessageError("no status line")
    return int(found.group(1))


def body_length(head: Head) -> int | None:
    """The body's size in bytes, None where it comes in chunks, -1 where neither is said.

    Raises:
        BadMessageError: The head says both, or something else.
    """
    codings, lengths = head.words(b"transfer-encoding"), set(head.words(b"content-length"))
    if codings:
        if codings != [b"chunked"] or lengths:
            raise BadMessageError("a body with more than one framing")
        return None
    if not lengths:
        return -1
    length = lengths.pop()
    if lengths or not re.fullmatch(rb"[0-9]{1,15}", length):
        raise BadMessageError("a body with no clear length")
    return int(length)


async def body(reader: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """The body's bytes as they arrive, without the chunks' framing; -1 is up to the end.

    Raises:
        BadMessageError, BrokenOffError: It is malformed, ended early, or stood still.
    """
    if length is None:
        while size := await _chunk_size(reader):
            async for part in _sized(reader, size):
                yield part
            if await _read(reader, 2) != b"\r\n":
                raise BadMessageError("a chunk of another size")
        while await _line(reader):
            pass
    elif length >= 0:
        async for part in _sized(reader, length):
            yield part
    else:
        while part := await _read(reader, CHUNK_BYTES, at_most=True):
            yield part


def as_chunk(part: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(part), part)


LAST_CHUNK = b"0\r\n\r\n"


def encoded(head: Head) -> bytes:
    lines = [head.first, *(name + b": " + value for name, value in head.headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise BadMessageError("a malformed header")
    return name, value


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    found = _CHUNK.fullmatch(await _line(reader))
    if found is None:
        raise BadMessageError("a chunk without a size")
    return int(found.group(1), 16)


async def _sized(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        part = await _read(reader, min(size, CHUNK_BYTES), at_most=True)
        if not part:
            raise BrokenOffError("a body ended early")
        size -= len(part)
        yield part


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await asyncio.wait_for(reader.readuntil(b"\r\n"), IDLE_BODY_S)
    except asyncio.LimitOverrunError as error:
        raise BadMessageError("a line is too long") from error
    except (asyncio.IncompleteReadError, asyncio.TimeoutError, OSError) as error:  # noqa: UP041
        raise BrokenOffError("a body ended early") from error
    return line[:-2]


async def _read(reader: asyncio.StreamReader, size: int, *, at_most: bool = False) -> bytes:
    reading = reader.read(size) if at_most else reader.readexactly(size)
    try:
        return await asyncio.wait_for(reading, IDLE_BODY_S)
    except (asyncio.IncompleteReadError, asyncio.TimeoutError, OSError) as error:  # noqa: UP041
        raise BrokenOffError("a body ended early") from error
