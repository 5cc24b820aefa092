"""The engine's file and its log, made private and quiet before the engine opens them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from core.errors import StorageError
from core.process_log import log_apart

ENGINE_LOGGER = "dbos"
LOG_BYTES = 1_000_000


def prepare_database(path: Path) -> None:
    """Create the file for its owner only and set WAL, which the engine never does itself.

    Raises:
        StorageError: The folder or the file cannot be used.
    """
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        path.chmod(0o600)
        connection = sqlite3.connect(path, timeout=30.0)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise unusable(path, error) from error


def redirect_log(path: Path) -> None:
    """Send the engine's own log lines to a file, before it would choose the terminal.

    Raises:
        StorageError: The file cannot be written.
    """
    try:
        log_apart(ENGINE_LOGGER, path, largest_bytes=LOG_BYTES, kept=1)
    except OSError as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: Exception) -> StorageError:
    """Why the engine cannot work, in words."""
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return StorageError(
        f"The engine's file {path} cannot be used ({type(error).__name__}: {reason}).",
        remedy="Check free space, rights and the disk of the data root, then try again.",
    )
