"""A data root of its own for one measurement; whatever runs for it is ended afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.paths import DataRoot, runtime_paths
from tests.conftest import end_everything


@contextmanager
def new_place() -> Iterator[DataRoot]:
    """A data root and runtime folder, named in this process's environment."""
    folder = Path(tempfile.mkdtemp(prefix="tbb-", dir="/tmp"))
    home = folder / "home"
    home.mkdir()
    changes = {
        "TMUX_BUILDER_RUNTIME_DIR": str(folder / "run"),
        "TMUX_BUILDER_DATA_DIR": str(folder / "users"),
        "HOME": str(home),
    }
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    root = DataRoot(folder / "users")
    root.path.mkdir(mode=0o700)
    try:
        yield root
    finally:
        end_everything(runtime_paths(root, os.environ))
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)
