"""The public side: every connection to the site, its marker, and pages for when it is down."""

from __future__ import annotations

import asyncio
from typing import Protocol

from .forwarding import AppSilentError, Connection, forward
from .guard import Guard
from .http1 import (
    BadMessageError,
    BrokenOffError,
    Head,
    Request,
    body_length,
    encoded,
    read_head,
    request_of,
)

MARKER = b"/.well-known/tmux-builder-release"
IDLE_S = 120.0
MOST_CONNECTIONS = 4000
_REASONS = {
    200: b"OK", 400: b"Bad Request", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed",
    502: b"Bad Gateway", 503: b"Service Unavailable",
}  # fmt: skip


class Backend(Protocol):
    """A running program; a request is counted from its first byte to its last."""

    port: int

    def enter(self) -> None: ...

    def leave(self) -> None: ...


class Served(Protocol):
    """What is behind the front at this moment."""

    @property
    def release_id(self) -> str | None: ...

    @property
    def guard(self) -> Guard | None:
        """What a visitor must show; None where everybody is answered."""

    @property
    def is_down(self) -> bool:
        """Whether its program neither answers nor is just starting."""

    async def backend(self) -> Backend | None:
        """The program that answers now; waits for one that is just starting."""


class Front:
    """Talks with visitors. Knows nothing of how programs are started."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._talking: set[asyncio.Task[None]] = set()
        self._idle: set[Connection] = set()
        self._kept: set[Connection] = set()
        self._is_ending = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a connection's callback is a task
        self._talking.add(task)
        visitor = Connection(reader, writer)
        try:
            if len(self._talking) > MOST_CONNECTIONS:
                await _page(visitor, 503, b"Too many visitors at once.")
                return
            while await self._exchange(visitor):
                self._kept.add(visitor)
        except BadMessageError:
            writer.transport.abort()
        except (BrokenOffError, OSError):
            writer.transport.abort()
        finally:
            self._talking.discard(task)
            self._kept.discard(visitor)
            writer.close()

    async def end(self, deadline_s: float) -> None:
        """Take no further requests; wait for answers under way and for first requests."""
        self._is_ending = True
        for visitor in self._idle & self._kept:
            visitor.writer.close()
        if self._talking:
            await asyncio.wait(set(self._talking), timeout=deadline_s)

    async def _exchange(self, visitor: Connection) -> bool:
        """One request and its answer; whether the connection can take another."""
        self._idle.add(visitor)
        try:
            head = await read_head(visitor.reader, IDLE_S)
        except BadMessageError:
            return await _page(visitor, 400, b"This is no request.")
        finally:
            self._idle.discard(visitor)
        if head is None:
            return False
        try:
            request = request_of(head)
            length = body_length(head)
        except BadMessageError:
            return await _page(visitor, 400, b"This is no request.")
        is_marker = request.target.partition(b"?")[0] == MARKER
        if not self._may_ask(request, is_local_look=is_marker and visitor.is_local):
            return await _page(visitor, 403, b"This site answers at its own address only.")
        if is_marker:
            return await self._marker(request, visitor, has_body=length != -1)
        return await self._forward(request, visitor)

    def _may_ask(self, request: Request, *, is_local_look: bool) -> bool:
        """Other customers of the CDN come from the same addresses, without the header.

        The instance itself may look at its marker.
        """
        guard = self._served.guard
        return guard is None or is_local_look or guard.admits(request.head)

    async def _forward(self, request: Request, visitor: Connection) -> bool:
        backend = await self._served.backend()
        if backend is None:
            return await _page(visitor, 503, b"The site's program is not running.")
        backend.enter()
        try:
            return await forward(request, visitor, backend.port, may_keep=not self._is_ending)
        except AppSilentError:
            return await _page(visitor, 502, b"The site's program did not answer.")
        finally:
            backend.leave()

    async def _marker(self, request: Request, visitor: Connection, *, has_body: bool) -> bool:
        release_id = self._served.release_id
        if request.method not in (b"GET", b"HEAD"):
            return await _page(visitor, 405, b"Only GET and HEAD.")
        if release_id is not None and self._served.is_down:
            return await _page(visitor, 503, b"The site's program is not running.")
        content = b"" if release_id is None else release_id.encode()
        keeps = request.keeps_alive and not has_body and not self._is_ending
        head = _head(404 if release_id is None else 200, b"text/plain; charset=utf-8", content)
        if not keeps:
            head.headers.append((b"Connection", b"close"))
        await visitor.send(encoded(head) + (content if request.method == b"GET" else b""))
        return keeps


async def _page(visitor: Connection, status: int, sentence: bytes) -> bool:
    """A small page of the agent's own; the connection ends with it."""
    content = b"<!doctype html><meta charset=utf-8><title>%d</title><h1>%s</h1>" % (
        status, sentence,
    )  # fmt: skip
    head = _head(status, b"text/html; charset=utf-8", content)
    if status == 503:
        head.headers.append((b"Retry-After", b"5"))
    head.headers.append((b"Connection", b"close"))
    await visitor.send(encoded(head) + content)
    return False


def _head(status: int, media_type: bytes, content: bytes) -> Head:
    return Head(
        b"HTTP/1.1 %d %s" % (status, _REASONS[status]),
        [
            (b"Content-Type", media_type), (b"Content-Length", b"%d" % len(content)),
            (b"Cache-Control", b"no-store"), (b"X-Content-Type-Options", b"nosniff"),
        ],
    )  # fmt: skip
