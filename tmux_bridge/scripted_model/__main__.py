"""`python -m tmux_bridge.scripted_model --script FILE`: the scripted model as its own process.

The first line on stdout is its base URL. It ends by itself: with its parent, or when nobody has
asked for long.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from core.errors import BuilderError
from tmux_bridge.scripted_model.script import load_script
from tmux_bridge.scripted_model.server import ScriptedModel

_LOOK_EVERY_S = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the parent is gone, the idle time is over or a signal comes."""
    options = _options(argv)
    born = _birth(options.parent_pid)  # before anyone is told that we serve
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    try:
        script = load_script(options.script)
        model = ScriptedModel(script, port=options.port, log=options.log)
    except BuilderError as error:
        sys.stderr.write(f"{error.message}\nfix: {error.remedy}\n")
        return int(error.exit_code)
    except OSError as error:
        sys.stderr.write(f"The port {options.port} cannot be used: {error.strerror}.\n")
        return 1
    sys.stdout.write(f"{model.start()}\n")
    sys.stdout.flush()
    _serve(model, options, born, ended)
    model.stop()
    return 0


def _serve(
    model: ScriptedModel, options: argparse.Namespace, born: str | None, ended: threading.Event
) -> None:
    while not ended.wait(_LOOK_EVERY_S):
        if options.parent_pid and (born is None or _birth(options.parent_pid) != born):
            return
        if time.monotonic() - model.last_request > options.idle_s:
            return


def _birth(pid: int | None) -> str | None:
    """What tells a living process from a later one with its number; None when there is none."""
    if not pid:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _birth_elsewhere(pid)
    return None if fields[0] == "Z" else fields[19]


def _birth_elsewhere(pid: int) -> str | None:
    if Path("/proc/self").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "alive"
    return "alive"


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tmux_bridge.scripted_model")
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--parent-pid", type=int)
    parser.add_argument("--idle-s", type=float, default=6 * 3600.0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
