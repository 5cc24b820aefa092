"""Where the agent keeps a site on the instance's disk.

ROOT/
    agent.pyz            this program
    settings.json        port, user, deadline
    releases/<id>/       site/ with its files, release.json, and built.json once it can be started
    environments/<key>/  Python packages; releases with the same requirements share one
    current              a link to releases/<id>, replaced by rename: the truth about what is served
    variables.json       the program's variables, for root only; variables.next.json before they are
                         proven
    guard.json           whom the public port answers, for root only; everybody without it
    data/, cache/        what the program and its build may write
    app.log, app.log.1   what the program printed
    agent.sock           how commands talk to the agent that serves
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DEFAULT_ROOT = Path("/opt/tmux-builder")
DEFAULT_PORT = 80
DEFAULT_USER = "tmux-app"
START_S = 60.0
KEPT_RELEASES = 10
RELEASE_ID = re.compile(r"[0-9a-f]{8,64}")
SCRATCH = ".making-"


@dataclass(frozen=True)
class Settings:
    """How the site is served; without a user the program runs as the agent itself does."""

    port: int
    user: str | None
    start_s: float = START_S
    """How long a program may take to its first answer."""


class Place:
    """One agent's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.agent = root / "agent.pyz"
        self.releases = root / "releases"
        self.environments = root / "environments"
        self.variables = root / "variables.json"
        self.next_variables = root / "variables.next.json"
        self.guard = root / "guard.json"
        self.data = root / "data"
        self.cache = root / "cache"
        self.log = root / "app.log"
        self.socket = root / "agent.sock"
        self.lock = root / "command.lock"
        self._current = root / "current"
        self._settings = root / "settings.json"

    @property
    def is_installed(self) -> bool:
        return self._settings.exists()

    @property
    def is_system(self) -> bool:
        """Whether it is the instance's own place, not a scratch one."""
        return self.root == DEFAULT_ROOT

    def make(self) -> None:
        for folder in (self.root, self.releases, self.environments):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)

    def settings(self) -> Settings:
        known = read_json(self._settings) or {}
        return Settings(
            port=int(known.get("port", DEFAULT_PORT)),
            user=known.get("user"),
            start_s=float(known.get("start_s", START_S)),
        )

    def write_settings(self, settings: Settings) -> None:
        write_json(self._settings, asdict(settings), mode=0o644)

    def release(self, release_id: str) -> Path:
        return self.releases / release_id

    def site(self, release_id: str) -> Path:
        return self.release(release_id) / "site"

    def built(self, release_id: str) -> dict[str, Any] | None:
        """How the release was built, None where it cannot be started yet."""
        return read_json(self.release(release_id) / "built.json")

    def environment(self, release_id: str) -> Path | None:
        """The Python environment of a built release, None where it needs none."""
        key = (self.built(release_id) or {}).get("environment")
        return None if key is None else self.environments / str(key)

    def current(self) -> str | None:
        """The release that is served, or is to be served when the agent comes up."""
        try:
            name = os.readlink(self._current).rpartition("/")[2]  # noqa: PTH115 - Python 3.9
        except OSError:
            return None
        return name if RELEASE_ID.fullmatch(name) else None

    def switch(self, release_id: str) -> None:
        """Make it the current one, in one rename."""
        beside = self.root / ".current.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"releases/{release_id}")
        beside.replace(self._current)
        os.utime(self.release(release_id) / "built.json")
        flush_folder(self.root)

    def clear_leftovers(self) -> None:
        """Remove what a killed command left half-made; variables are staged anew by each."""
        self.next_variables.unlink(missing_ok=True)
        for folder in (self.root, self.releases):
            for leftover in folder.glob(f"{SCRATCH}*"):
                remove(leftover)

    def prune(self, keep: int = KEPT_RELEASES) -> None:
        """Remove all but the newest releases, and environments that no release needs."""
        stamped = [(self._served_at(folder), folder) for folder in self.releases.iterdir()]
        ordered = [folder for _at, folder in sorted(stamped, reverse=True)]
        for folder in ordered[keep:]:
            if folder.name != self.current():
                remove(folder)
        needed = {self.environment(folder.name) for folder in ordered}
        for folder in self.environments.iterdir():
            if folder not in needed:
                remove(folder)

    def _served_at(self, folder: Path) -> float:
        try:
            return (folder / "built.json").stat().st_mtime
        except OSError:
            return 0.0


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file of the agent's own, None where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_json(path: Path, content: dict[str, Any], *, mode: int) -> None:
    """Replace a file by a flushed temporary neighbour."""
    handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=SCRATCH)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    Path(name).replace(path)


def flush_folder(folder: Path) -> None:
    handle = os.open(str(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Delete a file or a tree that a customer's program may have written."""
    if path.is_dir() and not path.is_symlink():

        def unlock(_function: object, name: str, _error: object) -> None:
            parent = Path(name).parent
            if not parent.is_symlink():
                parent.chmod(0o700)
            if not Path(name).is_symlink() and Path(name).is_dir():
                Path(name).chmod(0o700)

        shutil.rmtree(str(path), onerror=unlock)
        shutil.rmtree(str(path), ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
