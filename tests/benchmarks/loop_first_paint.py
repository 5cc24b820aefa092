"""First paint of the real app beside Textual's hello-world, in the same kind of terminal."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from core.clock import wait_for
from tests.benchmarks.places import new_place
from tests.benchmarks.rows import Measure, Row, median, say
from tests.tmux.claude_pane import Pane

ROUNDS, BAR = 9, 1.5
HELLO = """
from textual.app import App, ComposeResult
from textual.widgets import Static

class Hello(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("Hello, world")

Hello().run()
"""


def measure(*, full: bool) -> list[Row]:
    rounds = ROUNDS * (2 if full else 1)
    ours: list[float] = []
    hello: list[float] = []
    with new_place() as place:
        peer = place.path.parent / "hello.py"
        peer.write_text(HELLO)
        app = [str(Path(sys.executable).parent / "tmux-builder"), "tui"]
        for number in range(rounds + 1):
            ours.append(paint(app))
            hello.append(paint([sys.executable, str(peer)]))
            say(f"  {number}: app {ours[-1]:.2f} s, hello {hello[-1]:.2f} s")
    ours, hello = ours[1:], hello[1:]
    return [
        Row(
            name="app_first_paint_vs_hello", value=median(ours) / median(hello), unit="ratio",
            limit=BAR,
            peers={
                "app_ms": round(median(ours) * 1000), "hello_ms": round(median(hello) * 1000),
            },
        )
    ]  # fmt: skip


def paint(command: list[str]) -> float:
    """Seconds from the start of the program to the first cell that is not blank."""
    passed = ("PATH", "HOME", "TMUX_BUILDER_RUNTIME_DIR", "TMUX_BUILDER_DATA_DIR")
    words = [f"{name}={os.environ[name]}" for name in passed]
    pane = Pane()
    try:
        # The server runs already when the clock starts; both programs come into a waiting one.
        pane.start(["/bin/sleep", "60"])
        began = time.monotonic()
        pane.tmux(
            "new-window", "-t", "t:1", "env", "-i", *words, "LANG=C.UTF-8", "TERM=tmux-256color",
            *command,
        )  # fmt: skip
        painted = wait_for(
            lambda: pane.tmux("capture-pane", "-p", "-t", "t:1").strip() != "",
            deadline_s=30, interval_s=0.002,
        )  # fmt: skip
        if not painted:
            say("  nothing was painted within 30 s")
        return time.monotonic() - began
    finally:
        pane.close()


MEASURE = Measure(rows=("app_first_paint_vs_hello",), run=measure)
