"""Whether `source/` holds a site at all, in one sentence; safe on whatever a pane put there."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from core.files import open_beneath, read_regular
from core.models.user import SiteType
from core.publish.procfile import LARGEST_PROCFILE_BYTES, PROCFILE, web_command

HOME_PAGE = "index.html"


def missing_in_source(source: Path, site_type: SiteType) -> str | None:
    """What a site of that type lacks, as a full sentence; None when it can be published."""
    if not _has_anything(source):
        needed = HOME_PAGE if site_type is SiteType.STATIC else "a Procfile with a web: line"
        return f"source/ is empty: a {site_type} site needs {needed}."
    if site_type is SiteType.STATIC:
        return home_page_missing(source)
    return _web_line_missing(source)


def home_page_missing(source: Path) -> str | None:
    """The sentence for a static site without a home page that can be published."""
    if _is_regular(source, HOME_PAGE):
        return None
    return "source/index.html is missing: a static site needs that file as its home page."


def _web_line_missing(source: Path) -> str | None:
    if not _is_regular(source, PROCFILE):
        return "source/Procfile is missing: a dynamic site is started by its web: line."
    content = read_regular(source.parent, f"{source.name}/{PROCFILE}", limit=LARGEST_PROCFILE_BYTES)
    if content is None or web_command(content) is None:
        return "source/Procfile has no web: line that says how the site is started."
    return None


def _is_regular(source: Path, name: str) -> bool:
    try:
        handle = open_beneath(source.parent, f"{source.name}/{name}")
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def _has_anything(source: Path) -> bool:
    with suppress(OSError):
        handle = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.scandir(handle) as entries:
                return next(entries, None) is not None
        finally:
            os.close(handle)
    return False
