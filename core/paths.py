"""Every location the product uses. Nobody else joins path segments of its folders."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "tmux-builder"
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPaths:
    """One session's folder tree, and the two places of it that lie outside a pane's reach."""

    root: Path
    claude_config: Path
    repository: Path

    @property
    def claude(self) -> Path:
        return self.root / ".claude"

    @property
    def agents(self) -> Path:
        return self.claude / "agents"

    @property
    def skills(self) -> Path:
        return self.claude / "skills"

    @property
    def injection_lock(self) -> Path:
        return self.claude / "injection.lock.json"

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def deployment(self) -> Path:
        return self.root / "deployment"

    @property
    def config(self) -> Path:
        return self.deployment / "config.json"

    @property
    def tests(self) -> Path:
        return self.deployment / "tests"

    @property
    def own_tests(self) -> Path:
        return self.tests / "e2e"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def prompts(self) -> Path:
        return self.root / "prompts"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def hooks(self) -> Path:
        return self.state / "hooks"

    @property
    def requests(self) -> Path:
        return self.state / "requests"

    @property
    def answers(self) -> Path:
        """What the worker answers to the pane's requests; the pane can only read it."""
        return self.state / "answers"

    @property
    def approvals(self) -> Path:
        """The operator's answers to what Claude asked; the pane can only read it."""
        return self.state / "approvals"

    def folders(self) -> tuple[Path, ...]:
        """Every folder a new session has, parents first."""
        return (
            self.claude,
            self.agents,
            self.skills,
            self.source,
            self.deployment,
            self.tests,
            self.own_tests,
            self.logs,
            self.prompts,
            self.output,
            self.state,
            self.hooks,
            self.requests,
            self.answers,
            self.approvals,
        )

    def run_log(self, run: int) -> Path:
        return self.logs / f"run-{run:03d}.jsonl"


@dataclass(frozen=True, slots=True)
class DataRoot:
    """The folder that holds one folder per user, the store and the exported views."""

    path: Path

    @property
    def registry(self) -> Path:
        return self.path / "registry.json"

    @property
    def store(self) -> Path:
        return self.path / "state.sqlite"

    @property
    def engine(self) -> Path:
        return self.path / "engine.sqlite"

    @property
    def executions(self) -> Path:
        return self.path / "executions"

    @property
    def views_lock(self) -> Path:
        """Held by whoever writes the exported views."""
        return self.path / ".views.lock"

    @property
    def last_session(self) -> Path:
        """The session that `-` means."""
        return self.path / ".last-session"

    @property
    def sites(self) -> Path:
        """What the local host serves: one folder per session, releases inside it."""
        return self.path / "sites"

    def execution(self, execution_id: str) -> Path:
        return self.executions / f"{execution_id}.json"

    def user(self, user_id: str) -> Path:
        return self.path / user_id

    def user_document(self, user_id: str) -> Path:
        return self.user(user_id) / "user.json"

    def sessions(self, user_id: str) -> Path:
        return self.user(user_id) / "sessions"

    def session(self, user_id: str, session_id: str) -> SessionPaths:
        user = self.user(user_id)
        return SessionPaths(
            root=user / "sessions" / session_id,
            claude_config=user / "claude" / session_id,
            repository=user / "releases" / f"{session_id}.git",
        )

    def variables(self, user_id: str, session_id: str) -> Path:
        """The variables of a local dynamic site's program, where no pane can reach."""
        return self.user(user_id) / "secrets" / f"{session_id}.json"

    def find_session(self, folder: Path) -> tuple[str, str] | None:
        """The (user_id, session_id) whose folder is `folder` or holds it; None outside of all."""
        try:
            parts = folder.resolve().relative_to(self.path.resolve()).parts
        except ValueError:
            return None
        if len(parts) >= 3 and parts[1] == "sessions":
            return parts[0], parts[2]
        return None


@dataclass(frozen=True, slots=True)
class RuntimePaths:
    """Sockets and locks of one data root, in a folder named after the root's real path."""

    path: Path

    @property
    def tmux_socket(self) -> Path:
        return self.path / "tmux.sock"

    @property
    def tmux_config(self) -> Path:
        return self.path / "tmux.conf"

    @property
    def tmux_clients(self) -> Path:
        """One small file per control client, so that a killed owner's client can be ended."""
        return self.path / "tmux-clients"

    @property
    def worker_lock(self) -> Path:
        return self.path / "worker.lock"

    @property
    def worker_socket(self) -> Path:
        return self.path / "worker.sock"

    @property
    def worker_log(self) -> Path:
        return self.path / "worker.log"

    @property
    def host_lock(self) -> Path:
        return self.path / "host.lock"

    @property
    def host_socket(self) -> Path:
        return self.path / "host.sock"

    @property
    def host_log(self) -> Path:
        return self.path / "host.log"

    @property
    def secrets(self) -> Path:
        """0600 files with tokens that one process reads at its start."""
        return self.path / "secrets"


def data_root(flag: str | None, environ: Mapping[str, str]) -> DataRoot:
    """Where the users live: flag, environment, the checkout's `users/`, then XDG's data folder."""
    chosen = flag or environ.get("TMUX_BUILDER_DATA_DIR")
    if chosen:
        return DataRoot(Path(chosen).expanduser().absolute())
    if (CHECKOUT / "pyproject.toml").is_file():
        return DataRoot(CHECKOUT / "users")
    return DataRoot(_xdg(environ, "XDG_DATA_HOME", ".local/share") / PROGRAM / "users")


def runtime_paths(root: DataRoot, environ: Mapping[str, str]) -> RuntimePaths:
    """The runtime folder of this data root; nothing is created here."""
    key = hashlib.sha256(os.fsencode(root.path.resolve())).hexdigest()[:12]
    return RuntimePaths(runtime_base(environ) / key)


def runtime_base(environ: Mapping[str, str]) -> Path:
    """The folder all data roots of this account share for their sockets and locks."""
    if chosen := environ.get("TMUX_BUILDER_RUNTIME_DIR"):
        return Path(chosen).expanduser().absolute()
    if xdg := environ.get("XDG_RUNTIME_DIR"):
        return Path(xdg) / PROGRAM
    return Path(tempfile.gettempdir()) / f"{PROGRAM}-{os.getuid()}"


def config_folder(environ: Mapping[str, str]) -> Path:
    return _xdg(environ, "XDG_CONFIG_HOME", ".config") / PROGRAM


def state_folder(environ: Mapping[str, str]) -> Path:
    return _xdg(environ, "XDG_STATE_HOME", ".local/state") / PROGRAM


def cache_folder(environ: Mapping[str, str]) -> Path:
    return _xdg(environ, "XDG_CACHE_HOME", ".cache") / PROGRAM


def library_folder() -> Path:
    """The shipped agents, skills, rules and templates."""
    return CHECKOUT / "library"


def _xdg(environ: Mapping[str, str], name: str, fallback: str) -> Path:
    value = environ.get(name)
    return Path(value) if value else Path(environ.get("HOME", "~")).expanduser() / fallback
