"""One request handed on to the site's program, and its answer handed back, as bytes arrive.

One connection to the program a request, so that a release that is being replaced ends with its
last answer. An upgrade (WebSocket) that the program accepts becomes a plain tunnel.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from .guard import KEY_HEADER
from .http1 import (
    CHUNK_BYTES,
    LARGEST_HEAD_BYTES,
    LAST_CHUNK,
    BadMessageError,
    BrokenOffError,
    Head,
    Request,
    as_chunk,
    body,
    body_length,
    encoded,
    read_head,
    status_of,
)

CONNECT_S = 5.0
HEAD_S = 120.0
SEND_S = 120.0
LOOK_EVERY_S = 1.0
_HOP_BY_HOP = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade",
        b"expect", b"transfer-encoding", b"content-length",
    )
)  # fmt: skip
_OURS = frozenset(
    (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", KEY_HEADER.encode())
)
_LOCAL = frozenset((b"127.0.0.1", b"::1", b"::ffff:127.0.0.1"))


class AppSilentError(Exception):
    """The program cannot be reached, or said nothing that could be sent on."""


@dataclass(frozen=True)
class Connection:
    """A connection to a visitor or to the program."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def address(self) -> bytes:
        peer = self.writer.get_extra_info("peername") or ("127.0.0.1",)
        return str(peer[0]).encode()

    @property
    def is_local(self) -> bool:
        """Whether it comes from the instance itself."""
        return self.address in _LOCAL

    @property
    def has_left(self) -> bool:
        return self.reader.at_eof() or self.writer.transport.is_closing()

    async def send(self, part: bytes) -> None:
        await send(self.writer, part)


async def send(writer: asyncio.StreamWriter, part: bytes) -> None:
    """Write, and wait while the other side reads slowly.

    Raises:
        BrokenOffError: It reads no more.
    """
    try:
        writer.write(part)
        await asyncio.wait_for(writer.drain(), SEND_S)
    except (OSError, asyncio.TimeoutError) as error:  # noqa: UP041 - two classes before 3.11
        raise BrokenOffError("nobody reads what is sent") from error


async def forward(request: Request, visitor: Connection, port: int, *, may_keep: bool) -> bool:
    """Answer a request with what the program on that loopback port says.

    Returns:
        Whether the visitor's connection can take another request.

    Raises:
        AppSilentError: There is no answer; nothing was sent to the visitor.
        BadMessageError, BrokenOffError: The answer, or the request's body, was not whole.
    """
    length = body_length(request.head)
    try:
        connecting = asyncio.open_connection("127.0.0.1", port, limit=LARGEST_HEAD_BYTES)
        reader, writer = await asyncio.wait_for(connecting, CONNECT_S)
    except (OSError, asyncio.TimeoutError) as error:  # noqa: UP041
        raise AppSilentError(str(error)) from error
    app = Connection(reader, writer)
    upload = asyncio.create_task(_upload(request, length, visitor, app))
    try:
        return await _answer(request, visitor, app, upload, may_keep=may_keep)
    finally:
        upload.cancel()
        with suppress(asyncio.CancelledError, BadMessageError, BrokenOffError):
            await upload
        writer.close()


async def _upload(
    request: Request, length: int | None, visitor: Connection, app: Connection
) -> None:
    """Send head and body on; afterwards hang up on the program when the visitor does."""
    await app.send(encoded(_outgoing(request, length, visitor.address)))
    if length != -1:
        if b"100-continue" in request.head.words(b"expect"):
            await visitor.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        async for part in body(visitor.reader, length):
            await app.send(as_chunk(part) if length is None else part)
        if length is None:
            await app.send(LAST_CHUNK)


def _outgoing(request: Request, length: int | None, address: bytes) -> Head:
    head = request.head
    dropped = _HOP_BY_HOP | _OURS | (set(head.words(b"connection")) - {b"host"})
    headers = [(name, value) for name, value in head.headers if name.lower() not in dropped]
    if length is None:
        headers.append((b"Transfer-Encoding", b"chunked"))
    elif length >= 0:
        headers.append((b"Content-Length", b"%d" % length))
    before = head.all(b"x-forwarded-for")
    scheme = (head.words(b"x-forwarded-proto") or [b"http"])[0]
    host = (head.all(b"x-forwarded-host") or head.all(b"host") or [b""])[0]
    headers += [
        (b"X-Forwarded-For", b", ".join([*before, address])),
        (b"X-Forwarded-Proto", scheme if scheme in (b"http", b"https") else b"http"),
        (b"X-Forwarded-Host", host),
    ]
    if request.upgrades and head.all(b"upgrade"):
        headers.append((b"Upgrade", head.all(b"upgrade")[0]))
        headers.append((b"Connection", b"Upgrade"))
    else:
        headers.append((b"Connection", b"close"))
    return Head(b"%s %s HTTP/1.1" % (request.method, request.target), headers)


async def _answer(
    request: Request,
    visitor: Connection,
    app: Connection,
    upload: asyncio.Task[None],
    *,
    may_keep: bool,
) -> bool:
    head, length = await _answer_head(request, visitor, app, upload)
    if status_of(head) == 101:
        await visitor.send(encoded(head))
        await _tunnel(visitor, app)
        return False
    has_body = request.method != b"HEAD" and status_of(head) not in (204, 304)
    keeps = may_keep and request.keeps_alive and (length not in (None, -1) or request.is_new)
    is_chunked = has_body and length in (None, -1) and request.is_new
    await visitor.send(encoded(_incoming(head, length, chunked=is_chunked, keeps=keeps)))
    if has_body:
        async for part in _watched(app, length, visitor):
            await visitor.send(as_chunk(part) if is_chunked else part)
        if is_chunked:
            await visitor.send(LAST_CHUNK)
    return keeps and upload.done() and not upload.cancelled() and upload.exception() is None


async def _answer_head(
    request: Request, visitor: Connection, app: Connection, upload: asyncio.Task[None]
) -> tuple[Head, int | None]:
    """The final head of the program's answer, and its body's length."""
    reading = asyncio.create_task(_final_head(request, app))
    try:
        while not reading.done():
            await asyncio.wait({reading}, timeout=LOOK_EVERY_S)
            if visitor.has_left and not reading.done():
                raise BrokenOffError("the visitor left")
            if upload.done() and isinstance(upload.exception(), BadMessageError):
                raise BrokenOffError("the request's body is malformed")
        head = await reading
        return head, body_length(head)
    except BadMessageError as error:
        raise AppSilentError(str(error)) from error
    finally:
        reading.cancel()


async def _final_head(request: Request, app: Connection) -> Head:
    while True:
        try:
            head = await read_head(app.reader, HEAD_S)
        except BrokenOffError as error:
            raise AppSilentError(str(error)) from error
        if head is None:
            raise AppSilentError("the program closed the connection without an answer")
        if status_of(head) >= 200 or (status_of(head) == 101 and request.upgrades):
            return head


def _incoming(head: Head, length: int | None, *, chunked: bool, keeps: bool) -> Head:
    dropped = _HOP_BY_HOP | set(head.words(b"connection"))
    headers = [(name, value) for name, value in head.headers if name.lower() not in dropped]
    if chunked:
        headers.append((b"Transfer-Encoding", b"chunked"))
    elif length is not None and length >= 0:
        headers.append((b"Content-Length", b"%d" % length))
    if not keeps:
        headers.append((b"Connection", b"close"))
    return Head(b"HTTP/1.1 " + head.first.partition(b" ")[2], headers)


async def _watched(
    app: Connection, length: int | None, visitor: Connection
) -> AsyncIterator[bytes]:
    """The answer's body; given up when the visitor leaves, even if the program says nothing."""
    parts = body(app.reader, length).__aiter__()
    while True:
        reading = asyncio.ensure_future(parts.__anext__())
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=LOOK_EVERY_S)
                if visitor.has_left and not reading.done():
                    raise BrokenOffError("the visitor left")
            yield reading.result()
        except StopAsyncIteration:
            return
        finally:
            reading.cancel()


async def _tunnel(visitor: Connection, app: Connection) -> None:
    ways = {
        asyncio.create_task(_pump(visitor.reader, app)),
        asyncio.create_task(_pump(app.reader, visitor)),
    }
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, target: Connection) -> None:
    while part := await reader.read(CHUNK_BYTES):
        await target.send(part)
