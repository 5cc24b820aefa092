"""Whether a process seen earlier is still the same one: ids are reused, zombies have one too."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from core.clock import wait_for


def start_mark(pid: int) -> str | None:
    """Something that differs for every process that ever had this id; None where it is dead."""
    if Path("/proc/self/stat").exists():
        return _mark_from_proc(pid)
    return _mark_from_ps(pid)


def is_same(pid: int, mark: str) -> bool:
    return start_mark(pid) == mark


def end(pid: int, mark: str, *, grace_s: float = 1.0) -> None:
    """SIGTERM, then SIGKILL where it stays; another process with the same id is left alone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_same(pid, mark):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        wait_for(lambda: not is_same(pid, mark), deadline_s=grace_s, interval_s=0.02)


def _mark_from_proc(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _mark_from_ps(pid: int) -> str | None:
    listing = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        check=False, capture_output=True, text=True, timeout=5,
    )  # fmt: skip
    state, _, started = listing.stdout.strip().partition(" ")
    return started.strip() if state and not state.startswith("Z") else None
