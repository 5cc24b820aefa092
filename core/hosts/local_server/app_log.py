"""The output of a site's own program: bounded on disk, its last lines at hand.

The log lies in the session's folder, which a pane may write: every part is opened without
following links, and only a regular file with one name is written.
"""

from __future__ import annotations

import logging
import os
import stat
from collections import deque
from contextlib import suppress
from pathlib import Path

from core.files import read_regular

LARGEST_LOG_BYTES = 1024 * 1024
LAST_LINES = 12
LONGEST_LINE = 300
NAME = "app.log"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

logger = logging.getLogger(__name__)


class AppLog:
    """Appends to `<session>/logs/app.log` and keeps one former file beside it."""

    def __init__(self, session_folder: Path) -> None:
        self._session_folder = session_folder
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._unfinished = ""
        self._reported = False

    def write(self, output: bytes) -> None:
        """Append; output that cannot be kept is dropped, the program goes on."""
        self._remember(output)
        try:
            self._append(output)
        except OSError as error:
            if not self._reported:
                self._reported = True
                logger.warning("output of an app not kept", extra={"reason": str(error)})

    def last_lines(self) -> str:
        """What the program said last, on one line."""
        lines = [*self._last, self._unfinished[:LONGEST_LINE]]
        return " | ".join(line.strip() for line in lines if line.strip())

    def forget(self) -> None:
        """Start the last lines anew: a new start has its own."""
        self._last.clear()
        self._unfinished = ""

    def _remember(self, output: bytes) -> None:
        *lines, rest = (self._unfinished + output.decode(errors="replace")).split("\n")
        self._last.extend(line[:LONGEST_LINE] for line in lines[-LAST_LINES:])
        self._unfinished = rest[-LONGEST_LINE * 4 :]

    def _append(self, output: bytes) -> None:
        session = os.open(self._session_folder, _FOLDER)
        try:
            logs = os.open("logs", _FOLDER, dir_fd=session)
        finally:
            os.close(session)
        try:
            file = os.open(NAME, _FILE, 0o600, dir_fd=logs)
            try:
                info = os.fstat(file)
                if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
                    raise OSError("logs/app.log is not a file of its own")
                os.write(file, output)
            finally:
                os.close(file)
            if info.st_size + len(output) > LARGEST_LOG_BYTES:
                with suppress(OSError):
                    os.rename(NAME, f"{NAME}.1", src_dir_fd=logs, dst_dir_fd=logs)
        finally:
            os.close(logs)


def newest_lines(session_folder: Path, count: int) -> str:
    """The newest lines of a session's `app.log`, out of its two files; links are not followed."""
    content = b"".join(
        read_regular(session_folder, f"logs/{name}", limit=2 * LARGEST_LOG_BYTES) or b""
        for name in (f"{NAME}.1", NAME)
    )
    return "\n".join(content.decode(errors="replace").splitlines()[-max(1, count) :])
