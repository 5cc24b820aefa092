"""What Claude is told first: the operator's wish word for word, or the library's starter brief."""

from __future__ import annotations

from pathlib import Path

from core.files import read_regular
from core.injection.problems import LibraryError, Problem
from core.models.user import SiteType

BRIEF_LIMIT_BYTES = 4096


def brief_file(site_type: SiteType) -> str:
    """The starter brief's file, relative to the library."""
    return f"briefs/starter-{site_type}.md"


def starter_brief(library: Path, site_type: SiteType) -> str:
    """The brief of a session whose operator gave none.

    Raises:
        LibraryError: It is missing, empty or too large.
    """
    file = brief_file(site_type)
    content = read_regular(library, file, limit=BRIEF_LIMIT_BYTES)
    try:
        text = (content or b"").decode().strip()
    except UnicodeDecodeError as error:
        raise LibraryError(Problem(file=file, line=1, text="not UTF-8 text")) from error
    if not text:
        fault = f"missing, empty, a symbolic link, or larger than {BRIEF_LIMIT_BYTES} bytes"
        raise LibraryError(Problem(file=file, line=1, text=fault))
    return text


def first_prompt(library: Path, site_type: SiteType, brief: str | None) -> str:
    """The first message of a session. The rules of work stand in CLAUDE.md, so nothing is added.

    Raises:
        LibraryError: No wish was given and the starter brief cannot be read.
    """
    return brief if brief and brief.strip() else starter_brief(library, site_type)
