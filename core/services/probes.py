"""The doctor's checks that need no pane: each looks at one thing and says what it saw.

Only `core` and the standard library are loaded; programs are asked for their version and no more.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from core.errors import BuilderError, LoginNeededError
from core.login import (
    MAKE_TOKEN,
    environment_login,
    has_interactive_login,
    read_login,
    stored_in,
)
from core.paths import CHECKOUT
from core.services.checkup import CheckState, Finding, Probe
from core.services.cloud_probes import cloud_probes
from core.services.context import Environment
from core.services.library import LibraryService

PROGRAM_TIMEOUT_S = 4.5
FREE_BYTES = 1 << 30
PYTHON_NEEDED = (3, 11)
TMUX_NEEDED = (3, 2)
_PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "TMPDIR", "CLAUDE_CONFIG_DIR",
    "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
)  # fmt: skip
_VERSION = re.compile(r"(\d+)\.(\d+)")


def core_probes(environment: Environment, wanted: Collection[str] = ()) -> dict[str, Probe]:
    """Every check by its id, in the order in which they are shown.

    Args:
        wanted: Purposes; the clouds among them are looked at.
    """
    look = _Look(environment)
    return {
        "python": python,
        "tmux.bin": look.tmux,
        "tmux.server": _not_wired("needs tmux"),
        "term": look.terminal,
        "term.nested": look.nested,
        "data": look.data,
        "bubblewrap": look.bubblewrap,
        "network": look.network,
        "claude.bin": look.claude,
        "claude.login": look.login,
        "chromium": look.chromium,
        "library": look.library,
        "clock": clock,
        **cloud_probes(environment, wanted),
    }


def python() -> Finding:
    found = platform.python_version()
    if sys.version_info[:2] >= PYTHON_NEEDED:
        return _ok(found)
    fix = "uv tool install --python 3.12 ."
    return _fault(CheckState.FAIL, f"python {found} is too old", "3.11 or newer", fix)


def clock() -> Finding:
    """The network is asked by verbs that say so only; local hosts do not need the right time."""
    return Finding(state=CheckState.SKIP, found="not compared: only cloud hosts need it")


class _Look:
    """The checks that need settings, folders or the environment."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._environ = environment.environ

    def tmux(self) -> Finding:
        fix = "sudo apt install tmux (mac: brew install tmux)"
        program = self._which("tmux")
        if program is None:
            return _fault(CheckState.FAIL, "tmux not found", "tmux 3.2 or newer", fix)
        said = self._run([program, "-V"])
        version = _version(said)
        if version is None or version < TMUX_NEEDED:
            return _fault(CheckState.FAIL, f"{said or 'no version'} at {program}", "tmux 3.2+", fix)
        return _ok(f"{said} at {program}")

    def terminal(self) -> Finding:
        size = shutil.get_terminal_size()
        encoding = (sys.stdout.encoding or "").lower().replace("-", "")
        found = f"{size.columns}x{size.lines}, {encoding or 'unknown encoding'}"
        need, fix = "a terminal of 80x24 with UTF-8", "enlarge it, or use the verbs"
        if not os.isatty(1) or not os.isatty(0):
            return _fault(CheckState.WARN, "not a terminal: the app needs one", need, fix)
        if self._environ.get("TERM", "dumb") == "dumb":
            return _fault(CheckState.WARN, "TERM is dumb", need, "export TERM=xterm-256color")
        if size.columns < 80 or size.lines < 24:
            return _fault(CheckState.WARN, f"the terminal is {found}", need, fix)
        if encoding != "utf8":
            return _fault(CheckState.WARN, found, need, "export LC_ALL=C.UTF-8")
        return _ok(found)

    def nested(self) -> Finding:
        if self._environ.get("TMUX"):
            return _ok("inside tmux: detach from a session with its prefix twice, then d")
        return _ok("not inside tmux")

    def data(self) -> Finding:
        path = self._environment.root.path
        try:
            info = path.stat()
            free = shutil.disk_usage(path).free
            _try_rename(path)
        except OSError as error:
            fix = "choose another folder with --data-dir"
            return _fault(CheckState.FAIL, f"{path}: {error.strerror}", "a writable folder", fix)
        mode = stat.S_IMODE(info.st_mode)
        if info.st_uid != os.getuid():
            fix = "choose another folder with --data-dir"
            return _fault(CheckState.FAIL, f"{path} is another account's", "your own folder", fix)
        if mode & 0o077:
            found = f"{path} is readable by others ({mode:04o})"
            return _fault(CheckState.FAIL, found, "0700", f"chmod 700 {path}")
        found = f"{path}  {mode:04o}, {free / (1 << 30):.1f} GB free"
        if free < FREE_BYTES:
            return _fault(CheckState.WARN, found, "1 GB free", "free some space on that disk")
        return _ok(found)

    def bubblewrap(self) -> Finding:
        from core.sandbox import require_bubblewrap  # noqa: PLC0415 - on use only

        if not self._environment.settings.isolation_required:
            found = "isolation is off: what Claude runs has your own rights"
            fix = "tmux-builder config set isolation required"
            return _fault(CheckState.WARN, found, "walls around every session", fix)
        try:
            return _ok(f"works, at {require_bubblewrap()}")
        except (BuilderError, subprocess.TimeoutExpired) as error:
            fix = error.remedy if isinstance(error, BuilderError) else "sudo apt install bubblewrap"
            need = "bubblewrap, which contains what Claude runs"
            return _fault(CheckState.FAIL, str(error), need, fix)

    def network(self) -> Finding:
        """What a session's Claude, and what it runs, may reach."""
        settings = self._environment.settings
        if not settings.network_limited:
            return _ok("open: sessions reach the internet and this computer's own ports")
        if settings.isolation_required:
            return _ok("limited: sessions reach the model, PyPI and npm, and nothing else")
        need = "isolation, without which no network can be limited"
        fix = "tmux-builder config set isolation required"
        return _fault(CheckState.FAIL, "limited, but isolation is off", need, fix)

    def claude(self) -> Finding:
        command = self._environment.settings.claude_command
        program = self._claude()
        fix = "npm install -g @anthropic-ai/claude-code"
        if program is None:
            return _fault(CheckState.FAIL, f"{command} not found", "the Claude Code CLI", fix)
        said = self._run([program, "--version"])
        if _version(said) is None:
            found = f"{program} does not say its version"
            return _fault(CheckState.FAIL, found, "a Claude Code CLI that runs", fix)
        return _ok(f"{said.split()[0]} at {program}")

    def login(self) -> Finding:
        """Sessions get a token, of the environment or the stored one; no request is spent.

        The CLI is asked only where there is none: its own login is seen, and not handed on.
        """
        variable = environment_login(self._environ)
        if variable is not None:
            return _ok(f"by {variable}")
        need = "a token for sessions"
        try:
            stored = read_login(self._environ)
        except LoginNeededError as error:
            found = error.message.removesuffix(".")
            return _fault(CheckState.FAIL, found, need, error.remedy)
        if stored is not None:
            return _ok(f"by the stored {stored.kind} in {stored_in(self._environ)}")
        found = "not logged in"
        if self._is_interactive():
            found = "an interactive login only, which is not handed to sessions"
        return _fault(CheckState.FAIL, found, need, MAKE_TOKEN)

    def chromium(self) -> Finding:
        from core.checks.chromium import REMEDY, find_chromium  # noqa: PLC0415 - on use only

        browser = find_chromium(self._environ)
        if browser is not None:
            return _ok(browser.label)
        found = "no Chromium: pictures and browser tests are skipped"
        return _fault(CheckState.WARN, found, "Chromium", REMEDY)

    def library(self) -> Finding:
        report = LibraryService(self._environment).validate()
        if not report.problems:
            return _ok(f"{report.agents} agents, {report.skills} skills, 0 problems")
        found = f"{report.problems[0]} ({len(report.problems)} problems)"
        return _fault(CheckState.FAIL, found, "a valid library", "tmux-builder library validate")

    def _is_interactive(self) -> bool:
        program = self._claude()
        if has_interactive_login(self._environ):
            return True
        return program is not None and _is_logged_in(self._run([program, "auth", "status"]))

    def _claude(self) -> str | None:
        """The configured command on PATH, or the one that the set-up put into the checkout."""
        command = self._environment.settings.claude_command
        own = CHECKOUT / ".tools" / "node_modules" / ".bin" / "claude"
        found = self._which(command)
        if found is None and command == "claude" and os.access(own, os.X_OK):
            return str(own)
        return found

    def _which(self, command: str) -> str | None:
        return shutil.which(command, path=self._environ.get("PATH", os.defpath))

    def _plain_environ(self) -> dict[str, str]:
        """What a program needs to find itself and its own settings: none of the logins."""
        return {name: self._environ[name] for name in _PASSED_ON if name in self._environ}

    def _run(self, command: Sequence[str]) -> str:
        """What a program prints, one line or JSON; empty where it does not run."""
        try:
            answer = subprocess.run(
                command, check=False, capture_output=True, text=True, errors="replace",
                timeout=PROGRAM_TIMEOUT_S, stdin=subprocess.DEVNULL, env=self._plain_environ(),
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return answer.stdout.strip()[:4000]


def _ok(found: str) -> Finding:
    return Finding(state=CheckState.OK, found=found)


def _fault(state: CheckState, found: str, need: str, fix: str) -> Finding:
    return Finding(state=state, found=found, need=need, fix=fix)


def _not_wired(found: str) -> Probe:
    """For a check that only the terminal's side can make, where it was not handed in."""
    return lambda: Finding(state=CheckState.SKIP, found=f"not looked at: {found}")


def _version(said: str) -> tuple[int, int] | None:
    match = _VERSION.search(said)
    return None if match is None else (int(match[1]), int(match[2]))


def _is_logged_in(said: str) -> bool:
    try:
        answer = json.loads(said)
    except ValueError:
        return False
    return isinstance(answer, Mapping) and answer.get("loggedIn") is True


def _try_rename(folder: Path) -> None:
    """A file can be made and renamed there; leaves nothing."""
    name = folder / f".doctor-{os.getpid()}-{os.urandom(4).hex()}"
    renamed = name.with_suffix(".renamed")
    try:
        name.write_bytes(b"")
        name.rename(renamed)
    finally:
        name.unlink(missing_ok=True)
        renamed.unlink(missing_ok=True)
