"""The CLI's own process registry: what it says it is doing right now. Undocumented, so guarded.

The files lie in the session's configuration folder, which the pane can write.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from core.files import read_regular

_FOLDER = "sessions"
_SIZE_LIMIT = 64 * 1024
_ENTRIES_LIMIT = 64
_START_FIELD = 19


class RegistryStatus(StrEnum):
    """What the CLI says of itself."""

    IDLE = "idle"
    BUSY = "busy"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEntry:
    """One process. `since` is when the status began, `started_at` when the process did."""

    session_id: str
    status: RegistryStatus
    waiting_for: str | None
    since: datetime
    started_at: datetime
    version: str

    @property
    def is_question(self) -> bool:
        """It waits for an answer of words, not for a permission."""
        return self.waiting_for == "input needed"


class _File(msgspec.Struct, rename="camel"):
    pid: int
    session_id: str
    status: RegistryStatus
    status_updated_at: int
    started_at: int
    proc_start: str = ""
    version: str = ""
    waiting_for: str | None = None


def read_registry(
    config: Path,
    session_id: str | None = None,
    *,
    started_after: datetime | None = None,
    own_pids: bool = False,
) -> RegistryEntry | None:
    """The newest entry of a session's Claude, None where there is none that can be trusted.

    Args:
        config: The session's configuration folder of the CLI.
        session_id: Only an entry of this Claude session; any when left out.
        started_after: Entries of processes older than this are left-overs of a killed one.
        own_pids: The CLI runs without a process namespace, so its pid can be checked.
    """
    found = [entry for name in _names(config) if (entry := _read(config, name, own_pids))]
    fitting = [
        entry
        for entry in found
        if session_id in {None, entry.session_id}
        and (started_after is None or entry.started_at >= started_after)
    ]
    return max(fitting, key=lambda entry: entry.since, default=None)


def _names(config: Path) -> list[str]:
    folder = config / _FOLDER
    if folder.is_symlink():
        return []
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for _, entry in zip(range(_ENTRIES_LIMIT), entries, strict=False)]
    except OSError:
        return []
    return [name for name in names if name.endswith(".json")]


def _read(config: Path, name: str, own_pids: bool) -> RegistryEntry | None:
    content = read_regular(config, f"{_FOLDER}/{name}", limit=_SIZE_LIMIT)
    if content is None:
        return None
    try:
        file = msgspec.json.decode(content, type=_File)
        since, started_at = _instant(file.status_updated_at), _instant(file.started_at)
    except (ValueError, OverflowError, OSError):
        return None
    if own_pids and file.proc_start != _process_start(file.pid):
        return None
    return RegistryEntry(
        session_id=file.session_id,
        status=file.status,
        waiting_for=file.waiting_for,
        since=since,
        started_at=started_at,
        version=file.version,
    )


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _process_start(pid: int) -> str | None:
    """Field 22 of the process's stat line, which no later process of that number shares."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[_START_FIELD] if len(fields) > _START_FIELD else None
