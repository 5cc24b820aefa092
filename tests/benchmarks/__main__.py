"""`python -m tests.benchmarks --group loop [--full]`: one JSON object per measured row.

Rows go to standard output, progress to standard error; the exit code is 6 when a bar is missed.
A group is the module of that name beside this file, with a function `measure`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

from tests.benchmarks.rows import Row, say
from tests.conftest import FOREIGN, PINNED

GROUPS = ("loop", "publish", "library")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--group", choices=GROUPS, default="loop")
    parser.add_argument("--full", action="store_true", help="the full counts")
    parser.add_argument("--only", help="rows whose name holds this text")
    options = parser.parse_args()
    clean_environment()
    group = importlib.import_module(f"tests.benchmarks.{options.group}")
    missed = []
    for measure in group.MEASURES:
        if options.only and not any(options.only in name for name in measure.rows):
            continue
        say(f"measuring {', '.join(measure.rows)}")
        for row in measure.run(full=options.full):
            sys.stdout.write(json.dumps(row.document(options.group)) + "\n")
            sys.stdout.flush()
            missed += [] if row.ok else [row.name]
    for name in missed:
        say(f"missed: {name}")
    return 6 if missed else 0


def clean_environment() -> None:
    """No login, tmux or setting of the developer takes part; the pinned CLI comes first."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]
    os.environ["PATH"] = os.pathsep.join(
        [str(PINNED), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    )


__all__ = ["Row", "main"]

if __name__ == "__main__":
    sys.exit(main())
