"""A run's log as a JSON Lines file that only grows: line n of the file is entry n of the store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.errors import StorageError
from core.files import open_log_beneath
from core.models.execution import Execution
from core.store.documents import log_document
from core.store.store import Store

_CHUNK_BYTES = 1 << 20
_KNOWN_RUNS = 64


@dataclass(frozen=True, slots=True)
class _End:
    """Where the file ended when this process last wrote it."""

    lines: int
    size: int


class RunLog:
    """Brings the log files up to the store; the caller holds the views' lock.

    The count of lines is remembered, so that the 10,000th line costs what the first did; a file
    that another process or a crash changed in between is counted again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ends: dict[str, _End] = {}

    def export(self, execution_id: str) -> None:
        """Append what the store has and the file has not.

        Raises:
            StorageError: The file cannot be written, or the session's folder is gone.
        """
        execution = self._store.executions.get(execution_id)
        if execution is None:
            return
        root = self._store.root
        paths = root.session(execution.key.user_id, execution.key.session_id)
        if not paths.root.is_dir():
            return
        file = paths.run_log(execution.run)
        handle = open_log_beneath(root.path, file.relative_to(root.path).as_posix())
        try:
            self._append(handle, execution)
        except OSError as error:
            raise _cannot_write(file, error) from error
        finally:
            os.close(handle)

    def _append(self, handle: int, execution: Execution) -> None:
        end = self._end(handle, execution.execution_id)
        entries = self._store.logs.tail(execution.execution_id, after_line=end.lines)
        lines = [msgspec.json.encode(log_document(entry)) + b"\n" for entry in entries]
        content = b"".join(lines)
        os.ftruncate(handle, end.size)
        written = 0
        while written < len(content):
            written += os.pwrite(handle, content[written:], end.size + written)
        if len(self._ends) >= _KNOWN_RUNS:
            self._ends.clear()
        self._ends[execution.execution_id] = _End(end.lines + len(lines), end.size + len(content))

    def _end(self, handle: int, execution_id: str) -> _End:
        """The end of the last whole line; the file's start where it holds more than the store."""
        size = os.fstat(handle).st_size
        known = self._ends.get(execution_id)
        if known is not None and known.size == size:
            return known
        found = _count(handle)
        newest = self._store.logs.tail(execution_id, limit=1)
        stored = newest[-1].line if newest else 0
        return found if found.lines <= stored else _End(0, 0)


def _count(handle: int) -> _End:
    lines, whole, position = 0, 0, 0
    while chunk := os.pread(handle, _CHUNK_BYTES, position):
        lines += chunk.count(b"\n")
        last = chunk.rfind(b"\n")
        whole = position + last + 1 if last >= 0 else whole
        position += len(chunk)
    return _End(lines, whole)


def _cannot_write(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{file} cannot be written: {error.strerror}.",
        remedy="Check free space and rights of the data root, then run it again.",
    )
