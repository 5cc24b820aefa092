"""What a worker that did not come up said, out of its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConflictError
from core.paths import DataRoot, RuntimePaths
from tmux_bridge import launcher

LOG = """2026-11-27 23:40:41,100 INFO __main__ worker starts {'pid': 7}
The engine's file /x/engine.sqlite cannot be used.
fix: Move it away.
2026-11-27 23:40:43,705 INFO tmux_bridge.worker_parts views mended {'count': 0}
"""


def test_the_error_is_told_also_when_another_thread_logs_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "START_DEADLINE_S", 0.0)
    runtime = RuntimePaths(tmp_path / "run")
    runtime.path.mkdir(mode=0o700)
    runtime.worker_log.write_text(LOG)
    monkeypatch.setattr(launcher.WorkerLauncher, "_spawn", lambda _self: None)
    with pytest.raises(ConflictError, match=r"does not come up: The engine's file /x/engine"):
        launcher.WorkerLauncher(DataRoot(tmp_path), runtime).ensure_running()
