"""Every test gets an account of its own, short runtime folders, and an end for its processes."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import wait_for
from core.paths import DataRoot, RuntimePaths, runtime_paths
from tmux_bridge.launcher import holder
from tmux_bridge.tmux.server import TmuxServer

CHECKOUT = Path(__file__).resolve().parent.parent
PINNED = CHECKOUT / ".tools" / "node_modules" / ".bin"
FOREIGN = ("ANTHROPIC_", "CLAUDE", "AWS_", "AZURE_", "TMUX", "XDG_", "TMUX_BUILDER_", "GIT_")

ASKED_FOR = ("faults", "deep", "live")
"""Markers of tests that run only where `-m` names them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what nobody asked for, so that a plain run is quick and costs nothing."""
    asked = str(config.getoption("markexpr", default=""))
    hidden = [name for name in ASKED_FOR if name not in asked]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in hidden)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def own_account(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the developer's home, credentials, tmux or settings."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    if PINNED.is_dir():
        monkeypatch.setenv("PATH", f"{PINNED}{os.pathsep}{os.environ['PATH']}")
    return home


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for socket names (107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def place(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataRoot]:
    """A data root with a runtime folder of its own; whatever runs for it is ended afterwards."""
    monkeypatch.setenv("TMUX_BUILDER_RUNTIME_DIR", str(short_folder / "run"))
    monkeypatch.setenv("TMUX_BUILDER_DATA_DIR", str(short_folder / "users"))
    root = DataRoot(short_folder / "users")
    root.path.mkdir(mode=0o700)
    yield root
    end_everything(runtime_paths(root, os.environ))


def end_everything(runtime: RuntimePaths) -> None:
    """End worker, local host and tmux of one data root, by the ids in their locks."""
    for lock in (runtime.worker_lock, runtime.host_lock):
        end_holder(lock)
    if runtime.path.is_dir():
        TmuxServer(runtime).stop()


def end_holder(lock: Path) -> None:
    pid = holder(lock)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    if not wait_for(lambda: holder(lock) is None, deadline_s=15):
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: holder(lock) is None, deadline_s=5)
