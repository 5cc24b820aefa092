"""Control clients on record, so that one whose owner was killed does not stay on the server.

A `kill-server` with such a client attached can hang tmux, and its queue of unread output grows.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

import msgspec

from core.files import make_private_folder, read_regular, write_atomically
from tmux_bridge.tmux import processes

logger = logging.getLogger(__name__)
_LIMIT = 1024


class ClientRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `tmux -C` process and the process that reads it."""

    pid: int
    mark: str
    owner_pid: int
    owner_mark: str


class ClientRecords:
    """The records of one server: a folder with one file per control client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, pid: int) -> None:
        """Record a control client of this process; one that is already dead is not recorded."""
        mark, owner_mark = processes.start_mark(pid), processes.start_mark(os.getpid())
        if mark is None or owner_mark is None:
            return
        make_private_folder(self._folder)
        record = ClientRecord(pid=pid, mark=mark, owner_pid=os.getpid(), owner_mark=owner_mark)
        write_atomically(self._folder / str(pid), msgspec.json.encode(record))

    def remove(self, pid: int) -> None:
        with contextlib.suppress(OSError):
            (self._folder / str(pid)).unlink()

    def reap_stale(self) -> int:
        """End the clients whose owner is dead; returns how many there were."""
        stale = [
            record
            for record in self._records()
            if not processes.is_same(record.owner_pid, record.owner_mark)
        ]
        for record in stale:
            self._end(record)
        return len(stale)

    def end_all(self) -> None:
        """End every recorded client, whoever owns it: the server is about to go."""
        for record in self._records():
            self._end(record)

    def _end(self, record: ClientRecord) -> None:
        processes.end(record.pid, record.mark)
        self.remove(record.pid)
        logger.info("control client ended", extra={"pid": record.pid})

    def _records(self) -> list[ClientRecord]:
        try:
            names = sorted(path.name for path in self._folder.iterdir() if path.name.isdigit())
        except FileNotFoundError:
            return []
        found = [self._read(name) for name in names]
        return [record for record in found if record is not None]

    def _read(self, name: str) -> ClientRecord | None:
        content = read_regular(self._folder, name, limit=_LIMIT)
        try:
            return msgspec.json.decode(content or b"", type=ClientRecord)
        except msgspec.MsgspecError:
            self.remove(int(name))
            return None
