"""Handing a request to a site's own program and its answer back, as bytes arrive.

One connection a request, so that a release that is being replaced ends with its last answer.
Upgrades (WebSocket) are not handed on: the program sees an ordinary request.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import h11
from starlette.types import Receive, Scope, Send

CONNECT_TIMEOUT_S = 5.0
HEAD_TIMEOUT_S = 120.0
CHUNK_BYTES = 64 * 1024
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"expect")
)
_OURS = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"))

logger = logging.getLogger(__name__)


class AppSilentError(Exception):
    """The program cannot be reached, or ended before the head of its answer was sent on."""


class BrokenOffError(Exception):
    """The answer ended before it was whole."""


async def forward(scope: Scope, receive: Receive, send: Send, *, port: int) -> None:
    """Answer a request with what the program on that loopback port says.

    Raises:
        AppSilentError: There is no answer; nothing was sent to the client.
    """
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", port), CONNECT_TIMEOUT_S
        )
    except (OSError, TimeoutError) as error:
        raise AppSilentError(str(error)) from error
    connection = h11.Connection(our_role=h11.CLIENT)
    upload = None
    try:
        writer.write(connection.send(_request(scope)) or b"")
        upload = asyncio.create_task(_upload(connection, receive, writer))
        await _download(connection, reader, send)
    except BrokenOffError as error:
        if not _client_left(upload):
            logger.warning("an app broke off its answer", extra={"reason": str(error)})
            raise
    finally:
        if upload is not None:
            upload.cancel()
            with suppress(asyncio.CancelledError, OSError, h11.LocalProtocolError):
                await upload
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _client_left(upload: asyncio.Task[None] | None) -> bool:
    return upload is not None and upload.done() and upload.exception() is None


def _request(scope: Scope) -> h11.Request:
    target: bytes = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    headers = [(name, value) for name, value in scope["headers"] if _goes_on(name)]
    if not any(name == b"host" for name, _value in headers):
        headers.append((b"host", b"127.0.0.1"))
    client = scope.get("client") or ("127.0.0.1", 0)
    host = next((value for name, value in headers if name == b"host"), b"")
    headers += [
        (b"x-forwarded-for", str(client[0]).encode()),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", host),
        (b"connection", b"close"),
    ]
    return h11.Request(method=scope["method"], target=target, headers=headers)


def _goes_on(name: bytes) -> bool:
    return name not in _HOP_BY_HOP and name not in _OURS


async def _upload(
    connection: h11.Connection, receive: Receive, writer: asyncio.StreamWriter
) -> None:
    """Send the body on; afterwards hang up on the program when the client does."""
    finished = False
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            writer.transport.abort()
            return
        if finished:
            continue
        if body := message.get("body", b""):
            writer.write(connection.send(h11.Data(data=body)) or b"")
        if not message.get("more_body", False):
            finished = True
            writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()


async def _download(connection: h11.Connection, reader: asyncio.StreamReader, send: Send) -> None:
    started = False
    try:
        head = await asyncio.wait_for(_head(connection, reader), HEAD_TIMEOUT_S)
        started = True
        await send(
            {
                "type": "http.response.start",
                "status": head.status_code,
                "headers": _answer_headers(head),
            }
        )
        while isinstance(event := await _event(connection, reader), h11.Data):
            await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
        if isinstance(event, h11.EndOfMessage):
            await send({"type": "http.response.body", "body": b""})
    except (OSError, TimeoutError, h11.RemoteProtocolError, EOFError) as error:
        if not started:
            raise AppSilentError(str(error)) from error
        raise BrokenOffError(str(error)) from error


def _answer_headers(head: h11.Response) -> list[tuple[bytes, bytes]]:
    dropped = _HOP_BY_HOP | {b"date", b"transfer-encoding"}
    return [
        (name, value) for name, value in head.headers.raw_items() if name.lower() not in dropped
    ]


async def _head(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Response:
    while True:
        event = await _event(connection, reader)
        match event:
            case h11.Response():
                return event
            case h11.InformationalResponse():
                continue
            case _:
                raise EOFError("the program closed the connection without an answer")


async def _event(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Event:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(CHUNK_BYTES))
    if isinstance(event, h11.Event):
        return event
    raise EOFError("the program's answer never ended")
