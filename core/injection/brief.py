"""What Claude is told first: the operator's wish word for word, or the library's starter brief."""

from __future__ import annotations

import os
from pathlib import Path

from core.files import read_regular
from core.injection.layers import LayerFolder, LibrarySource, layered
from core.injection.problems import LibraryError, Problem, found_in
from core.models.user import SiteType

BRIEF_LIMIT_BYTES = 4096


def brief_file(site_type: SiteType) -> str:
    """The starter brief's file, relative to its layer."""
    return f"briefs/starter-{site_type}.md"


def starter_brief(library: LibrarySource, site_type: SiteType) -> str:
    """The brief of a session whose operator gave none: the operator's own, or the shipped one.

    Raises:
        LibraryError: It is missing, empty or too large.
    """
    file = brief_file(site_type)
    folder = brief_layer(library, site_type)
    with found_in(folder.shown):
        return _read_brief(folder.path, file)


def brief_layer(library: LibrarySource, site_type: SiteType) -> LayerFolder:
    """The layer whose starter brief counts."""
    folders = layered(library).layers()
    file = brief_file(site_type)
    return next((one for one in reversed(folders) if os.path.lexists(one.path / file)), folders[0])


def _read_brief(library: Path, file: str) -> str:
    content = read_regular(library, file, limit=BRIEF_LIMIT_BYTES)
    try:
        text = (content or b"").decode().strip()
    except UnicodeDecodeError as error:
        raise LibraryError(Problem(file=file, line=1, text="not UTF-8 text")) from error
    if not text:
        fault = f"missing, empty, a symbolic link, or larger than {BRIEF_LIMIT_BYTES} bytes"
        raise LibraryError(Problem(file=file, line=1, text=fault))
    return text


def first_prompt(library: LibrarySource, site_type: SiteType, brief: str | None) -> str:
    """The first message of a session. The rules of work stand in CLAUDE.md, so nothing is added.

    Raises:
        LibraryError: No wish was given and the starter brief cannot be read.
    """
    return brief if brief and brief.strip() else starter_brief(library, site_type)
