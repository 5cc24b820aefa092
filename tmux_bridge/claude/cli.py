"""Where the Claude CLI is and which version it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import MissingProgramError
from core.paths import CHECKOUT

TESTED_VERSION = "2.1.330"
INSTALL = f"npm install -g @anthropic-ai/claude-code@{TESTED_VERSION}"

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
