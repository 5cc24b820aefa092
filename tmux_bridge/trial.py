"""A trial of tmux for the doctor: a server of its own, one pane that answers, and its end."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from core.clock import wait_for
from core.errors import ConflictError
from core.paths import DataRoot, RuntimePaths, runtime_base
from tmux_bridge.launcher import prepare_runtime
from tmux_bridge.tmux.panes import Panes
from tmux_bridge.tmux.server import TmuxServer

DEADLINE_S = 4.0
WORD = "tmux-builder-ok"


def try_tmux(root: DataRoot, environ: Mapping[str, str]) -> str:
    """Run one pane on a throw-away server beside the real one; what worked, in words.

    Raises:
        BuilderError: tmux is missing, too old, or does not do what it must.
    """
    runtime = RuntimePaths(runtime_base(environ) / f"try-{uuid.uuid4().hex[:8]}")
    prepare_runtime(runtime)
    server = TmuxServer(runtime)
    try:
        server.ensure_running()
        connection = server.connect()
        try:
            panes = Panes(connection, server)
            pane = panes.create("trial", ["/bin/echo", WORD], folder=Path(tempfile.gettempdir()))
            if not wait_for(lambda: WORD in _screen(panes, pane.pane_id), deadline_s=DEADLINE_S):
                raise ConflictError(
                    "A pane was made but its output never came.", remedy="tmux -V; update tmux."
                )
        finally:
            connection.close()
    finally:
        server.stop()
        shutil.rmtree(runtime.path, ignore_errors=True)
    return f"a pane of {root.path.name} answers on a private socket"


def _screen(panes: Panes, pane_id: str) -> str:
    return "\n".join(panes.capture(pane_id, colours=False))
