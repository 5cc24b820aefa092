"""HTTP headers of a published file by rule, the same on every host."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from core.models.release import MARKER_PATH

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-frame-options": "SAMEORIGIN",
}

_TEXT = {
    "html": "text/html", "htm": "text/html", "css": "text/css", "js": "text/javascript",
    "mjs": "text/javascript", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv",
    "json": "application/json", "map": "application/json", "xml": "application/xml",
    "svg": "image/svg+xml", "webmanifest": "application/manifest+json",
    "rss": "application/rss+xml", "atom": "application/atom+xml", "ics": "text/calendar",
    "vtt": "text/vtt",
}  # fmt: skip
_BINARY = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
    "webp": "image/webp", "avif": "image/avif", "ico": "image/x-icon", "bmp": "image/bmp",
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
    "mp4": "video/mp4", "webm": "video/webm", "mov": "video/quicktime", "mp3": "audio/mpeg",
    "ogg": "audio/ogg", "wav": "audio/wav", "m4a": "audio/mp4", "pdf": "application/pdf",
    "zip": "application/zip", "gz": "application/gzip", "wasm": "application/wasm",
}  # fmt: skip
_HEX_HASH = re.compile(r"[.-](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\.[a-z0-9.]+$")
_BUNDLER_HASH = re.compile(
    r"(?:^|/)assets/[^/]*-(?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{8}\.(?:js|css)$"
)


@lru_cache(maxsize=4096)
def content_type(path: str) -> str:
    """The media type by the file's ending, with a charset wherever it is text."""
    _stem, dot, ending = path.rpartition("/")[2].lower().rpartition(".")
    if not dot:
        return "application/octet-stream"
    if ending in _TEXT:
        return f"{_TEXT[ending]}; charset=utf-8"
    return _BINARY.get(ending, "application/octet-stream")


@lru_cache(maxsize=4096)
def is_hashed_asset(path: str) -> bool:
    """Whether the name carries a hash of the content, so that it never changes under it.

    A date such as `style.20260112.css` is not a hash: a hash has letters and digits.
    """
    if content_type(path).startswith("text/html"):
        return False
    return bool(_HEX_HASH.search(path) or _BUNDLER_HASH.search(path))


def cache_control(path: str) -> str:
    """A year for what never changes; everything else is asked for again, and answered by ETag."""
    return IMMUTABLE if is_hashed_asset(path) else REVALIDATE


def object_headers(path: str) -> dict[str, str]:
    """What an object store keeps with a file and answers with it."""
    if path == MARKER_PATH:
        return {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": REVALIDATE}
    return {"Content-Type": content_type(path), "Cache-Control": cache_control(path)}


@lru_cache(maxsize=4096)
def headers_digest(path: str) -> str:
    """Changes when the rules give the file other headers, so that it is written again."""
    return _digest(tuple(sorted(object_headers(path).items())))


@lru_cache(maxsize=512)
def _digest(headers: tuple[tuple[str, str], ...]) -> str:
    told = "\n".join(f"{name}: {value}" for name, value in headers)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
