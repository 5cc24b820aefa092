"""Bubblewrap arguments for everything that runs a customer's code: panes, tests, dynamic sites.

The process inside sees the system read-only, its own folders, a private /tmp and nobody else's
processes. The network is shared with the computer unless `share_network` is off.
Source: bwrap(1).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.errors import MissingProgramError

SECRET_FILES = ("shadow", "shadow-", "gshadow", "gshadow-", "sudoers", "krb5.keytab")
SECRET_FOLDERS = ("ssl/private", "ssh", "sudoers.d", "letsencrypt", "wireguard")
"""Below /etc: what only root may read must not be read by a customer's code that runs as root."""

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What one process may see. Later entries win over earlier ones: folders, then holes in them.

    Attributes:
        folder: Working directory inside; it must be under one of the other entries.
        read_only: Paths seen but not writable.
        writable: Paths that the process may change, mounted after `read_only`.
        sealed: Paths inside a writable one that are read-only all the same.
        keep_terminal: The process owns its pane's terminal (job control, window size).
    """

    folder: Path
    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    sealed: tuple[Path, ...] = ()
    keep_terminal: bool = False
    share_network: bool = True


def bubblewrap_arguments(sandbox: Sandbox) -> list[str]:
    """Everything between `bwrap` and `-- COMMAND`. The environment is the caller's own."""
    arguments = ["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    if not sandbox.keep_terminal:
        arguments.append("--new-session")
    if not sandbox.share_network:
        arguments.append("--unshare-net")
    for system in SYSTEM:
        arguments += ["--ro-bind-try", system, system]
    arguments += _masked()
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 - inside
    for option, paths in (
        ("--ro-bind", sandbox.read_only),
        ("--bind", sandbox.writable),
        ("--ro-bind", sandbox.sealed),
    ):
        for path in paths:
            arguments += [option, str(path), str(path)]
    return [*arguments, "--chdir", str(sandbox.folder)]


def sandboxed(sandbox: Sandbox, command: Sequence[str]) -> list[str]:
    """The whole argument list; give the process its environment separately.

    Raises:
        MissingProgramError: There is no usable bubblewrap.
    """
    return [require_bubblewrap(), *bubblewrap_arguments(sandbox), "--", *command]


def require_bubblewrap() -> str:
    """The path of a bubblewrap that really works here.

    Raises:
        MissingProgramError: It is not installed, or the kernel forbids user namespaces.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise MissingProgramError(
            "bubblewrap (bwrap) is not installed, so nothing can be contained.",
            remedy="apt-get install bubblewrap",
        )
    if not _works(program):
        raise MissingProgramError(
            "bubblewrap is installed but cannot make a sandbox: the kernel forbids it.",
            remedy='Allow unprivileged user namespaces, or set isolation = "off" yourself.',
        )
    return program


def has_bubblewrap() -> bool:
    """Whether `sandboxed` can work here."""
    try:
        require_bubblewrap()
    except MissingProgramError:
        return False
    return True


def python_folders() -> tuple[Path, ...]:
    """What a contained Python of ours needs to see: its environment and its base installation."""
    folders = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    return tuple(sorted(folder for folder in folders if not _is_system(folder)))


def _masked() -> list[str]:
    etc = Path("/etc")
    masked: list[str] = []
    for name in SECRET_FILES:
        if (etc / name).is_file():
            masked += ["--ro-bind", "/dev/null", str(etc / name)]
    for name in SECRET_FOLDERS:
        if (etc / name).is_dir():
            masked += ["--tmpfs", str(etc / name)]
    return masked


def _is_system(folder: Path) -> bool:
    return any(folder.is_relative_to(system) for system in SYSTEM)


@cache
def _works(program: str) -> bool:
    probe = [program, "--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "true"]
    return subprocess.run(probe, check=False, capture_output=True, timeout=10).returncode == 0
