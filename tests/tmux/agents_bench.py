"""A store, one session and the agents' thread of a worker, in this process, on the real parts."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from core.accounts.injections import SessionInjector
from core.accounts.sessions import SessionCreator, SessionWish
from core.accounts.users import UserManager
from core.clock import SystemClock, wait_for
from core.errors import MissingProgramError
from core.models.prompt import Prompt, Turn
from core.models.session import Agent, Session, SessionKey
from core.models.states import AgentState, PromptKind, Receipt, SessionMode
from core.models.user import HostProvider, SiteType
from core.paths import DataRoot, RuntimePaths, SessionPaths, library_folder, runtime_paths
from core.store.store import Store, open_store
from core.store.views import Views
from tmux_bridge.agents.pane import TmuxAgentPane
from tmux_bridge.agents.sender import PromptSender
from tmux_bridge.agents.starter import StartContext, Starter
from tmux_bridge.agents.supervisor import Supervisor
from tmux_bridge.agents.terminal import Terminal
from tmux_bridge.agents.watching import Watcher
from tmux_bridge.approval_requests import ApprovalRequests
from tmux_bridge.approvals import ApprovalDesk
from tmux_bridge.claude.cli import find_program
from tmux_bridge.claude.launch import MODE
from tmux_bridge.claude.seed import prepare_repository
from tmux_bridge.claude.transcript import TranscriptReader
from tmux_bridge.launcher import prepare_runtime
from tmux_bridge.scripted_model import RequestRecord, ScriptedModel
from tmux_bridge.tmux.server import TmuxServer

T = TypeVar("T")
CLOCK = SystemClock()


def has_claude() -> bool:
    try:
        find_program("claude", os.environ)
    except MissingProgramError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the Claudes of a bench run."""

    command: str = "claude"
    mode: str = MODE
    max_retries: int = 1
    isolation: bool = True
    network_limited: bool = False
    approvals_s: float = 600.0
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class Team:
    """One life of the agents' thread over a store; a second life is what a restart makes."""

    def __init__(
        self, store: Store, runtime: RuntimePaths, manner: Manner,
        model_url: Callable[[Session], str | None] = lambda session: session.model_url,
    ) -> None:  # fmt: skip
        self.store = store
        self.terminal = Terminal(runtime, lambda: self.supervisor.panes_changed())  # noqa: PLW0108 - made below
        self.sender = PromptSender(store, self.terminal, CLOCK)
        self.desk = ApprovalDesk(store, CLOCK, manner.approvals_s)
        self.approvals = ApprovalRequests(store, self.desk, CLOCK)
        self._manner = manner
        self._runtime = runtime
        self._model_url = model_url
        self.supervisor = Supervisor(
            store=store, terminal=self.terminal, starter=self._starter, sender=self.sender,
            watcher=Watcher(
                store, self.terminal, self.sender, CLOCK, isolation=manner.isolation,
                desk=self.desk,
            ),
            clock=CLOCK,
        )  # fmt: skip
        self.pane = TmuxAgentPane(self.supervisor, self.terminal, store, CLOCK)

    def _starter(self) -> Starter:
        manner = self._manner
        return Starter(
            StartContext(
                store=self.store, panes=self.terminal, clock=CLOCK,
                program=find_program(manner.command, manner.environ),
                secrets=self._runtime.secrets, environ=manner.environ,
                isolation=manner.isolation, model_url=self._model_url, mode=manner.mode,
                max_retries=manner.max_retries, network_limited=manner.network_limited,
                fit_mode=SessionInjector(self.store, self.store.root, library_folder()).fit_mode,
            )
        )  # fmt: skip


class Bench:
    """What a test of the agents needs: sessions, prompts, waits with a reason."""

    def __init__(self, root: DataRoot, manner: Manner | None = None) -> None:
        self.root = root
        self.runtime = runtime_paths(root, os.environ)
        prepare_runtime(self.runtime)
        self.store = open_store(root, CLOCK)
        self.server = TmuxServer(self.runtime)
        self.manner = manner or Manner()
        views = Views(self.store)
        self._users = UserManager(self.store, views, CLOCK)
        self._creator = SessionCreator(
            self.store, views, root, library_folder(), CLOCK, prepare_repository
        )
        self.team = Team(self.store, self.runtime, self.manner)

    def session(
        self, model: ScriptedModel | None = None, *, simulated: bool = False,
        mode: SessionMode = SessionMode.UNATTENDED,
    ) -> SessionKey:  # fmt: skip
        user, _ = self._users.create("ann@example.com", "+1 555 010 0101")
        wish = SessionWish(
            host_provider=HostProvider.LOCAL, site_type=SiteType.STATIC, simulated=simulated,
            model_url=model.url if model is not None else None, mode=mode,
        )  # fmt: skip
        return self._creator.create(user, wish)[0].key

    def paths(self, key: SessionKey) -> SessionPaths:
        return self.root.session(key.user_id, key.session_id)

    def start(self) -> None:
        self.team.supervisor.start()

    def restart(self, manner: Manner | None = None) -> None:
        """A worker's death between two acts, and its successor."""
        self.team.supervisor.stop()
        self.prepare(manner)
        self.start()

    def prepare(
        self, manner: Manner | None = None,
        model_url: Callable[[Session], str | None] = lambda session: session.model_url,
    ) -> None:  # fmt: skip
        """A fresh team that does not run yet; what a dead one left open is closed."""
        self.team.supervisor.stop()
        self.manner = manner or self.manner
        self.team = Team(self.store, self.runtime, self.manner, model_url)

    def send(self, key: SessionKey, text: str, kind: PromptKind = PromptKind.WISH) -> Prompt:
        prompt = self.store.prompts.add(uuid.uuid4().hex, key, kind, text)
        self.team.supervisor.nudge()
        return prompt

    def ask(self, key: SessionKey, text: str, kind: PromptKind = PromptKind.WISH) -> Turn:
        """Send and wait for the end of the turn."""
        return self.turn(self.send(key, text, kind))

    def turn(self, prompt: Prompt, deadline_s: float = 45) -> Turn:
        return self.team.pane.wait_turn(
            prompt.prompt_id, deadline_s=deadline_s, cancelled=lambda: False
        )

    def prompt(self, prompt: Prompt) -> Prompt:
        found = self.store.prompts.get(prompt.prompt_id)
        assert found is not None
        return found

    def agent(self, key: SessionKey) -> Agent:
        return self.store.agents.get(key)

    def wait_state(self, key: SessionKey, state: AgentState, deadline_s: float = 30) -> Agent:
        self.until(lambda: self.agent(key).state is state, f"{state}", key, deadline_s)
        return self.agent(key)

    def wait_receipt(self, prompt: Prompt, *receipts: Receipt, deadline_s: float = 30) -> Prompt:
        wanted = f"{' or '.join(receipts)} of {prompt.text[:40]!r}"
        self.until(lambda: self.prompt(prompt).receipt in receipts, wanted, prompt.key, deadline_s)
        return self.prompt(prompt)

    def until(
        self, probe: Callable[[], T | None], what: str, key: SessionKey, deadline_s: float = 30
    ) -> T:
        answer = wait_for(probe, deadline_s=deadline_s, interval_s=0.02)
        assert answer, f"never true: {what}\n{self.agent(key)}\n{self.screen(key)}"
        return answer

    def screen(self, key: SessionKey) -> str:
        pane_id = self.agent(key).pane_id
        if pane_id is None:
            return "(no pane)"
        try:
            return "\n".join(self.team.terminal.capture(pane_id)).strip()
        except Exception as error:  # noqa: BLE001 - only shown in a failure
            return f"(no screen: {error})"

    def wait_written(self, key: SessionKey) -> None:
        """Until the last turn is in the transcript: only then can it be resumed."""
        paths = self.paths(key)
        path = Path(self.agent(key).transcript_path or "")
        reader = TranscriptReader(paths.claude_config, paths.root)
        self.until(lambda: reader.tail(path).is_finished, "the written transcript", key)

    def kill_claude(self, key: SessionKey) -> None:
        """SIGKILL to the pane's process."""
        pid = self.agent(key).pane_pid
        assert pid is not None
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        with suppress(Exception):
            self.team.supervisor.stop()
        self.server.stop()
        self.store.close()


@contextmanager
def bench_on(root: DataRoot, manner: Manner | None = None) -> Iterator[Bench]:
    bench = Bench(root, manner)
    try:
        bench.start()
        yield bench
    finally:
        bench.close()


@contextmanager
def running(model: ScriptedModel) -> Iterator[ScriptedModel]:
    model.start()
    try:
        yield model
    finally:
        model.stop()


def main_requests(model: ScriptedModel) -> list[RequestRecord]:
    """What the interactive loop asked, without titles and summaries."""
    return [record for record in model.requests if record.kind == "main"]


def fake_claude(folder: Path, body: str) -> str:
    """A program in Claude's place, for what the real one does only where it is misconfigured."""
    program = folder / "fake-claude"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


def faking(folder: Path, body: str, *, isolation: bool = True) -> Manner:
    """Such a program as the bench's Claude, with a token that it never uses: none is no start."""
    environ = {**os.environ, "ANTHROPIC_API_KEY": "never-used-0123456789"}
    return Manner(command=fake_claude(folder, body), environ=environ, isolation=isolation)
