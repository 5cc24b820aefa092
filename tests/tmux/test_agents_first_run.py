"""What the CLI shows before it starts: a person is asked, nothing is typed, a brief waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import NeedsYouError
from core.models.execution import Json
from core.models.prompt import Prompt
from core.models.session import SessionKey
from core.models.states import AgentState, Needs, PromptKind, Receipt, TurnOutcome
from core.paths import DataRoot
from core.sandbox import has_bubblewrap
from tests.tmux.agents_bench import (
    Bench,
    bench_on,
    faking,
    has_claude,
    main_requests,
    running,
)
from tmux_bridge.agents.screen import MARK
from tmux_bridge.claude import seed, state
from tmux_bridge.scripted_model import Reply, Script, ScriptedModel
from tmux_bridge.tmux.panes import Key

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.skipif(not has_bubblewrap(), reason="bubblewrap cannot make a sandbox here"),
]
real = pytest.mark.claude


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    if not has_claude():
        pytest.skip("the Claude CLI is not installed: make test")
    script = Script(name="first run", default=Reply(text="ok"), turns=())
    with running(ScriptedModel(script)) as scripted:
        yield scripted


@pytest.fixture
def bench(place: DataRoot) -> Iterator[Bench]:
    with bench_on(place) as made:
        yield made


def texts(model: ScriptedModel) -> list[str]:
    return [record.text for record in main_requests(model)]


def test_a_first_run_screen_needs_the_operator_and_nothing_is_typed(
    place: DataRoot, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FIRST_RUN_S", 3.0)
    body = f"""echo "Do you trust this folder?"; echo "{MARK} 1. No, exit"
        IFS= read -r line; echo "GOT $line"; sleep 60"""
    with bench_on(place, faking(short_folder, body)) as bench:
        key = bench.session()
        prompt = bench.send(key, "go")
        agent = bench.wait_state(key, AgentState.NEEDS_YOU)
        assert agent.needs is Needs.LOGIN
        refused = bench.wait_receipt(prompt, Receipt.REFUSED)
        assert "Do you trust this folder?" in (refused.reason or "")
        assert refused.error_exit is None
        with pytest.raises(NeedsYouError):
            bench.team.pane.ensure_ready(key, deadline_s=5)
        assert "GOT" not in bench.screen(key)


def test_a_first_run_screen_that_gives_way_slowly_gets_one_digit_only(
    place: DataRoot, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FIRST_RUN_S", 3.0)
    one = "dd bs=1 count=1 2>/dev/null"
    body = f"""echo "Do you trust this folder?"; echo "{MARK} 1. Yes"; stty -echo -icanon
        {one} >/dev/null; sleep 3; timeout 1 {one} | od -c; echo over; sleep 2"""
    with bench_on(place, faking(short_folder, body)) as bench:
        key = bench.session()
        bench.send(key, "go")
        bench.wait_state(key, AgentState.NEEDS_YOU)
        bench.team.pane.answer(key, 1)
        screen = bench.screen(key)
    assert "over" in screen
    assert "0000001" not in screen


def at_first_screen(bench: Bench, key: SessionKey) -> Prompt:
    """A brief whose Claude shows a question of its own instead of starting."""
    brief = bench.send(key, "build it", PromptKind.BRIEF)
    agent = bench.wait_state(key, AgentState.NEEDS_YOU, deadline_s=40)
    assert (agent.needs, agent.source) == (Needs.LOGIN, "pane")
    bench.team.supervisor.ask(lambda: None)
    assert bench.prompt(brief).receipt is Receipt.QUEUED
    return brief


@real
def test_a_brief_waits_at_a_first_run_screen_and_is_typed_once_it_is_answered(
    bench: Bench, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FIRST_RUN_S", 3.0)
    monkeypatch.setattr(seed, "_merge", without_trust)
    key, before = bench.session(model), len(texts(model))
    brief = at_first_screen(bench, key)
    bench.restart()
    assert f"{MARK} No, exit" in bench.screen(key)
    press(bench, key, "Down")
    press(bench, key, "Enter")
    bench.wait_state(key, AgentState.IDLE)
    assert bench.turn(brief).outcome is TurnOutcome.FINISHED
    assert texts(model)[before:] == ["build it"]


def press(bench: Bench, key: SessionKey, button: Key) -> None:
    """As a person does who has attached."""
    pane_id = bench.agent(key).pane_id
    assert pane_id is not None
    bench.team.terminal.press(pane_id, button)


def without_trust(document: dict[str, Json], folder: Path, api_key: str | None) -> None:
    """A first start on this computer, but for the theme."""
    document.update({"hasCompletedOnboarding": True, "theme": "dark"})


@pytest.fixture
def asking(place: DataRoot, short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A Claude that shows a question and exits at Enter; each start adds a line to `starts`."""
    monkeypatch.setattr(state, "FIRST_RUN_S", 1.0)
    body = f"""echo x >> {short_folder}/starts; echo "Do you trust this folder?"; read -r line"""
    with bench_on(place, faking(short_folder, body, isolation=False)) as made:
        yield made


def test_a_claude_that_is_left_at_its_first_run_screen_is_not_asked_again(
    asking: Bench, short_folder: Path
) -> None:
    key = asking.session()
    brief = at_first_screen(asking, key)
    press(asking, key, "Enter")
    refused = asking.wait_receipt(brief, Receipt.REFUSED)
    assert (refused.reason or "").startswith("Claude did not start: ")
    assert asking.wait_state(key, AgentState.ENDED).evidence.startswith("Claude did not start: ")
    assert (short_folder / "starts").read_text() == "x\n"


def test_a_claude_that_is_killed_at_its_first_run_screen_asks_again(
    asking: Bench, short_folder: Path
) -> None:
    key = asking.session()
    brief = at_first_screen(asking, key)
    asking.kill_claude(key)
    starts = short_folder / "starts"
    asking.until(lambda: starts.read_text() == "x\nx\n", "another start", key)
    asking.wait_state(key, AgentState.NEEDS_YOU)
    assert asking.prompt(brief).receipt is Receipt.QUEUED
