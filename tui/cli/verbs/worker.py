"""`worker`: starts the worker, or is the worker."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Outcome, emit
from tui.cli.parsing import option, verb

if TYPE_CHECKING:
    from core.paths import RuntimePaths

READY_DEADLINE_S = 60.0


@verb("worker", option("--foreground", is_flag=True, text="Stay, and log on stderr."))
def worker(call: Call, *, foreground: bool) -> Outcome:
    from tmux_bridge.launcher import holder  # noqa: PLC0415 - not for help

    running = holder(call.runtime.worker_lock)
    if foreground:
        return _stay(call, running)
    if running is None:
        call.say("worker: starting")
    pid = call.services.environment.worker.ensure_running()
    return _said(pid, started=pid != running)


def _stay(call: Call, running: int | None) -> Outcome:
    """Be the worker until a signal ends it. The document is printed when it listens."""
    from core.errors import ConflictError  # noqa: PLC0415 - not for help

    if running is not None:
        raise ConflictError(
            f"A worker runs already, as process {running}.", remedy=f"kill {running}",
            code="worker_runs",
        )  # fmt: skip
    from tmux_bridge.worker import main  # noqa: PLC0415 - only the worker itself needs the engine

    arguments = ["--foreground", "--data-dir", str(call.root.path)]
    if call.config_file is not None:
        arguments += ["--config", str(call.config_file)]
    threading.Thread(target=_announce, args=(call, call.runtime), daemon=True).start()
    return Outcome(exit=main(arguments), is_printed=True)


def _announce(call: Call, runtime: RuntimePaths) -> None:
    from core.clock import wait_for  # noqa: PLC0415
    from tmux_bridge.launcher import holder  # noqa: PLC0415

    def listens() -> bool:
        return holder(runtime.worker_lock) == os.getpid() and runtime.worker_socket.exists()

    if wait_for(listens, deadline_s=READY_DEADLINE_S):
        emit(call, _said(os.getpid(), started=True))


def _said(pid: int, *, started: bool) -> Outcome:
    text = f"worker {pid} started" if started else f"worker {pid} runs already"
    return Outcome(
        data={"pid": pid, "started": started}, human=lambda _terminal: [text], result=str(pid),
        records=lambda: [[pid, started]],
    )  # fmt: skip


COMMANDS = {"worker": worker}
