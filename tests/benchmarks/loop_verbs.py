"""How light the light verbs are: their time beside an import, and what they never import."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.places import new_place
from tests.benchmarks.rows import Measure, Row, median

HEAVY = ("boto3", "azure", "playwright", "textual", "dbos", "sqlalchemy", "libtmux")
VERBS = (("--help",), ("user", "list"), ("session", "list"), ("status",))
ROUNDS, BAR = 15, 2.0
PROBE = """
import atexit, sys
def report():
    heavy = [name for name in {heavy!r} if name in sys.modules]
    sys.stderr.write("HEAVY:" + ",".join(heavy) + "\\n")
atexit.register(report)
sys.argv = ["tmux-builder", *{verb!r}]
from tui.cli import main
sys.exit(main())
"""


def script() -> str:
    """The installed console script, which is what an operator starts."""
    return str(Path(sys.executable).parent / "tmux-builder")


def measure(*, full: bool) -> list[Row]:
    rounds = ROUNDS * (2 if full else 1)
    with new_place():
        helps: list[float] = []
        clicks: list[float] = []
        for number in range(rounds + 2):
            ours = timed([script(), "--help"])
            peer = timed([sys.executable, "-c", "import click"])
            if number >= 2:
                helps.append(ours)
                clicks.append(peer)
        found = {" ".join(verb): heavy_imports(verb) for verb in VERBS}
    loaded = sorted(f"{verb}: {name}" for verb, names in found.items() for name in names)
    return [
        Row(
            name="help_vs_click", value=median(helps) / median(clicks), unit="ratio", limit=BAR,
            peers={
                "help_ms": round(median(helps) * 1000), "click_ms": round(median(clicks) * 1000),
            },
        ),
        Row(
            name="light_imports", value=len(loaded), unit="modules", limit=0,
            peers={"which": loaded, "verbs": len(VERBS)},
        ),
    ]  # fmt: skip


def timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def heavy_imports(verb: tuple[str, ...]) -> list[str]:
    """What a verb has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY, verb=list(verb))],
        check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env=dict(os.environ),
    )  # fmt: skip
    line = next(line for line in done.stderr.splitlines() if line.startswith("HEAVY:"))
    if done.returncode != 0:
        return [f"exit {done.returncode}"]
    return [name for name in line.removeprefix("HEAVY:").split(",") if name]


MEASURE = Measure(rows=("help_vs_click", "light_imports"), run=measure)
