"""Locks between processes and threads: a file or folder held by flock, with a deadline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.clock import wait_for
from core.errors import StorageError
from core.files import try_lock

DEADLINE_S = 60.0
INTERVAL_S = 0.004


@contextmanager
def held_file(path: Path) -> Iterator[int]:
    """Hold a lock file, made where it is missing; gives its descriptor.

    Raises:
        StorageError: It cannot be opened, or somebody else never lets go.
    """
    with _held(path, os.O_RDWR | os.O_CREAT) as handle:
        yield handle


@contextmanager
def held_folder(path: Path) -> Iterator[int]:
    """Hold an existing folder itself, so that no lock file is left in it. Raises likewise."""
    with _held(path, os.O_RDONLY | os.O_DIRECTORY) as handle:
        yield handle


@contextmanager
def _held(path: Path, flags: int) -> Iterator[int]:
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be opened: {error.strerror}.",
            remedy="Check free space and rights of the data root, then run it again.",
        ) from error
    try:
        if not wait_for(lambda: try_lock(handle), deadline_s=DEADLINE_S, interval_s=INTERVAL_S):
            raise StorageError(
                f"Another process holds {path} and does not let go.", remedy=f"fuser {path}"
            )
        yield handle
    finally:
        os.close(handle)
