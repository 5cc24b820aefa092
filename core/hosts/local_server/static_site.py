"""A static site of one release: every answer is made from one release and its manifest.

Validators come from the content's hash. There is no Last-Modified: a time answers 304 wrongly
after a rollback.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from core.files import open_beneath
from core.hosts.local_server.layout import StoredRelease
from core.hosts.local_server.pages import failed, marker, refused_method
from core.hosts.local_server.resolving import Moved, resolve
from core.models.release import MARKER_PATH, ReleaseFile
from core.publish.headers import SECURITY_HEADERS, cache_control, content_type
from core.publish.not_found_page import NOT_FOUND_PATH

SMALL_BYTES = 256 * 1024
CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Part:
    first: int
    last: int

    @property
    def size_bytes(self) -> int:
        return self.last - self.first + 1


class StaticSite:
    """Answers GET and HEAD out of one stored release."""

    def __init__(self, release: StoredRelease) -> None:
        self._release = release

    @property
    def release_id(self) -> str:
        return self._release.release_id

    @property
    def is_up(self) -> bool:
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = self._answer(scope)
        await response(scope, receive, send)

    async def close(self) -> None:
        """Nothing runs for a static site."""

    def _answer(self, scope: Scope) -> Response:
        method, path = scope["method"], scope["path"]
        if method not in ("GET", "HEAD"):
            return refused_method()
        if path == f"/{MARKER_PATH}":
            return marker(self.release_id)
        found = resolve(self._release.files, path)
        if isinstance(found, Moved):
            query = scope["query_string"].decode("latin-1")
            location = f"{found.location}?{query}" if query else found.location
            return RedirectResponse(
                location, status_code=302, headers={"cache-control": "no-cache"}
            )
        headers = Headers(scope=scope)
        if found is not None:
            return self._file(self._release.files[found.path], method, headers)
        return self._not_found(method)

    def _file(self, file: ReleaseFile, method: str, headers: Headers) -> Response:
        etag = f'"{file.sha256[:32]}"'
        common = {
            **SECURITY_HEADERS,
            "etag": etag,
            "cache-control": cache_control(file.path),
            "accept-ranges": "bytes",
        }
        if _matches(headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=common)
        asked = headers.get("range") if method == "GET" else None
        if asked is None or headers.get("if-range", etag) != etag:
            return self._content(file, method, common, None)
        part = _part(asked, file.size_bytes)
        if part == "unsatisfiable":
            common["content-range"] = f"bytes */{file.size_bytes}"
            return Response(status_code=416, headers=common)
        return self._content(file, method, common, part if isinstance(part, _Part) else None)

    def _not_found(self, method: str) -> Response:
        page = self._release.files.get(NOT_FOUND_PATH)
        if page is None:
            return Response("Not found\n", status_code=404, media_type="text/plain")
        headers = {**SECURITY_HEADERS, "cache-control": "no-cache"}
        return self._content(page, method, headers, None, status=404)

    def _content(
        self,
        file: ReleaseFile,
        method: str,
        headers: dict[str, str],
        part: _Part | None,
        *,
        status: int = 200,
    ) -> Response:
        whole = _Part(0, file.size_bytes - 1)
        sent = part or whole
        if part is not None:
            status = 206
            headers["content-range"] = f"bytes {part.first}-{part.last}/{file.size_bytes}"
        headers["content-type"] = content_type(file.path)
        headers["content-length"] = str(sent.size_bytes)
        if method == "HEAD" or not sent.size_bytes:
            return Response(status_code=status, headers=headers)
        try:
            handle = open_beneath(self._release.folder, file.path)
            if os.fstat(handle).st_size != file.size_bytes:
                os.close(handle)
                raise OSError("size differs from the manifest")
        except OSError as error:
            logger.error("file of a release unreadable", extra={"reason": str(error)})  # noqa: TRY400 - the sentence says all
            return failed()
        return StreamingResponse(_chunks(handle, sent), status_code=status, headers=headers)


async def _chunks(handle: int, part: _Part) -> AsyncIterator[bytes]:
    """Small files at once; big ones in a thread, so that a slow disk delays nobody else."""
    with os.fdopen(handle, "rb", buffering=0) as stream:
        stream.seek(part.first)
        left = part.size_bytes
        while left:
            size = min(CHUNK_BYTES, left)
            if part.size_bytes <= SMALL_BYTES:
                chunk = stream.read(size)
            else:
                chunk = await asyncio.to_thread(stream.read, size)
            if not chunk:
                raise OSError("a file of a release became shorter while it was sent")
            left -= len(chunk)
            yield chunk


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags


def _part(asked: str, size_bytes: int) -> _Part | str | None:
    """One asked range; None where the whole file is the right answer (several, or no range)."""
    found = _RANGE.fullmatch(asked.replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        start, end = max(0, size_bytes - int(last)), size_bytes - 1
        return "unsatisfiable" if int(last) == 0 or not size_bytes else _Part(start, end)
    start = int(first)
    end = min(int(last), size_bytes - 1) if last else size_bytes - 1
    if last and int(last) < start:
        return None
    return "unsatisfiable" if start >= size_bytes else _Part(start, end)
