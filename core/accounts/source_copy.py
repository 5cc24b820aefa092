"""Copies a site from one session to another; what it reads is a pane's work and not trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from core.errors import StorageError, UsageError
from core.files import open_beneath

FILES_LIMIT = 20_000
SIZE_LIMIT_BYTES = 512 * 1024 * 1024
DEPTH_LIMIT = 32
_LEFT_OUT = frozenset({".git"})
_CHUNK_BYTES = 1 << 20


def copy_source(session_folder: Path, destination: Path) -> int:
    """Copy the regular files of `source/` into an existing folder; links are left out.

    Returns:
        How many files were copied.

    Raises:
        UsageError: The site is larger than a copy may be.
        StorageError: A file cannot be read or written.
    """
    try:
        return _copy(open_beneath(session_folder, "source"), destination)
    except OSError as error:
        raise StorageError(
            f"The site in {session_folder} cannot be copied: {error.strerror}.",
            remedy="Check that its source folder is there and the disk has space.",
        ) from error


def _copy(source: int, destination: Path) -> int:
    count, size = 0, 0
    try:
        for path, folder in _regular_files(source):
            target = destination / path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            size += _copy_file(folder, target, SIZE_LIMIT_BYTES - size)
            count += 1
            if count > FILES_LIMIT:
                raise _too_large()
    finally:
        os.close(source)
    return count


def _regular_files(source: int) -> Iterator[tuple[Path, int]]:
    """Each regular file's path with its folder's descriptor, valid until the next one."""
    for where, folders, files, folder in os.fwalk(".", dir_fd=source, follow_symlinks=False):
        here = Path(where)
        if len(here.parts) > DEPTH_LIMIT:
            raise _too_large()
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in files:
            if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                yield here / name, folder


def _copy_file(folder: int, target: Path, allowed: int) -> int:
    """Copy one file; the bytes written."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    copied = 0
    with os.fdopen(os.open(target.name, flags, dir_fd=folder), "rb") as reader:
        mode = 0o700 if os.fstat(reader.fileno()).st_mode & 0o100 else 0o600
        with target.open("xb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                copied += len(chunk)
                if copied > allowed:
                    raise _too_large()
                writer.write(chunk)
        target.chmod(mode)
    return copied


def _too_large() -> UsageError:
    return UsageError(
        f"The site to copy is larger than {FILES_LIMIT} files, {SIZE_LIMIT_BYTES >> 20} MB"
        f" or {DEPTH_LIMIT} folders deep.",
        remedy="Remove what does not belong to the site from its source folder first.",
    )
