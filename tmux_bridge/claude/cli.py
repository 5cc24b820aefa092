"""Where the Claude CLI is, which version it is, and whether anybody is logged in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.errors import LoginNeededError, MissingProgramError
from core.paths import CHECKOUT

TESTED_VERSION = "2.1.330"
INSTALL = f"npm install -g @anthropic-ai/claude-code@{TESTED_VERSION}"

CREDENTIALS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
)
"""Variables that are a login by themselves."""

_PROVIDERS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeProgram:
    """An installed CLI.

    Attributes:
        command: What an operator would call.
        executable: The file that really runs, links and wrappers resolved.
        folders: What a contained process has to see of the installation.
    """

    command: Path
    executable: Path
    folders: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStatus:
    """Whether Claude can reach its model. `method` says by what."""

    is_logged_in: bool
    method: str


class _AuthStatus(msgspec.Struct, rename="camel"):
    logged_in: bool = False
    auth_method: str = "stored login"


def find_program(command: str, environ: Mapping[str, str]) -> ClaudeProgram:
    """The CLI named by the setting `claude.command`, on PATH or in the checkout's `.tools`.

    Raises:
        MissingProgramError: There is none.
    """
    found = shutil.which(command, path=environ.get("PATH", os.defpath))
    own = CHECKOUT / ".tools" / "node_modules" / ".bin" / "claude"
    if found is None and command == "claude" and os.access(own, os.X_OK):
        found = str(own)
    if found is None:
        raise MissingProgramError(
            f"The Claude CLI ({command}) is not installed or not on PATH.", remedy=INSTALL
        )
    path = Path(found).absolute()
    executable = _executable(path)
    return ClaudeProgram(command=path, executable=executable, folders=_folders(executable))


def read_version(program: ClaudeProgram) -> str:
    """The version that the CLI says of itself, such as 2.1.330.

    Raises:
        MissingProgramError: It does not start or says something else.
    """
    answer = _run(program, ["--version"], {"PATH": os.defpath, "HOME": "/nonexistent"})
    found = re.match(r"\d+\.\d+\.\d+\S*", answer.stdout.strip())
    if answer.returncode != 0 or found is None:
        raise MissingProgramError(
            f"{program.command} does not start: {_first_line(answer.stderr or answer.stdout)}",
            remedy=INSTALL,
        )
    return found[0]


def login_status(program: ClaudeProgram, environ: Mapping[str, str]) -> LoginStatus:
    """Whether Claude is logged in, by the environment or by its own stored login. No request.

    Raises:
        MissingProgramError: The CLI does not start.
    """
    for name in (*CREDENTIALS, *_PROVIDERS):
        if environ.get(name):
            return LoginStatus(is_logged_in=True, method=name)
    answer = _run(program, ["auth", "status"], environ)
    try:
        status = msgspec.json.decode(answer.stdout.encode(), type=_AuthStatus)
    except (msgspec.MsgspecError, ValueError):
        return LoginStatus(is_logged_in=False, method="unknown")
    return LoginStatus(is_logged_in=status.logged_in, method=status.auth_method)


def require_login(program: ClaudeProgram, environ: Mapping[str, str]) -> LoginStatus:
    """As `login_status`.

    Raises:
        LoginNeededError: Nobody is logged in.
    """
    status = login_status(program, environ)
    if not status.is_logged_in:
        raise LoginNeededError(
            "Claude is not logged in, so it cannot write a site.",
            remedy=f"{program.command.name} auth login, or set ANTHROPIC_API_KEY.",
        )
    return status


def _run(
    program: ClaudeProgram, arguments: list[str], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [str(program.executable), *arguments],
            check=False, capture_output=True, text=True, errors="replace", timeout=30,
            stdin=subprocess.DEVNULL, env={"DISABLE_AUTOUPDATER": "1", **environ},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingProgramError(
            f"{program.command} does not start: {error}.", remedy=INSTALL
        ) from error


def _executable(command: Path) -> Path:
    """The native program behind links and the npm package's wrapper."""
    real = command.resolve()
    if _is_native(real):
        return real
    package = _package(real)
    if package is not None:
        for native in sorted(package.parent.glob("claude-code-*/claude")):
            if _is_native(native.resolve()):
                return native.resolve()
    return real


def _is_native(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == _ELF
    except OSError:
        return False


def _folders(executable: Path) -> tuple[Path, ...]:
    """The file alone, or its npm package where it is part of one."""
    package = _package(executable)
    return (executable,) if package is None else (package,)


def _package(path: Path) -> Path | None:
    for folder in path.parents:
        if folder.parent.name == "@anthropic-ai":
            return folder
    return None


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return f"{lines[0][:200]}." if lines else "it said nothing."
