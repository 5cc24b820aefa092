"""Which file of a release a URL means. Only files of the manifest exist: nothing to climb out of.

An exact file wins, then `<path>.html`, then a folder's `index.html` after a redirect to its slash.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote

INDEX = "index.html"
_PUBLIC_DOT_FOLDER = ".well-known"


@dataclass(frozen=True, slots=True)
class Found:
    """The file at this path of the release."""

    path: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The page lives at another path of the same site (percent-encoded, one leading slash)."""

    location: str


def resolve(files: Collection[str], url_path: str) -> Found | Moved | None:
    """What a decoded URL path means, None where the site has no such page."""
    if not url_path.startswith("/") or "\0" in url_path:
        return None
    is_folder = url_path.endswith("/")
    path = url_path[1:].removesuffix("/") if is_folder else url_path[1:]
    if not path:
        return Found(INDEX) if url_path == "/" and INDEX in files else None
    if not _is_public(path):
        return None
    return _folder(files, path) if is_folder else _file(files, path)


def _file(files: Collection[str], path: str) -> Found | Moved | None:
    if path in files:
        return Found(path)
    if f"{path}.html" in files:
        return Found(f"{path}.html")
    return Moved(f"/{quote(path)}/") if f"{path}/{INDEX}" in files else None


def _folder(files: Collection[str], path: str) -> Found | Moved | None:
    if f"{path}/{INDEX}" in files:
        return Found(f"{path}/{INDEX}")
    return Moved(f"/{quote(path)}") if f"{path}.html" in files else None


def _is_public(path: str) -> bool:
    first, *rest = path.split("/")
    if first.startswith(".") and first != _PUBLIC_DOT_FOLDER:
        return False
    return bool(first) and all(part and not part.startswith(".") for part in rest)
