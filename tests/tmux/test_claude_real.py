"""The real CLI in a real tmux, contained, against the scripted model."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.clock import SystemClock, wait_for
from core.errors import MissingProgramError
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, Needs, TurnOutcome
from core.models.transcript import Speaker
from core.paths import SessionPaths, library_folder
from core.sandbox import has_bubblewrap
from tests.tmux.claude_pane import Pane, claude_path, make_session, until
from tmux_bridge.claude import state
from tmux_bridge.claude.cli import ClaudeProgram, find_program
from tmux_bridge.claude.hooks import HookEvent, HookName
from tmux_bridge.claude.inbox import HookInbox
from tmux_bridge.claude.launch import ClaudeLaunch, LaunchCommand, prepare_launch
from tmux_bridge.claude.receipts import escape_for_prompt, is_receipt, normalise
from tmux_bridge.claude.registry import RegistryStatus, read_registry
from tmux_bridge.claude.state import Evidence, TurnEnded, TurnFact, Watch, fuse, starting
from tmux_bridge.claude.transcript import TranscriptReader
from tmux_bridge.scripted_model import Reply, Script, ScriptedModel, Turn, load_script
from tmux_bridge.scripted_model.script import Call, Fault, Pace, When

KEY = "sk-ant-api03-not-a-real-key-0123456789-abcdefghij"


def program() -> ClaudeProgram | None:
    try:
        return find_program("claude", {"PATH": claude_path()})
    except MissingProgramError:
        return None


pytestmark = [
    pytest.mark.claude,
    pytest.mark.tmux,
    pytest.mark.skipif(program() is None, reason="the Claude CLI is not installed: make test"),
    pytest.mark.skipif(not has_bubblewrap(), reason="bubblewrap cannot make a sandbox here"),
]


class Claude:
    """One session's Claude, watched as the worker watches it."""

    def __init__(self, folder: Path, script: Script) -> None:
        self.folder = folder
        self.paths = make_session(folder)
        self.model = ScriptedModel(script)
        self.url = self.model.start()
        self.pane = Pane()
        self.inbox = HookInbox(self.paths.hooks)
        self.reader = TranscriptReader(self.paths.claude_config, self.paths.root)
        self.id = str(uuid.uuid4())
        self.events: list[HookEvent] = []
        self.facts: list[TurnFact] = []
        key = SessionKey(self.paths.root.parents[1].name, self.paths.root.name)
        self.watch = Watch(agent=Agent(key=key))
        self.started_at = datetime.now(UTC)

    def launch(self, **changes: object) -> LaunchCommand:
        found = program()
        assert found is not None
        start = ClaudeLaunch(
            paths=self.paths, program=found, claude_session_id=self.id,
            environ={"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": self.url},
        )  # fmt: skip
        return prepare_launch(replace(start, **changes), self.folder / "secrets")  # type: ignore[arg-type]

    def start(self, **changes: object) -> None:
        self.started_at = datetime.now(UTC)
        self.watch = starting(self.watch.agent, "started", self.started_at)
        self.pane.start(self.launch(**changes).argv)
        self.wait_state(AgentState.IDLE)

    def look(self) -> AgentState:
        events = self.inbox.pending()
        self.events += events
        path = self.watch.agent.transcript_path
        registry = read_registry(self.paths.claude_config, self.id, started_after=self.started_at)
        evidence = Evidence(
            now=datetime.now(UTC), monotonic_s=time.monotonic(), events=events, registry=registry,
            pane_alive=not self.pane.is_dead(), prompt_drawn="\u276f" in self.pane.screen(),
            tail=self.reader.tail(Path(path)) if path and self.watch.wants_tail else None,
        )  # fmt: skip
        self.watch, facts = fuse(self.watch, evidence)
        self.facts += facts
        self.inbox.consume(events)
        return self.watch.agent.state

    def wait_state(self, state: AgentState, deadline_s: float = 20) -> None:
        until(lambda: self.look() is state, f"{state}", self.pane, deadline_s)

    def wait_for(self, name: HookName, count: int = 1) -> HookEvent:
        def seen() -> list[HookEvent] | None:
            self.look()
            found = [event for event in self.events if event.event == name]
            return found if len(found) >= count else None

        return until(seen, f"{count} {name}", self.pane)[count - 1]

    def ask(self, text: str) -> TurnEnded:
        done = len(self.ended())
        self.pane.send(escape_for_prompt(text))
        until(lambda: self.look() and len(self.ended()) > done, f"end of {text!r}", self.pane, 30)
        return self.ended()[-1]

    def is_idle(self) -> bool:
        entry = read_registry(self.paths.claude_config, self.id)
        return entry is not None and entry.status is RegistryStatus.IDLE

    def ended(self) -> list[TurnEnded]:
        return [fact for fact in self.facts if isinstance(fact, TurnEnded)]

    def close(self) -> None:
        self.pane.close()
        self.model.stop()


MakeClaude = Callable[[Script], Claude]


@pytest.fixture
def make_claude(tmp_path: Path) -> Iterator[MakeClaude]:
    tmp_path.chmod(0o700)
    made: list[Claude] = []

    def make(script: Script) -> Claude:
        made.append(Claude(tmp_path, script))
        return made[-1]

    yield make
    for claude in made:
        claude.close()


def test_two_wishes_become_a_site_and_every_signal_tells_it(make_claude: MakeClaude) -> None:
    claude = make_claude(load_script(library_folder() / "demo" / "bakery.json"))
    claude.start()
    assert HookName.SESSION_START in [event.event for event in claude.events]
    first = claude.ask("Something with bread in it")
    assert first.outcome is TurnOutcome.FINISHED
    assert "The site is ready" in (first.message or "")
    source = claude.paths.source
    assert {path.name for path in source.iterdir()} >= {"index.html", "menu.html", "contact.html"}
    assert (claude.paths.own_tests / "test_menu.py").is_file()
    claude.ask("now the header in navy, please")
    assert "--band: #14274e" in (source / "style.css").read_text()
    claude.ask("and something else")
    assert "/* next wish */" in (source / "style.css").read_text()
    assert claude.watch.agent.state is AgentState.IDLE
    assert claude.model.requests[0].headers.get("x-claude-code-session-id") == claude.id
    transcript = Path(claude.watch.agent.transcript_path or "")
    until(lambda: claude.reader.tail(transcript).is_finished, "the transcript", claude.pane)
    chat = claude.reader.read([transcript])
    said = [item.text for item in chat if item.speaker is Speaker.OPERATOR]
    written = [(item.tool, item.title, item.result) for item in chat if item.tool == "Edit"]
    assert said[0] == "Something with bread in it"
    assert written[0] == ("Edit", "source/style.css", "+1")
    assert all(item.ok for item in chat if item.speaker is Speaker.TOOL)


def test_no_secret_is_in_a_command_line_or_in_tmux(make_claude: MakeClaude) -> None:
    claude = make_claude(Script(name="s"))
    claude.start()
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((folder / "cmdline").read_bytes())
        except OSError:
            continue
    assert any(claude.id.encode() in line for line in lines)
    assert not any(KEY.encode() in line for line in lines)
    assert KEY not in claude.pane.tmux("show-environment", "-g")
    assert list((claude.folder / "secrets").iterdir()) == []
    assert KEY not in claude.pane.screen()


def test_a_pane_reaches_its_own_folders_and_nothing_else(make_claude: MakeClaude) -> None:
    claude = make_claude(Script(name="s"))
    paths: SessionPaths = claude.paths
    other = paths.root.parents[2] / "other-user" / "user.json"
    other.parent.mkdir()
    other.write_text("somebody else")
    argv = claude.launch().argv
    probe = f"""
        try() {{
            if sh -c "$2" >/dev/null 2>&1; then answer=yes; else answer=no; fi
            echo "$1 $answer" >> output/answers
        }}
        try source 'echo x > source/x'; try tests 'echo x > deployment/tests/e2e/x'
        try output 'echo x > output/x'; try hooks 'echo x > state/hooks/x.json'
        try requests 'echo x > state/requests/x'
        try root 'echo x > x'; try claude 'echo x > .claude/settings.json'
        try git 'git config core.fsmonitor /bin/false'; try logs 'echo x > logs/x'
        try swap 'mv deployment/tests deployment/x'; try swap2 'mv state/hooks state/x'
        try status 'git status'; try other 'cat {other}'; try secrets 'ls {claude.folder}/secrets'
        try root_home 'ls /root/.bashrc'; try foreign 'kill -0 {os.getpid()}'
        try product 'command -v tmux-builder && python3 -c 1'
        try package 'test -r {library_folder()}/templates/pane.sh'
    """
    sandboxed = [*argv[: argv.index("--session-id") - 1], "/bin/sh", "-c", probe]
    claude.pane.start(sandboxed)
    until(claude.pane.is_dead, "the end of the probe", claude.pane)
    text = (paths.output / "answers").read_text()
    answers = dict(line.split() for line in text.splitlines())
    allowed = {name for name, answer in answers.items() if answer == "yes"}
    assert allowed == {
        "source", "tests", "output", "hooks", "requests", "status", "product", "package",
    }  # fmt: skip
    assert len(answers) == 18


def test_odd_texts_arrive_as_they_are(make_claude: MakeClaude) -> None:
    claude = make_claude(Script(name="s", default=Reply(text="ok")))
    claude.start()
    texts = [
        "plain", "/clear", "!touch /tmp/never", "exit", "ends with \\", "ends with ;",
        "# @a -- ? $(id) `id` ~ ^", "zażółć 🥐 שלום", "a\tb", "four\nlines\nof\ntext",
        "\x1b[201~\x03escape\x1b", "long " * 2000,
    ]  # fmt: skip
    for text in texts:
        claude.ask(text)
        typed = escape_for_prompt(text)
        reported = [event for event in claude.events if event.event == HookName.PROMPT][-1]
        assert is_receipt(typed, reported.prompt), text[:40]
        assert normalise(claude.model.requests[-1].text) == normalise(typed), text[:40]
    assert len([e for e in claude.events if e.event == HookName.PROMPT]) == len(texts)


def test_an_escape_ends_the_turn_as_interrupted(make_claude: MakeClaude) -> None:
    slow = Reply(text="word " * 2000, pace=Pace(chunk_chars=10, chunk_delay_s=0.05))
    claude = make_claude(Script(name="s", default=slow))
    claude.start()
    claude.pane.send("go")
    claude.wait_state(AgentState.WORKING)
    until(lambda: "word word" in claude.pane.screen(), "text on the screen", claude.pane)
    claude.pane.key("Escape")
    claude.wait_state(AgentState.IDLE)
    assert [fact.outcome for fact in claude.ended()] == [TurnOutcome.INTERRUPTED]
    assert claude.watch.agent.source in {"transcript", "registry"}


def test_a_question_is_seen_and_its_answer_too(make_claude: MakeClaude) -> None:
    options = [{"label": name, "description": name} for name in ("Red", "Blue")]
    question = {
        "question": "Which colour?", "header": "Colour", "multiSelect": False, "options": options,
    }  # fmt: skip
    asks = Reply(calls=(Call(name="AskUserQuestion", input={"questions": [question]}),))
    turn = Turn(name="ask", replies=(asks, Reply(text="Blue it is.")))
    claude = make_claude(Script(name="s", turns=(turn,)))
    claude.start(mode="manual")
    claude.pane.send("ask me")
    claude.wait_state(AgentState.NEEDS_YOU)
    assert claude.watch.agent.needs is Needs.QUESTION
    assert claude.watch.agent.question == "Which colour?"
    until(lambda: "2. Blue" in claude.pane.screen(), "the dialog", claude.pane)

    def answered() -> bool:
        """A digit that comes right after the dialog was drawn is swallowed."""
        claude.pane.key("2")
        return bool(wait_for(lambda: claude.look() is not AgentState.NEEDS_YOU, deadline_s=1))

    until(answered, "the answer", claude.pane)
    claude.wait_for(HookName.STOP)
    assert claude.ended()[-1].message == "Blue it is."
    assert "Blue" in claude.model.requests[-1].tool_results[0]


def test_a_refused_key_needs_the_operator(make_claude: MakeClaude) -> None:
    claude = make_claude(Script(name="s", default=Reply(fault=Fault(status=400))))
    claude.model.key = "another"
    claude.start(max_retries=1)
    ended = claude.ask("go")
    assert ended.outcome is TurnOutcome.FAILED
    assert (ended.message or "").startswith("authentication_failed: ")
    assert claude.watch.agent.needs is Needs.LOGIN


def test_a_killed_claude_is_reported_and_goes_on_where_it_was(make_claude: MakeClaude) -> None:
    turn = Turn(name="a", when=When(text="first"), replies=(Reply(text="one"),))
    claude = make_claude(Script(name="s", turns=(turn,), default=Reply(text="two")))
    claude.start()
    claude.ask("first")
    transcript = Path(claude.watch.agent.transcript_path or "")
    until(lambda: claude.reader.tail(transcript).is_finished, "the transcript", claude.pane)
    until(claude.is_idle, "an idle registry", claude.pane)
    os.kill(claude.pane.pid(), signal.SIGKILL)
    claude.wait_state(AgentState.ENDED, deadline_s=3)
    claude.pane.close()
    claude.pane = Pane()
    claude.start(resume=True)
    assert claude.watch.agent.claude_session_id == claude.id
    assert claude.ask("second").message == "two"

    def chat() -> list[str]:
        return [item.text for item in claude.reader.read([transcript])]

    until(lambda: len(chat()) == 4, "the written transcript", claude.pane)
    assert chat() == ["first", "one", "second", "two"]


def test_a_first_run_question_is_noticed_and_not_answered(
    make_claude: MakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FIRST_RUN_S", 3.0)
    claude = make_claude(Script(name="s"))
    argv = claude.launch().argv
    document = claude.paths.claude_config / ".claude.json"
    document.write_text(json.dumps({**json.loads(document.read_text()), "projects": {}}))
    claude.watch = starting(claude.watch.agent, "started", claude.started_at)
    claude.pane.start(argv)
    claude.wait_state(AgentState.NEEDS_YOU, deadline_s=25)
    assert claude.watch.agent.evidence == "no SessionStart"
    assert claude.model.requests == []


def test_the_clock_of_the_hooks_is_the_products(make_claude: MakeClaude) -> None:
    claude = make_claude(Script(name="s"))
    claude.start()
    begun = claude.wait_for(HookName.SESSION_START)
    assert claude.started_at <= begun.at <= SystemClock().now()
