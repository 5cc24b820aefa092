"""A private copy of the tests a session wrote: regular files only, bounded, through no link."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.files import open_beneath, read_regular

MAX_FILES = 200
MAX_BYTES = 10 * 1024 * 1024
MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTests:
    """What was copied, and what was not: links, devices, too large, too many."""

    files: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def test_files(self) -> tuple[str, ...]:
        return tuple(name for name in self.files if _is_test(name))


def copy_own_tests(folder: Path, destination: Path) -> CopiedTests:
    """Copy `folder` below the empty `destination`; a missing folder has no tests."""
    copied: list[str] = []
    left_out: list[str] = []
    room = MAX_BYTES
    for name in _names(folder.parent, folder.name, MAX_DEPTH):
        content = None
        if len(copied) < MAX_FILES:
            limit = min(MAX_FILE_BYTES, room)
            content = read_regular(folder.parent, f"{folder.name}/{name}", limit=limit)
        if content is None:
            left_out.append(name)
            continue
        room -= len(content)
        target = destination / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(content)
        copied.append(name)
    return CopiedTests(files=tuple(copied), left_out=tuple(left_out[:MAX_FILES]))


def _names(base: Path, folder: str, depth: int) -> Iterator[str]:
    """Relative names of everything that is not a folder, hidden or made by Python, sorted."""
    try:
        handle = open_beneath(base, folder)
    except OSError:
        return
    try:
        with os.scandir(handle) as entries:
            found = sorted(
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if _is_wanted(entry.name)
            )[: 10 * MAX_FILES]
    except NotADirectoryError:
        return
    finally:
        os.close(handle)
    for name, is_folder in found:
        if not is_folder:
            yield name
        elif depth > 1:
            yield from (
                f"{name}/{deeper}" for deeper in _names(base, f"{folder}/{name}", depth - 1)
            )


def _is_wanted(name: str) -> bool:
    return name.isprintable() and not name.startswith(".") and name != "__pycache__"


def _is_test(name: str) -> bool:
    stem = PurePosixPath(name).name
    return stem.endswith(".py") and stem.startswith("test_")
