"""A log file that is turned over when it is full; made by `core.process_log` only."""

from __future__ import annotations

import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path


class PrivateLogFile(RotatingFileHandler):
    """Each of its files is for the account alone, also those that a turn-over makes.

    Raises:
        OSError: The first one cannot be made, or is a link.
    """

    def __init__(self, path: Path, *, largest_bytes: int, kept: int) -> None:
        os.close(_open_private(str(path), os.O_CREAT | os.O_APPEND | os.O_WRONLY))
        super().__init__(path, maxBytes=largest_bytes, backupCount=kept, delay=True)

    def _open(self) -> TextIOWrapper:
        return open(
            self.baseFilename, "a", encoding="utf-8", errors="backslashreplace",
            opener=_open_private,
        )  # fmt: skip


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
