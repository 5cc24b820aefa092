"""What the site's program prints: bounded on disk, its newest lines at hand."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path

LARGEST_LOG_BYTES = 1024 * 1024
LAST_LINES = 12
LONGEST_LINE = 300


class Printed:
    """Appends to `app.log`, which is moved to `app.log.1` when it is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._unfinished = ""

    def write(self, output: bytes) -> None:
        """Append; output that cannot be kept is dropped, the program goes on."""
        *lines, rest = (self._unfinished + output.decode(errors="replace")).split("\n")
        self._last.extend(line[:LONGEST_LINE] for line in lines[-LAST_LINES:])
        self._unfinished = rest[-LONGEST_LINE * 4 :]
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(str(self._path), flags, 0o600)
            try:
                os.write(handle, output)
                size = os.fstat(handle).st_size
            finally:
                os.close(handle)
            if size > LARGEST_LOG_BYTES:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))

    def last_lines(self) -> tuple[str, ...]:
        """What was printed last since `forget`."""
        lines = [*self._last, self._unfinished[:LONGEST_LINE]]
        return tuple(line.rstrip() for line in lines if line.strip())

    def forget(self) -> None:
        """Start the last lines anew: a new start has its own."""
        self._last.clear()
        self._unfinished = ""


def newest_lines(path: Path, count: int) -> list[str]:
    """The newest lines of the log, out of its two files."""
    content = b""
    for part in (path.with_name(f"{path.name}.1"), path):
        with suppress(OSError):
            content += part.read_bytes()
    return content.decode(errors="replace").splitlines()[-count:]
