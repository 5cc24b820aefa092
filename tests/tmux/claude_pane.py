"""A pane for tests of the real CLI: one tmux of its own, one session folder, one scripted model."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from core.clock import wait_for
from core.paths import CHECKOUT, SessionPaths, library_folder

T = TypeVar("T")


def make_session(root: Path, name: str = "sess_20260112_142233") -> SessionPaths:
    """A session folder as the product makes it, templates included."""
    user = root / "users" / "7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa"
    paths = SessionPaths(
        root=user / "sessions" / name,
        claude_config=user / "claude" / name,
        repository=user / "releases" / f"{name}.git",
    )
    for folder in (paths.root, *paths.folders()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    templates = library_folder() / "templates"
    shutil.copy(templates / "settings.json", paths.claude / "settings.json")
    (paths.claude / "hooks").mkdir(exist_ok=True)
    shutil.copy(templates / "hooks" / "event.sh", paths.claude / "hooks" / "event.sh")
    (paths.claude / "CLAUDE.md").write_text("You build one web site.\n")
    return paths


@dataclass
class Pane:
    """One tmux server with one pane."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="tbc-")))

    @property
    def base(self) -> list[str]:
        return ["tmux", "-S", str(self.folder / "s"), "-f", os.devnull]

    def start(self, argv: Sequence[str]) -> None:
        environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        subprocess.run(
            [*self.base, "start-server", ";", "set", "-g", "remain-on-exit", "on", ";",
             "new-session", "-d", "-s", "t", "-x", "120", "-y", "40", *argv],
            check=True, timeout=20, env=environ, capture_output=True,
        )  # fmt: skip

    def tmux(self, *arguments: str, text: str | None = None) -> str:
        done = subprocess.run(
            [*self.base, *arguments], check=True, timeout=20, capture_output=True, text=True,
            input=text,
        )  # fmt: skip
        return done.stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "t")

    def send(self, text: str) -> None:
        name = f"b{uuid.uuid4().hex[:8]}"
        self.tmux("load-buffer", "-b", name, "-", text=text)
        self.tmux(
            "paste-buffer", "-p", "-r", "-d", "-b", name, "-t", "t", ";", "send-keys", "-t", "t",
            "Enter",
        )  # fmt: skip

    def key(self, name: str) -> None:
        self.tmux("send-keys", "-t", "t", name)

    def pid(self) -> int:
        return int(self.tmux("display", "-p", "-t", "t", "#{pane_pid}"))

    def is_dead(self) -> bool:
        return self.tmux("display", "-p", "-t", "t", "#{pane_dead}").strip() == "1"

    def close(self) -> None:
        subprocess.run([*self.base, "kill-server"], check=False, timeout=20, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def until(probe: Callable[[], T | None], what: str, pane: Pane, deadline_s: float = 20) -> T:
    """Wait for a condition; the failure shows the screen."""
    answer = wait_for(probe, deadline_s=deadline_s, interval_s=0.05)
    assert answer, f"never true: {what}\n{pane.screen()}"
    return answer


def claude_path() -> str:
    """PATH with the pinned CLI of the checkout."""
    return f"{CHECKOUT}/.tools/node_modules/.bin:{os.environ['PATH']}"
