"""What has to be there before the CLI's first start: its own settings, and a repository.

Without it the CLI asks first-run questions that nobody answers. Every CLI process rewrites
`.claude.json`, so it is merged, never replaced as a whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.clock import wait_for
from core.errors import ConflictError, MissingProgramError, StorageError
from core.files import make_private_folder, read_regular, try_lock, write_atomically
from core.models.execution import Json
from tmux_bridge.claude.cli import TESTED_VERSION

_DOCUMENT = ".claude.json"
_CREDENTIALS = ".credentials.json"
_LIMIT = 32 * 1024 * 1024
_KEY_TAIL = 20
_GIT_TIMEOUT_S = 20
_SETTINGS = "settings.json"
_OBEYED = ("agents", "commands", "hooks", "output-styles", "rules", "skills")
"""Folders below the CLI's own that it takes instructions from."""

_GRANTS = ("allowedTools", "mcpServers", "enabledMcpjsonServers", "hooks")
"""What a project's entry in the CLI's own document could allow by itself."""


def home_folder(config: Path) -> Path:
    """The empty HOME of a session's Claude."""
    return config / "home"


def seed_config(config: Path, folder: Path, *, api_key: str | None = None) -> None:
    """Answer the CLI's first-run questions beforehand; what it wrote itself stays.

    Args:
        config: The session's configuration folder of the CLI; made when missing.
        folder: The session's folder, trusted by its real path.
        api_key: A key that comes by `ANTHROPIC_API_KEY`, approved by its tail.

    Raises:
        StorageError: It cannot be written.
        ConflictError: Another process holds the lock for too long.
    """
    make_private_folder(config)
    make_private_folder(home_folder(config))
    with _locked(config):
        document = _read(config)
        _merge(document, folder, api_key)
        write_atomically(config / _DOCUMENT, json.dumps(document).encode())


def seal_config(config: Path) -> None:
    """Empty what the CLI would obey from its own folder besides the session's `.claude`.

    The folder is the pane's to write: rules, hooks, agents or a CLAUDE.md that somebody left there
    would be a second set of settings that no lock file knows.

    Raises:
        StorageError: It cannot be written.
    """
    for path in _sealed_folders(config):
        try:
            (config / "CLAUDE.md").unlink(missing_ok=True)
            _make_empty(path)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be emptied: {error.strerror}.", remedy=f"rm -r {path}"
            ) from error
    write_atomically(config / _SETTINGS, b"{}\n")


def sealed_paths(config: Path) -> tuple[Path, ...]:
    """What the CLI may read below its folder and nobody in the pane may write."""
    return (config / _SETTINGS, *_sealed_folders(config))


def _sealed_folders(config: Path) -> tuple[Path, ...]:
    return tuple(config / name for name in _OBEYED)


def _make_empty(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    path.mkdir(mode=0o700)


def drop_carried_login(config: Path) -> bool:
    """Remove an interactive login from a session's folder, and the account that came with it.

    Earlier versions copied the operator's. It holds a refresh token, which every session would
    renew under the others, and it would win over the token that the session gets.

    Returns:
        Whether there was one.

    Raises:
        StorageError: It cannot be removed.
    """
    with _locked(config):
        try:
            (config / _CREDENTIALS).unlink()
        except (FileNotFoundError, IsADirectoryError):
            return False
        except OSError as error:
            raise StorageError(
                f"The copied login {config / _CREDENTIALS} cannot be removed: {error.strerror}.",
                remedy=f"rm -r {shlex.quote(str(config / _CREDENTIALS))}",
            ) from error
        document = _read(config)
        if document.pop("oauthAccount", None) is not None:
            write_atomically(config / _DOCUMENT, json.dumps(document).encode())
    return True


def prepare_repository(folder: Path) -> None:
    """Make the session's folder a git repository of its own, so that nothing above it leaks in.

    Runs no code of the folder: no templates, no hooks, no configuration of the account. An
    existing repository is left alone.

    Raises:
        MissingProgramError: git is missing or fails.
        StorageError: Something that is not a folder is in the way.
    """
    git = folder / ".git"
    if git.is_symlink() or (git.exists() and not git.is_dir()):
        raise StorageError(f"{git} is not a folder.", remedy=f"rm {git}")
    if (git / "HEAD").is_file():
        return
    command = ["git", "init", "--quiet", "--template=", "--initial-branch=main", str(folder)]
    try:
        answer = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace",
            timeout=_GIT_TIMEOUT_S, env=_git_environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_git(folder, str(error)) from error
    if answer.returncode != 0:
        raise _no_git(folder, answer.stderr.strip()[:200])


def _no_git(folder: Path, reason: str) -> MissingProgramError:
    return MissingProgramError(
        f"git cannot make a repository in {folder}: {reason}.", remedy="apt-get install git"
    )


def _git_environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }


@contextlib.contextmanager
def _locked(config: Path) -> Iterator[None]:
    """One writer of a configuration folder; the lock lies beside it, out of the pane's reach."""
    path = config.with_name(f".{config.name}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not wait_for(lambda: try_lock(handle), deadline_s=10):
            raise ConflictError(
                f"Another process is preparing {config} for more than 10 s.",
                remedy="Run it again in a moment.",
            )
        yield
    finally:
        os.close(handle)


def _read(config: Path) -> dict[str, Json]:
    """What the CLI wrote so far; an unreadable document counts as none."""
    content = read_regular(config, _DOCUMENT, limit=_LIMIT)
    return _object(content)


def _object(content: bytes | None) -> dict[str, Json]:
    try:
        document: Json = msgspec.json.decode(content or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return document if isinstance(document, dict) else {}


def _merge(document: dict[str, Json], folder: Path, api_key: str | None) -> None:
    document["hasCompletedOnboarding"] = True
    document.setdefault("lastOnboardingVersion", TESTED_VERSION)
    document.setdefault("theme", "dark")
    document["hasSeenAutoDefaultNotice"] = True
    document["autoUpdates"] = False
    project = _child(_child(document, "projects"), str(folder.resolve()))
    project["hasTrustDialogAccepted"] = True
    project["hasCompletedProjectOnboarding"] = True
    for name in _GRANTS:
        project.pop(name, None)
    for name in ("bypassPermissionsModeAccepted", "mcpServers"):
        document.pop(name, None)
    if api_key is not None:
        responses = _child(document, "customApiKeyResponses")
        approved = responses.get("approved")
        tails: list[Json] = approved if isinstance(approved, list) else []
        tail = api_key[-_KEY_TAIL:]
        responses["approved"] = tails if tail in tails else [*tails, tail]
        responses["rejected"] = []


def _child(document: dict[str, Json], name: str) -> dict[str, Json]:
    """The object of that name, made where there is none."""
    value = document.get(name)
    if not isinstance(value, dict):
        value = document[name] = {}
    return value
