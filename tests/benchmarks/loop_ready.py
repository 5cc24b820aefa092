"""From the start of a session to its prompt, beside a bare `claude` in a bare tmux."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from core.paths import DataRoot
from tests.benchmarks.places import new_place
from tests.benchmarks.rows import Measure, Row, median, say
from tests.tmux.agents_bench import Bench, bench_on, running
from tests.tmux.claude_pane import Pane, until
from tmux_bridge.agents.screen import composer_is_drawn
from tmux_bridge.claude.cli import find_program
from tmux_bridge.scripted_model import Script, ScriptedModel

ROUNDS = 5
BAR = 2.0


def measure(*, full: bool) -> list[Row]:
    rounds = ROUNDS * (3 if full else 1)
    ours: list[float] = []
    bare: list[float] = []
    with (
        new_place() as place,
        running(ScriptedModel(Script(name="ready"))) as model,
        bench_on(place) as bench,
    ):
        start_ours(bench, model)
        start_bare(place, model)
        for number in range(rounds):
            ours.append(start_ours(bench, model))
            bare.append(start_bare(place, model))
            say(f"  {number + 1}: ours {ours[-1]:.2f} s, bare {bare[-1]:.2f} s")
    return [
        Row(
            name="ready_vs_bare_claude", value=median(ours) / median(bare), unit="ratio",
            limit=BAR,
            peers={"ours_s": round(median(ours), 3), "bare_s": round(median(bare), 3)},
        )
    ]  # fmt: skip


def start_ours(bench: Bench, model: ScriptedModel) -> float:
    """Until the store says that the Claude can take a prompt, which is when it may be typed."""
    key = bench.session(model)
    began = time.monotonic()
    bench.team.pane.ensure_ready(key, deadline_s=40)
    took = time.monotonic() - began
    if not composer_is_drawn(bench.screen(key).splitlines()):
        say("  ready before the composer was drawn")
    bench.team.pane.stop(key)
    return took


def start_bare(place: DataRoot, model: ScriptedModel) -> float:
    """A new tmux server and a new Claude in a seeded folder, until its prompt is drawn."""
    folder = place.path.parent / f"bare-{time.monotonic_ns()}"
    config = folder / "config"
    config.mkdir(parents=True)
    site = folder / "site"
    site.mkdir()
    seed(config, site)
    program = find_program("claude", os.environ)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "tmux-256color",
        "LANG": "C.UTF-8", "CLAUDE_CONFIG_DIR": str(config), "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_AUTH_TOKEN": "bare", "DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN": "1",
    }  # fmt: skip
    words = [f"{name}={value}" for name, value in environment.items()]
    pane = Pane()
    try:
        began = time.monotonic()
        pane.start([
            "/usr/bin/env", "-i", "-C", str(site), *words, str(program.executable),
            "--permission-mode", "dontAsk",
        ])  # fmt: skip
        until(lambda: composer_is_drawn(pane.screen().splitlines()), "the prompt", pane, 40)
        return time.monotonic() - began
    finally:
        pane.close()


def seed(config: Path, site: Path) -> None:
    """What answers the first-run questions, as a person would have before."""
    project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    document = {
        "hasCompletedOnboarding": True, "theme": "dark", "hasSeenAutoDefaultNotice": True,
        "projects": {str(site.resolve()): project},
    }  # fmt: skip
    (config / ".claude.json").write_text(json.dumps(document))


MEASURE = Measure(rows=("ready_vs_bare_claude",), run=measure)
