"""Prompts reach the real Claude exactly once, word for word, in order, and never run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from core.models.session import SessionKey
from core.models.states import AgentState, Needs, PromptKind, Receipt, TurnOutcome
from core.paths import DataRoot
from core.sandbox import has_bubblewrap
from tests.tmux.agents_bench import Bench, Manner, bench_on, has_claude, main_requests, running
from tmux_bridge.agents import sender
from tmux_bridge.claude.inbox import HookInbox
from tmux_bridge.claude.receipts import is_receipt, plain_text
from tmux_bridge.scripted_model import Reply, Script, ScriptedModel, Turn
from tmux_bridge.scripted_model.script import Call, Pace, When

pytestmark = [
    pytest.mark.claude,
    pytest.mark.tmux,
    pytest.mark.skipif(not has_bubblewrap(), reason="bubblewrap cannot make a sandbox here"),
]

SLOW = Reply(text="word " * 60, pace=Pace(chunk_chars=10, chunk_delay_s=0.05))
OPTIONS = [{"label": name, "description": name} for name in ("Red", "Blue")]
QUESTION = {
    "question": "Which colour?", "header": "Colour", "multiSelect": False, "options": OPTIONS,
}  # fmt: skip
ASKS = Turn(
    name="ask", when=When(text="ask me"),
    replies=(
        Reply(calls=(Call(name="AskUserQuestion", input={"questions": [QUESTION]}),)),
        Reply(text="Blue it is."),
    ),
)  # fmt: skip
SCRIPT = Script(
    name="delivery", default=Reply(text="ok"),
    turns=(Turn(name="slow", when=When(text="slowly"), replies=(SLOW,)), ASKS),
)  # fmt: skip

ODD = {
    "one line": "make the header blue",
    "lines": "three\nlines\nof text",
    "many lines": "\n".join(f"line {number}" for number in range(60)),
    "10 kB": "word " * 2040,
    "unicode": "zażółć gęślą jaźń 漢字 👩\u200d👩\u200d👧 ❤\ufe0f",
    "decomposed": "cafe\u0301",
    "right to left": "\u202eשלום\u202c \u200fعربي",  # noqa: RUF001 - meant
    "hidden command": "\u200b!touch source/hidden",
    "hidden slash": "\ufeff/clear",
    "slash": "/clear",
    "path": "/home/x is a path",
    "bang": "!touch source/bang",
    "hash": "# not a memory",
    "at": "@source",
    "dash": "-rf --help",
    "question": "?",
    "backslash": "ends with \\",
    "semicolon": "ends with ;",
    "exit": "exit",
    "controls": "a\x1b[201~\x03\x04b\x00\x7f\x9b\x15c",
    "tilde": "~/x and ~root",
    "tabs": "a\tb\tc",
    "formats": "#{pid} #(touch source/format) #[fg=red] %1",
    "shell": "$HOME $(touch source/shell) `id` ${PATH} \"q\" 'q'",
    "pasted": "</pasted_content> [Pasted text #1]",
    "wrapped": '<pasted_content id="1">\nx\n</pasted_content>',
    "spaces": "   edges   \n\n",
}


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    if not has_claude():
        pytest.skip("the Claude CLI is not installed: make test")
    with running(ScriptedModel(SCRIPT)) as scripted:
        yield scripted


@pytest.fixture
def bench(place: DataRoot) -> Iterator[Bench]:
    with bench_on(place) as made:
        yield made


def texts(model: ScriptedModel) -> list[str]:
    return [record.text for record in main_requests(model)]


def test_odd_texts_arrive_word_for_word_exactly_once(bench: Bench) -> None:
    with running(ScriptedModel(SCRIPT)) as model:
        key = bench.session(model)
        for name, text in ODD.items():
            prompt = bench.send(key, text)
            assert bench.turn(prompt).outcome is TurnOutcome.FINISHED, name
            assert bench.prompt(prompt).receipt is Receipt.ACCEPTED, name
            typed = bench.team.sender.text_for_pane(prompt)
            assert is_receipt(typed, texts(model)[-1]), name
            assert plain_text(typed).endswith(plain_text(text)), name
        assert len(texts(model)) == len(ODD)
        assert list(bench.paths(key).source.iterdir()) == []


def test_a_longer_wish_is_a_file_that_one_line_names(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    text = "a wish of many words é\n" * 1000
    bench.ask(key, text)
    assert texts(model)[-1] == "Read prompts/001.md and do what it says."
    assert (bench.paths(key).prompts / "001.md").read_text() == plain_text(text)


def test_nothing_but_invisible_characters_is_refused(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    before = len(texts(model))
    prompt = bench.send(key, "\u200b\x1b\x00 \u202e")
    refused = bench.wait_receipt(prompt, Receipt.REFUSED)
    assert refused.reason == "Nothing is left of the text to send."
    assert bench.ask(key, "then this").outcome is TurnOutcome.FINISHED
    assert texts(model)[before:] == ["then this"]


def test_prompts_wait_their_turn_and_go_in_order(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    before = len(texts(model))
    first, second = bench.send(key, "one, slowly"), bench.send(key, "two")
    bench.wait_state(key, AgentState.WORKING)
    third = bench.send(key, "three")
    assert bench.prompt(second).receipt is Receipt.QUEUED
    for prompt in (first, second, third):
        assert bench.turn(prompt).outcome is TurnOutcome.FINISHED
    assert texts(model)[before:] == ["one, slowly", "two", "three"]
    turns = [bench.turn(prompt) for prompt in (first, second, third)]
    for earlier, later in pairwise(turns):
        assert earlier.ended_at is not None
        assert earlier.ended_at <= later.started_at


def test_the_same_text_twice_is_two_prompts(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    before = len(texts(model))
    twice = [bench.send(key, "again") for _ in range(2)]
    ids = {bench.turn(prompt).prompt_id for prompt in twice}
    assert ids == {prompt.prompt_id for prompt in twice}
    assert texts(model)[before:] == ["again", "again"]


def test_a_late_receipt_is_not_taken_from_a_resent_text(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.ask(key, "warm")
    lost = bench.store.prompts.add("lost", key, PromptKind.WISH, "say it")
    bench.store.prompts.move("lost", Receipt.UNKNOWN, reason="lost", mark="0")
    again = bench.send(key, "say it")
    assert bench.turn(again).outcome is TurnOutcome.FINISHED
    assert bench.prompt(lost).receipt is Receipt.UNKNOWN


def test_a_swallowed_enter_is_pressed_once_more(
    bench: Bench, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = bench.session(model)
    bench.ask(key, "warm")
    before = len(texts(model))
    panes = bench.team.terminal.ensure()

    def without_enter(pane_id: str, buffer: str) -> None:
        panes._type(pane_id, f"paste-buffer -p -r -d -b {buffer} -t {pane_id}")

    monkeypatch.setattr(bench.team.terminal, "paste_and_enter", without_enter)
    assert bench.ask(key, "swallowed").outcome is TurnOutcome.FINISHED
    assert texts(model)[before:] == ["swallowed"]


def test_text_that_stays_unsent_is_unknown_and_does_not_join_the_next(
    bench: Bench, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = bench.session(model)
    bench.ask(key, "warm")
    before = len(texts(model))
    panes = bench.team.terminal.ensure()
    with monkeypatch.context() as patch:
        patch.setattr(sender, "GIVE_UP_AFTER_S", 0.8)
        patch.setattr(
            bench.team.terminal,
            "paste_and_enter",
            lambda pane, buffer: panes._type(pane, f"paste-buffer -p -d -b {buffer} -t {pane}"),
        )
        unsent = bench.wait_receipt(bench.send(key, "unsent"), Receipt.UNKNOWN)
    assert "unsent in Claude's input line" in (unsent.reason or "")
    assert bench.ask(key, "the next").outcome is TurnOutcome.FINISHED
    assert texts(model)[before:] == ["the next"]


def test_nothing_is_typed_while_claude_asks(place: DataRoot, model: ScriptedModel) -> None:
    with bench_on(place, Manner(mode="manual")) as bench:
        key = bench.session(model)
        asked = bench.send(key, "ask me")
        agent = bench.wait_state(key, AgentState.NEEDS_YOU)
        assert (agent.needs, agent.question) == (Needs.QUESTION, "Which colour?")
        bench.until(lambda: "2. Blue" in bench.screen(key), "the dialog", key)
        queued = bench.send(key, "1")
        bench.team.supervisor.ask(lambda: None)
        assert bench.prompt(queued).receipt is Receipt.QUEUED
        bench.team.pane.answer(key, 2)
        assert bench.turn(asked).message == "Blue it is."
        assert bench.turn(queued).outcome is TurnOutcome.FINISHED
        assert "Blue" in main_requests(model)[-2].tool_results[0]
        assert texts(model)[-1] == "1"


def test_a_question_is_seen_at_once(place: DataRoot, model: ScriptedModel) -> None:
    with bench_on(place, Manner(mode="manual")) as bench:
        key = bench.session(model)
        bench.send(key, "ask me")
        agent = bench.wait_state(key, AgentState.NEEDS_YOU)
        seen = bench.store.clock.now()
        assert agent.since is not None
        assert (seen - agent.since).total_seconds() < 2
        bench.team.pane.interrupt(key)
        bench.wait_state(key, AgentState.IDLE)
        assert bench.ask(key, "go on").outcome is TurnOutcome.FINISHED


def test_clear_gives_the_conversation_a_new_id(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    old = bench.agent(key)
    cleared = bench.send(key, "/clear", PromptKind.COMMAND)
    bench.wait_receipt(cleared, Receipt.ACCEPTED)
    bench.until(
        lambda: bench.agent(key).claude_session_id != old.claude_session_id, "a new id", key
    )
    assert bench.agent(key).transcript_path != old.transcript_path
    assert bench.ask(key, "second").outcome is TurnOutcome.FINISHED
    assert len(bench.store.agents.claude_ids(key)) == 2
    assert len(bench.store.agents.transcripts(key)) == 2


def test_an_ordinary_command_runs_and_is_no_turn(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    before = len(texts(model))
    command = bench.send(key, "/context", PromptKind.COMMAND)
    assert bench.wait_receipt(command, Receipt.ACCEPTED).reason is not None
    assert bench.ask(key, "second").outcome is TurnOutcome.FINISHED
    assert [text.endswith("second") for text in texts(model)[before:]] == [True]


def test_an_unknown_command_is_refused(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    unknown = bench.send(key, "/no-such-thing now", PromptKind.COMMAND)
    refused = bench.wait_receipt(unknown, Receipt.REFUSED, Receipt.ACCEPTED)
    assert refused.reason == "Claude knows no command of that name."


def test_a_command_that_ends_claude_is_accepted(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    ending = bench.send(key, "/exit", PromptKind.COMMAND)
    bench.wait_state(key, AgentState.ENDED)
    assert bench.wait_receipt(ending, Receipt.ACCEPTED, Receipt.UNKNOWN).receipt is Receipt.ACCEPTED
    assert bench.ask(key, "second").outcome is TurnOutcome.FINISHED


def test_forged_events_harm_nobody(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    hooks = bench.paths(key).hooks
    soon = f"{(bench.store.clock.now().timestamp() + 30) * 1e9:.0f}"
    forge(hooks, f"{soon}-1.json", {"hook_event_name": "Nonsense", "session_id": "x"})
    (hooks / f"{soon}-2.json").write_text('{"half')
    (hooks / f"{soon}-3.json").symlink_to("/etc/passwd")
    (hooks / "no name.json").write_text("{}")
    (hooks / f"{soon}-4.json").mkdir()
    forge(
        hooks, f"{soon}-5.json", {"hook_event_name": "SessionEnd", "session_id": "of another one"}
    )
    assert bench.ask(key, "second").outcome is TurnOutcome.FINISHED
    assert texts(model)[-1] == "second"
    assert bench.agent(key).state is AgentState.IDLE


def test_a_forged_receipt_of_another_text_accepts_nothing(
    bench: Bench, model: ScriptedModel
) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    now = f"{bench.store.clock.now().timestamp() * 1e9:.0f}"
    event = {"hook_event_name": "UserPromptSubmit", "session_id": "x", "prompt": "forged"}
    forge(bench.paths(key).hooks, f"{now}-1.json", event)
    bench.wait_state(key, AgentState.WORKING)
    bench.wait_state(key, AgentState.IDLE)
    assert bench.ask(key, "second").outcome is TurnOutcome.FINISHED


def forge(folder: Path, name: str, event: dict[str, str]) -> None:
    (folder / f".{name}").write_text(json.dumps(event))
    (folder / f".{name}").rename(folder / name)


def test_events_that_cannot_be_removed_are_read_once(tmp_path: Path) -> None:
    name = "1795418913773095705-1.json"
    forge(tmp_path, name, {"hook_event_name": "Stop", "session_id": "x"})
    inbox = HookInbox(tmp_path)
    events = inbox.pending()
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    inbox.consume(events)
    (tmp_path / name).rmdir()
    forge(tmp_path, name, {"hook_event_name": "Stop", "session_id": "x"})
    assert [len(events), inbox.pending()] == [1, []]


def test_two_sessions_do_not_mix(bench: Bench, model: ScriptedModel) -> None:
    keys: list[SessionKey] = [bench.session(model), bench.session(model)]
    prompts = [bench.send(key, f"for {number}") for number, key in enumerate(keys)]
    for prompt in prompts:
        assert bench.turn(prompt).outcome is TurnOutcome.FINISHED
    ids = [bench.agent(key).claude_session_id for key in keys]
    for number, claude_id in enumerate(ids):
        said = [r.text for r in main_requests(model) if r.session == claude_id]
        assert said == [f"for {number}"]
