"""git as the product runs it on its own repositories: no configuration but ours, no hooks.

Nothing here ever points git at a folder that a pane can write.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import MissingProgramError, StorageError, TimedOutError

TIMEOUT_S = 120.0
_BUFFER_BYTES = 1024 * 1024
_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.compression=1",
    "core.fsync=all",
    "gc.autoDetach=false",
)


def git_environment() -> dict[str, str]:
    """A clean environment: neither the operator's nor the system's git settings count."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def git_command(repository: Path, arguments: Sequence[str]) -> list[str]:
    """The argument list of one git call on one of the product's repositories."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    return ["git", *settings, f"--git-dir={repository}", *arguments]


def run_git(
    repository: Path,
    arguments: Sequence[str],
    *,
    accepted: tuple[int, ...] = (0,),
    stdin: int = subprocess.DEVNULL,
) -> subprocess.CompletedProcess[bytes]:
    """Run git to its end.

    Raises:
        MissingProgramError: There is no git.
        StorageError: It ended with a code that is not `accepted`.
        TimedOutError: It took longer than two minutes.
    """
    try:
        done = subprocess.run(
            git_command(repository, arguments),
            check=False, capture_output=True, stdin=stdin,
            env=git_environment(), timeout=TIMEOUT_S,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise missing_git() from error
    except subprocess.TimeoutExpired as error:
        raise TimedOutError(
            f"git {arguments[0]} on {repository} took longer than {TIMEOUT_S:.0f} s.",
            remedy="Check the disk of the data root, then run it again.",
        ) from error
    if done.returncode not in accepted:
        raise damaged(repository, done.stderr)
    return done


def start_git(
    repository: Path, arguments: Sequence[str], *, streams: Mapping[str, int]
) -> subprocess.Popen[bytes]:
    """Start git with pipes of the caller's choice; the caller ends it.

    Args:
        repository: One of the product's own.
        arguments: What follows the product's settings.
        streams: stdin, stdout and stderr.
    """
    try:
        return subprocess.Popen(
            git_command(repository, arguments),
            stdin=streams["stdin"], stdout=streams["stdout"], stderr=streams["stderr"],
            env=git_environment(), bufsize=_BUFFER_BYTES,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise missing_git() from error


def missing_git() -> MissingProgramError:
    return MissingProgramError(
        "git is not installed, so no release can be taken.", remedy="apt-get install git"
    )


def damaged(repository: Path, stderr: bytes) -> StorageError:
    """The sentence for a repository that git refuses or cannot write."""
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    reason = lines[-1].strip()[:300] if lines else "git gave no reason"
    return StorageError(
        f"The releases in {repository} cannot be used: {reason}.",
        remedy=(
            f"Check free space and rights; if it is damaged, mv {repository} {repository}.broken"
            " and deploy again."
        ),
    )
