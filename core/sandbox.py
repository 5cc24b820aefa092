"""Bubblewrap arguments for everything that runs a customer's code: panes, tests, dynamic sites.

The process inside sees the system read-only, its own folders, a private /tmp and nobody else's
processes. It has no capability, even where the product runs as root, and makes no namespaces of
its own. The network is shared with the computer unless `share_network` is off.
Source: bwrap(1).
"""

from __future__ import annotations

import os
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

_WITHOUT = "take the risk once: tmux-builder config set isolation off"

KERNEL_SETTINGS = (
    "acpi", "asound", "bus", "driver", "fs", "irq", "mtrr", "pressure", "scsi", "sys",
    "sysrq-trigger",
)  # fmt: skip
KERNEL_SECRETS = ("kcore", "keys", "kmsg", "timer_list")
"""Below /proc: the kernel lets root's account write and read these even without capabilities."""

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What one process may see. Later entries win over earlier ones: folders, then holes in them.

    Attributes:
        folder: Working directory inside; it must be under one of the other entries.
        read_only: Paths seen but not writable.
        writable: Paths that the process may change, mounted after `read_only`.
        sealed: Paths inside a writable one that are read-only all the same.
        keep_terminal: The process owns its pane's terminal (job control, window size). Without a
            call filter it could type into it.
        share_network: Off: a network of its own with nothing but its own loopback.
        calls: Descriptor from which bubblewrap reads the filter of system calls.
    """

    folder: Path
    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    sealed: tuple[Path, ...] = ()
    keep_terminal: bool = False
    share_network: bool = True
    calls: int | None = None


def bubblewrap_arguments(sandbox: Sandbox) -> list[str]:
    """Everything between `bwrap` and `-- COMMAND`. The environment is the caller's own."""
    arguments = [
        "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
        "--unshare-cgroup-try", "--cap-drop", "ALL", *_namespace_options(_program() or "bwrap"),
    ]  # fmt: skip
    if not sandbox.keep_terminal:
        arguments.append("--new-session")
    if not sandbox.share_network:
        arguments.append("--unshare-net")
    if sandbox.calls is not None:
        arguments += ["--seccomp", str(sandbox.calls)]
    for system in SYSTEM:
        arguments += ["--ro-bind-try", system, system]
    arguments += _masked()
    arguments += ["--proc", "/proc", *_guarded(), "--dev", "/dev"]
    arguments += ["--tmpfs", "/tmp"]  # noqa: S108 - inside
    if sandbox.share_network:
        arguments += _resolver()
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
    program = _program()
    if program is None:
        raise MissingProgramError(
            "bubblewrap (bwrap) is not installed, so nothing that Claude runs can be contained.",
            remedy=f"apt-get install bubblewrap, or {_WITHOUT}",
        )
    if not _works(program):
        raise MissingProgramError(
            "bubblewrap is installed but cannot make a sandbox: the kernel forbids it.",
            remedy=f"sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000"
            f" (Ubuntu 24: kernel.apparmor_restrict_unprivileged_userns=0), or {_WITHOUT}",
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


def _program() -> str | None:
    return shutil.which("bwrap")


def _resolver() -> list[str]:
    """Where names are looked up, if /etc only links to it, as systemd-resolved has it."""
    real = Path("/etc/resolv.conf").resolve()
    if not real.is_file() or _is_system(real):
        return []
    return ["--ro-bind", str(real), str(real)]


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


def _guarded() -> list[str]:
    """The kernel's own files: they belong to the computer, not to a process namespace."""
    proc = Path("/proc")
    guarded: list[str] = []
    for name in KERNEL_SETTINGS:
        if (proc / name).exists():
            guarded += ["--ro-bind", str(proc / name), str(proc / name)]
    for name in KERNEL_SECRETS:
        if (proc / name).exists():
            guarded += ["--ro-bind", "/dev/null", str(proc / name)]
    return guarded


def _is_system(folder: Path) -> bool:
    return any(folder.is_relative_to(system) for system in SYSTEM)


@cache
def _works(program: str) -> bool:
    return _runs(program, "--cap-drop", "ALL", *_namespace_options(program))


@cache
def _namespace_options(program: str) -> tuple[str, ...]:
    """No user namespaces inside, where bubblewrap can forbid them: a setuid one cannot."""
    strict = ("--unshare-user", "--disable-userns")
    return strict if _runs(program, *strict) else ()


def _runs(program: str, *options: str) -> bool:
    probe = [program, *options, "--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc"]
    probe += [*_guarded(), "true"]
    try:
        done = subprocess.run(
            probe, check=False, capture_output=True, timeout=10, env={"PATH": os.defpath}
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
