"""Starting a program that inherits nothing by accident: no environment, signals or open files.

A tmux server keeps all three from whoever starts it, for its whole life. `subprocess` cannot set
the signal mask without running Python between fork and exec, which is unsafe beside threads;
`posix_spawn` can.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.clock import wait_for
from tmux_bridge.tmux import processes
from tmux_bridge.tmux.errors import silent

_DEFAULTED = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def run_clean(
    argv: Sequence[str], environ: Mapping[str, str], *, timeout_s: float
) -> tuple[int, str]:
    """Run a program that goes into the background by itself.

    Args:
        argv: The program's absolute path and its arguments.
        environ: Its whole environment.
        timeout_s: How long the foreground part may take; it is ended afterwards.

    Returns:
        The exit code and what it wrote on its standard error.

    Raises:
        TmuxSilentError: It did not come back in time.
    """
    with tempfile.TemporaryFile() as errors:
        pid = os.posix_spawn(
            argv[0],
            list(argv),
            dict(environ),
            file_actions=_file_actions(errors.fileno()),
            setsigmask=(),
            setsigdef=_DEFAULTED,
        )
        code = _wait(pid, argv, timeout_s)
        errors.seek(0)
        return code, errors.read(4096).decode("utf-8", "replace").strip()


def _file_actions(errors: int) -> list[tuple[int, int, int] | tuple[int, int, str, int, int]]:
    """Null input and output, own error file, and nothing else that was left inheritable."""
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, errors, 2),
    ]
    closed: list[tuple[int, int]] = [(os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()]
    return [*actions, *closed]  # type: ignore[list-item]  # typeshed knows no two-part action


def _inheritable() -> list[int]:
    found = []
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - names of descriptors, not paths
        fd = int(name)
        try:
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
        except OSError:
            continue
    return found


def _wait(pid: int, argv: Sequence[str], timeout_s: float) -> int:
    statuses: list[int] = []

    def has_ended() -> bool:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            statuses.append(status)
        return bool(ended)

    if wait_for(has_ended, deadline_s=timeout_s, interval_s=0.005):
        return os.waitstatus_to_exitcode(statuses[0])
    processes.end(pid, processes.start_mark(pid) or "")
    os.waitpid(pid, 0)
    raise silent(f"when {Path(argv[0]).name} was started", timeout_s)
