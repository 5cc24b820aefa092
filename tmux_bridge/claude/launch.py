"""The command that a pane runs to start Claude: contained, with an environment made from nothing.

No secret is in an argument list or in tmux's environment: `library/templates/pane.sh` reads them
from a 0600 file outside the pane's reach and removes it before Claude starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import uuid
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from core.call_filter import filter_program
from core.errors import MissingProgramError, StorageError, UsageError
from core.files import make_private_folder, write_atomically
from core.login import claude_credentials
from core.paths import CHECKOUT, SessionPaths, library_folder
from core.sandbox import (
    SYSTEM,
    Sandbox,
    bubblewrap_arguments,
    python_folders,
    require_bubblewrap,
)
from tmux_bridge.claude.cli import ClaudeProgram
from tmux_bridge.claude.foreign_memory import memory_settings
from tmux_bridge.claude.seed import (
    drop_carried_login,
    home_folder,
    prepare_repository,
    seal_config,
    sealed_paths,
    seed_config,
)
from tmux_bridge.network_gate.hosts import (
    allowed_hosts,
    limited_environment,
    loopback_ports,
    upstream_proxy,
)

MODE = "dontAsk"
SUPERVISED_MODE = "manual"
"""What no rule allows is asked: the hook of the supervised settings makes an approval of it."""

MAX_RETRIES = 6
SESSION_VARIABLE = "TMUX_BUILDER_SESSION_DIR"
"""Set inside a pane to the session's folder: a `tmux-builder` there asks, it does not act."""

CALLS_DESCRIPTOR = 8
"""Where `pane.sh` opens the filter of system calls."""

_FORWARDER = (
    "import sys\nsys.path.append(sys.argv.pop(1))\n"
    "from tmux_bridge.network_gate.forwarder import main\nmain()"
)
_SCRIPTED_TOKEN = "scripted-model"  # noqa: S105 - a word, not a secret
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_PASSED_ON = (
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
        network_limited: The pane reaches the model and the package registries only.
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
    network_limited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchCommand:
    """What the pane runs. The files are gone once Claude has started."""

    argv: tuple[str, ...]
    start_file: Path

    def discard(self) -> None:
        """The pane was never made: remove what it would have read."""
        for path in (self.start_file, _calls_file(self.start_file), _gate_file(self.start_file)):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            _gate_folder(self.start_file).rmdir()


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
    if bubblewrap is None and launch.network_limited:
        raise UsageError(
            "The network of a session can be limited in bubblewrap only, and isolation is off.",
            remedy="tmux-builder config set isolation required, or config set network open",
        )
    _require_folders(launch.paths)
    environment = claude_environment(launch)
    prepare_repository(launch.paths.root)
    seed_config(
        launch.paths.claude_config,
        launch.paths.root,
        api_key=environment.get("ANTHROPIC_API_KEY"),
    )
    seal_config(launch.paths.claude_config)
    drop_carried_login(launch.paths.claude_config)
    make_private_folder(secrets)
    start_file = secrets / f"pane-{uuid.uuid4().hex}"
    command = LaunchCommand(argv=(), start_file=start_file)
    try:
        argv = _write_start(launch, environment, start_file, bubblewrap)
    except BaseException:
        command.discard()
        raise
    return replace(command, argv=(*argv, *claude_arguments(launch)))


def _write_start(
    launch: ClaudeLaunch, environment: Mapping[str, str], start_file: Path, bubblewrap: str | None
) -> list[str]:
    """The files that `pane.sh` reads, and how it is called, up to Claude's own arguments."""
    script = str(_pane_script())
    if bubblewrap is None:
        write_atomically(start_file, _shell_lines(launch.paths.root, environment))
        return ["/usr/bin/env", "-i", "/bin/sh", script, "plain", str(start_file)]
    calls = filter_program()
    if calls:
        write_atomically(_calls_file(start_file), calls)
    contained = [str(start_file), bubblewrap]
    if not launch.network_limited:
        write_atomically(start_file, _contained(launch, environment, start_file))
        return ["/bin/sh", script, "contained", *contained]
    allowed = allowed_hosts(environment, launch.environ)
    folder = _gate_folder(start_file)
    make_private_folder(folder)
    settings = {
        "folder": str(folder), "upstream": upstream_proxy(launch.environ),
        "allowed": [astuple(one) for one in allowed],
    }  # fmt: skip
    write_atomically(_gate_file(start_file), json.dumps(settings).encode())
    write_atomically(start_file, _contained(launch, limited_environment(environment), start_file))
    gated = ["/bin/sh", script, "gated", _python(), str(CHECKOUT), *contained]
    return [
        *gated, _python(), "-S", "-E", "-s", "-P", "-c", _FORWARDER, str(CHECKOUT), str(folder),
        loopback_ports(allowed),
    ]  # fmt: skip


def claude_arguments(launch: ClaudeLaunch) -> list[str]:
    """The CLI's own argument list; nothing in it is secret."""
    option = "--resume" if launch.resume else "--session-id"
    return [
        str(launch.program.executable),
        option, launch.claude_session_id,
        "--permission-mode", launch.mode,
        "--strict-mcp-config",
        "--settings", memory_settings(launch.paths.root),
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
        "PYTHONPYCACHEPREFIX": "/tmp/pycache",  # noqa: S108 - the pane's own, not source/
        SESSION_VARIABLE: str(launch.paths.root),
    }
    if launch.model_url is not None:
        environment["ANTHROPIC_BASE_URL"] = launch.model_url
        if urlsplit(launch.model_url).hostname in _LOOPBACK:
            return {**environment, "ANTHROPIC_AUTH_TOKEN": _SCRIPTED_TOKEN, "NO_PROXY": "*"}
    passed_on = {name: launch.environ[name] for name in _PASSED_ON if launch.environ.get(name)}
    return {**passed_on, **claude_credentials(launch.environ), **environment}


def claude_sandbox(launch: ClaudeLaunch, start_file: Path | None = None) -> Sandbox:
    """What Claude and everything it runs may see and change.

    Args:
        start_file: Of the start that is prepared: beside it lie the call filter and the gate.

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
    has_filter = start_file is not None and _calls_file(start_file).is_file()
    gate = (_gate_folder(start_file),) if start_file is not None and launch.network_limited else ()
    return Sandbox(
        folder=paths.root,
        read_only=(*shown, *_certificates(launch.environ), *gate, paths.root),
        writable=(
            paths.source, paths.own_tests, paths.output, paths.hooks, paths.requests,
            paths.claude_config,
        ),
        sealed=sealed_paths(paths.claude_config),
        keep_terminal=True,
        share_network=not launch.network_limited,
        calls=CALLS_DESCRIPTOR if has_filter else None,
    )  # fmt: skip


def _contained(launch: ClaudeLaunch, environment: Mapping[str, str], start_file: Path) -> bytes:
    arguments = bubblewrap_arguments(claude_sandbox(launch, start_file))
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


def _calls_file(start_file: Path) -> Path:
    return start_file.with_name(f"{start_file.name}.calls")


def _gate_file(start_file: Path) -> Path:
    return start_file.with_name(f"{start_file.name}.gate")


def _gate_folder(start_file: Path) -> Path:
    """Seen from inside: it holds the gate's socket and nothing else."""
    return start_file.with_name(start_file.name.replace("pane-", "gate-"))


def _certificates(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The operator's own certificate authorities, where they lie outside the system's folders."""
    named = (environ.get(name) for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"))
    files = tuple(Path(name) for name in named if name and Path(name).is_absolute())
    return _outside_system(tuple(file for file in files if file.is_file()))


def _python() -> str:
    return str(Path(sys.prefix).resolve() / "bin" / "python")


def _require_folders(paths: SessionPaths) -> None:
    with contextlib.suppress(OSError):
        # Sessions of an earlier version have none.
        paths.approvals.mkdir(mode=0o700)
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
