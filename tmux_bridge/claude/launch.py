"""The command that a pane runs to start Claude: contained, with an environment made from nothing.

No secret is in an argument list or in tmux's environment: `library/templates/pane.sh` reads them
from a 0600 file outside the pane's reach and removes it before Claude starts.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import MissingProgramError, StorageError
from core.files import make_private_folder, write_atomically
from core.paths import CHECKOUT, SessionPaths, library_folder
from core.sandbox import (
    SYSTEM,
    Sandbox,
    bubblewrap_arguments,
    python_folders,
    require_bubblewrap,
)
from tmux_bridge.claude.cli import CREDENTIALS, ClaudeProgram
from tmux_bridge.claude.seed import carry_login, home_folder, prepare_repository, seed_config

MODE = "dontAsk"
MAX_RETRIES = 6
SESSION_VARIABLE = "TMUX_BUILDER_SESSION_DIR"
"""Set inside a pane to the session's folder: a `tmux-builder` there asks, it does not act."""

_SCRIPTED_TOKEN = "scripted-model"  # noqa: S105 - a word, not a secret
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_PASSED_ON = (
    *CREDENTIALS,
    "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_SMALL_FAST_MODEL",
    "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_SKIP_BEDROCK_AUTH", "ANTHROPIC_BEDROCK_BASE_URL",
    "AWS_REGION", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_SKIP_VERTEX_AUTH",
    "ANTHROPIC_VERTEX_BASE_URL", "ANTHROPIC_VERTEX_PROJECT_ID", "CLOUD_ML_REGION",
    "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy",
    "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "TZ",
)  # fmt: skip
"""The operator's variables that a Claude may have; cloud credentials are not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeLaunch:
    """What one start needs.

    Attributes:
        claude_session_id: The id that the CLI gets, or whose conversation it goes on with.
        resume: Go on with a conversation that is on disk.
        model_url: A Messages API other than the vendor's. On loopback it is the scripted model:
            no credential of the operator goes there.
        environ: The operator's environment, read through an allow list.
        isolation: Run in bubblewrap; without it only the CLI's own rules hold.
        mode: The CLI's permission mode. `dontAsk` never opens a dialog, not even for a question;
            in `manual` Claude can ask.
        max_retries: How often the CLI tries again when the service fails; 6 are about 30 s.
    """

    paths: SessionPaths
    program: ClaudeProgram
    claude_session_id: str
    resume: bool = False
    model_url: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    isolation: bool = True
    mode: str = MODE
    max_retries: int = MAX_RETRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchCommand:
    """What the pane runs. The file is gone once Claude has started."""

    argv: tuple[str, ...]
    start_file: Path

    def discard(self) -> None:
        """The pane was never made: remove what it would have read."""
        with contextlib.suppress(OSError):
            self.start_file.unlink()


def prepare_launch(launch: ClaudeLaunch, secrets: Path) -> LaunchCommand:
    """Seed the CLI's settings, make the repository, write the start file.

    Args:
        launch: What to start.
        secrets: The private folder of the runtime folder for files that one process reads.

    Raises:
        MissingProgramError: There is no bubblewrap though isolation is asked for, or no git.
        StorageError: A file cannot be written.
    """
    bubblewrap = require_bubblewrap() if launch.isolation else None
    _require_folders(launch.paths)
    environment = claude_environment(launch)
    prepare_repository(launch.paths.root)
    seed_config(
        launch.paths.claude_config,
        launch.paths.root,
        api_key=environment.get("ANTHROPIC_API_KEY"),
    )
    if not any(name in environment for name in CREDENTIALS):
        carry_login(launch.paths.claude_config, launch.environ)
    make_private_folder(secrets)
    start_file = secrets / f"pane-{uuid.uuid4().hex}"
    script = str(_pane_script())
    if bubblewrap is None:
        write_atomically(start_file, _shell_lines(launch.paths.root, environment))
        argv = ["/usr/bin/env", "-i", "/bin/sh", script, "plain", str(start_file)]
    else:
        write_atomically(start_file, _contained(launch, environment))
        argv = ["/bin/sh", script, "contained", str(start_file), bubblewrap]
    return LaunchCommand(argv=(*argv, *claude_arguments(launch)), start_file=start_file)


def claude_arguments(launch: ClaudeLaunch) -> list[str]:
    """The CLI's own argument list; nothing in it is secret."""
    option = "--resume" if launch.resume else "--session-id"
    return [
        str(launch.program.executable),
        option, launch.claude_session_id,
        "--permission-mode", launch.mode,
        "--strict-mcp-config",
    ]  # fmt: skip


def claude_environment(launch: ClaudeLaunch) -> dict[str, str]:
    """Every variable that Claude gets, and no other."""
    config = launch.paths.claude_config
    environment = {
        "HOME": str(home_folder(config)),
        "PATH": _search_path(),
        "SHELL": "/bin/sh",
        "TERM": "tmux-256color",
        "LANG": "C.UTF-8",
        "CLAUDE_CONFIG_DIR": str(config),
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_BUG_COMMAND": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN": "1",
        "CLAUDE_CODE_MAX_RETRIES": str(launch.max_retries),
        "GIT_OPTIONAL_LOCKS": "0",
        SESSION_VARIABLE: str(launch.paths.root),
    }
    if launch.model_url is not None:
        environment["ANTHROPIC_BASE_URL"] = launch.model_url
        if urlsplit(launch.model_url).hostname in _LOOPBACK:
            return {**environment, "ANTHROPIC_AUTH_TOKEN": _SCRIPTED_TOKEN, "NO_PROXY": "*"}
    passed_on = {name: launch.environ[name] for name in _PASSED_ON if launch.environ.get(name)}
    return {**passed_on, **environment}


def claude_sandbox(launch: ClaudeLaunch) -> Sandbox:
    """What Claude and everything it runs may see and change.

    Raises:
        StorageError: A folder that has to be visible holds the data root.
    """
    paths = launch.paths
    shown = (*_product_folders(), *_outside_system(launch.program.folders))
    for folder in (*shown, *map(Path, SYSTEM)):
        if paths.root.resolve().is_relative_to(folder.resolve()):
            raise StorageError(
                f"The data root lies inside {folder}, which every pane can read.",
                remedy="Choose another data root with --data-dir.",
            )
    return Sandbox(
        folder=paths.root,
        read_only=(*shown, paths.root),
        writable=(
            paths.source, paths.own_tests, paths.output, paths.hooks, paths.requests,
            paths.claude_config,
        ),
        keep_terminal=True,
    )  # fmt: skip


def _contained(launch: ClaudeLaunch, environment: Mapping[str, str]) -> bytes:
    arguments = bubblewrap_arguments(claude_sandbox(launch))
    arguments.append("--clearenv")
    for name, value in environment.items():
        arguments += ["--setenv", name, value]
    if any("\0" in argument for argument in arguments):
        raise StorageError(
            "A variable of the environment holds a NUL character.",
            remedy="Unset it and start the session again.",
        )
    return b"".join(os.fsencode(argument) + b"\0" for argument in arguments)


def _shell_lines(folder: Path, environment: Mapping[str, str]) -> bytes:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines.append(f"cd {shlex.quote(str(folder))} || exit 1")
    return os.fsencode("\n".join(lines) + "\n")


def _require_folders(paths: SessionPaths) -> None:
    for folder in (paths.root, *paths.folders()):
        if folder.is_symlink() or not folder.is_dir():
            raise StorageError(
                f"{folder} is missing or is not a folder, so Claude cannot start there.",
                remedy=f"mkdir -p {shlex.quote(str(folder))}",
            )


def _pane_script() -> Path:
    script = library_folder() / "templates" / "pane.sh"
    if not script.is_file():
        raise MissingProgramError(
            f"{script} is missing from the installation.", remedy="Install tmux-builder again."
        )
    return script


def _product_folders() -> tuple[Path, ...]:
    """What `tmux-builder` needs inside a pane: its packages and its Python, not the data root."""
    packages = ("core", "tmux_bridge", "tui", "library", "pyproject.toml")
    own = [CHECKOUT / name for name in packages if (CHECKOUT / name).exists()]
    return _outside_system((*own, *python_folders()))


def _outside_system(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(
        folder for folder in folders if not any(folder.is_relative_to(top) for top in SYSTEM)
    )


def _search_path() -> str:
    """The system's programs first, then ours, so that a pane's `python3` is not the product's."""
    return f"/usr/local/bin:/usr/bin:/bin:{Path(sys.prefix) / 'bin'}"
