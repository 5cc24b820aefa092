"""The agents' thread: it alone starts Claudes, types into panes and reads their events.

Everybody else asks it (`ask`) or leaves rows in the store and nudges it. It looks at every awake
Claude ten times a second, fifty while a start or a receipt is awaited; an idle look is one stat.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from core.clock import Clock
from core.errors import BuilderError, ConflictError
from core.models.prompt import Prompt, PromptKind, Receipt
from core.models.session import Agent, AgentState, Needs, SessionKey
from core.store.store import Store
from tmux_bridge.agents.sender import PromptSender, refuse
from tmux_bridge.agents.starter import Starter
from tmux_bridge.agents.terminal import Terminal
from tmux_bridge.agents.watching import Watched, Watcher, ended, last_words
from tmux_bridge.tmux.errors import TmuxCommandError, TmuxGoneError
from tmux_bridge.tmux.panes import PaneInfo

IDLE_TICK_S = 0.1
BUSY_TICK_S = 0.02
LIST_EVERY_S = 1.0
ASK_TIMEOUT_S = 30.0
ASLEEP = frozenset({AgentState.ABSENT, AgentState.PARKED, AgentState.ENDED})

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Supervisor:
    """Runs the Claudes of one data root.

    Args:
        store: What is known; every change is committed here first.
        terminal: The worker's hold on tmux.
        starter: Puts Claudes into panes.
        sender: Types prompts.
        watcher: Looks at one Claude.
        clock: Instants and durations.
    """

    def __init__(
        self, *, store: Store, terminal: Terminal, starter: Callable[[], Starter],
        sender: PromptSender, watcher: Watcher, clock: Clock,
    ) -> None:  # fmt: skip
        self._store = store
        self._terminal = terminal
        self._build_starter = starter
        self._starter: Starter | None = None
        self._sender = sender
        self._watcher = watcher
        self._clock = clock
        self._watched: dict[SessionKey, Watched] = {}
        self._acts: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._prompts_may_wait = True
        self._panes_may_differ = True
        self._listed_at = 0.0
        self._panes: dict[str, PaneInfo] | None = {}
        self._thread = threading.Thread(target=self._run, name="agents", daemon=True)
        self.changed = threading.Condition()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let go; the Claudes go on."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(ASK_TIMEOUT_S)
        self._terminal.close()

    def nudge(self) -> None:
        """The store holds something new for the panes."""
        self._prompts_may_wait = True
        self._wake.set()

    def panes_changed(self) -> None:
        """tmux reported a birth or a death."""
        self._panes_may_differ = True
        self._wake.set()

    def ask(self, act: Callable[[], T], *, timeout_s: float = ASK_TIMEOUT_S) -> T:
        """Run an act on the agents' thread and wait for its answer or its error."""
        answer: Future[T] = Future()

        def run() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(act())
                except BaseException as error:  # noqa: BLE001 - handed to who asked
                    answer.set_exception(error)

        self._acts.put(run)
        self._wake.set()
        return answer.result(timeout_s)

    def start_agent(self, key: SessionKey) -> Agent:
        """Start or resume a sleeping Claude; an awake one is left alone. Agents' thread only."""
        agent = self._store.agents.get(key)
        if agent.state not in ASLEEP:
            return agent
        self._terminal.ensure()
        if self._starter is None:
            self._starter = self._build_starter()
        agent = self._starter.start(key)
        self._watched[key] = self._watcher.begin(agent, fresh=True)
        self._panes_may_differ = True
        return agent

    def stop_agent(self, key: SessionKey, why: str) -> Agent:
        """End the Claude of a session; its files stay. Agents' thread only."""
        agent = self._store.agents.get(key)
        if self._terminal.is_server_running():
            self._terminal.kill(key.tmux_name)
        if agent.state in {AgentState.ABSENT, AgentState.ENDED}:
            return agent
        watched = self._watched.get(key)
        if watched is not None:
            self._watcher.look(watched, pane_alive=False)
        return self._end(self._store.agents.get(key), why)

    def _run(self) -> None:
        self._resume_watching()
        while not self._stopping.is_set():
            self._wake.wait(BUSY_TICK_S if self._is_busy() else IDLE_TICK_S)
            self._wake.clear()
            try:
                self._tick()
            except BuilderError as error:
                logger.warning("agents' tick failed", extra={"why": error.message})
            except Exception:
                logger.exception("agents' tick failed")

    def _tick(self) -> None:
        while not self._acts.empty():
            self._acts.get_nowait()()
        self._list_panes()
        for key in list(self._watched):
            self._look(key)
        if self._prompts_may_wait or self._has_typed():
            self._prompts_may_wait = False
            self._move_prompts()
        with self.changed:
            self.changed.notify_all()

    def _is_busy(self) -> bool:
        starting = any(w.agent.state is AgentState.STARTING for w in self._watched.values())
        return starting or self._has_typed()

    def _has_typed(self) -> bool:
        return self._sender.is_waiting

    def _list_panes(self) -> None:
        due = self._clock.monotonic() - self._listed_at >= LIST_EVERY_S
        if not self._watched or not (due or self._panes_may_differ):
            return
        self._panes_may_differ = False
        self._listed_at = self._clock.monotonic()
        try:
            self._panes = self._terminal.living()
        except (TmuxGoneError, TmuxCommandError):
            self._panes = None if self._terminal.is_server_running() else {}

    def _look(self, key: SessionKey) -> None:
        watched = self._watched[key]
        before = watched.agent
        alive = self._is_alive(before)
        if before.state is AgentState.STARTING and alive is False:
            self._start_failed(key, watched)
            return
        self._watcher.look(watched, pane_alive=alive)
        agent = watched.agent
        if agent.state is not before.state:
            self._state_changed(before, agent)

    def _state_changed(self, before: Agent, agent: Agent) -> None:
        self._prompts_may_wait = True
        logger.info(
            "agent state",
            extra={"session_id": agent.key.session_id, "state": agent.state, "why": agent.evidence},
        )
        if before.state is AgentState.STARTING and self._starter is not None:
            self._starter.finished(agent.key)
        if agent.state is AgentState.ENDED:
            self._forget(agent.key)

    def _is_alive(self, agent: Agent) -> bool | None:
        """Whether the pane's process lives; None where tmux could not be asked."""
        if self._panes is None:
            return None
        pane = self._panes.get(agent.key.tmux_name)
        if pane is None or pane.pane_id != agent.pane_id or pane.server_pid != agent.server_pid:
            return self._is_too_new_to_tell(agent)
        return not pane.dead

    def _is_too_new_to_tell(self, agent: Agent) -> bool | None:
        """A pane made after the last listing is not in it yet."""
        age = self._starter.age_s(agent.key) if self._starter is not None else None
        listing_age = self._clock.monotonic() - self._listed_at
        return None if age is not None and age < listing_age + LIST_EVERY_S else False

    def _start_failed(self, key: SessionKey, watched: Watched) -> None:
        screen = last_words(self._last_screen(watched.agent))
        agent = self._starter.next_rung(key) if self._starter is not None else None
        if agent is not None:
            self._watched[key] = self._watcher.begin(agent, fresh=True)
            self._panes_may_differ = True
            return
        self._end(watched.agent, f"Claude did not start: {screen or 'no output'}")

    def _last_screen(self, agent: Agent) -> list[str]:
        try:
            return self._terminal.capture(agent.pane_id) if agent.pane_id else []
        except BuilderError:
            return []

    def _end(self, agent: Agent, why: str) -> Agent:
        over = ended(agent, why, self._clock.now())
        self._store.agents.put(over)
        self._forget(agent.key)
        self._prompts_may_wait = True
        return over

    def _forget(self, key: SessionKey) -> None:
        self._watched.pop(key, None)
        if self._starter is not None:
            self._starter.finished(key)

    def _move_prompts(self) -> None:
        heads: dict[SessionKey, Prompt] = {}
        for prompt in self._store.prompts.open():
            heads.setdefault(prompt.key, prompt)
        for prompt in heads.values():
            try:
                self._move(prompt)
            except BuilderError as error:
                logger.warning("prompt not moved", extra={"why": error.message})
                if prompt.receipt is Receipt.QUEUED and not error.retryable:
                    refuse(self._store, prompt, error)
                self._prompts_may_wait = True

    def _move(self, prompt: Prompt) -> None:
        watched = self._watched.get(prompt.key)
        if watched is None:
            self._wake_for(prompt)
            return
        agent = watched.agent
        if agent.needs is Needs.LOGIN and prompt.receipt is Receipt.QUEUED:
            refuse(self._store, prompt, _asks(agent))
            return
        mark = watched.inbox.newest() or watched.mark
        self._sender.step(prompt, agent, mark=mark, server_pid=agent.server_pid or 0)

    def _wake_for(self, prompt: Prompt) -> None:
        """The Claude sleeps: a queued prompt wakes it, a typed one never got its receipt."""
        agent = self._store.agents.get(prompt.key)
        if prompt.receipt is not Receipt.QUEUED:
            reason = f"Claude ended before it confirmed the prompt ({agent.evidence})."
            self._store.prompts.move(prompt.prompt_id, Receipt.UNKNOWN, reason=reason)
            self._sender.forget(prompt.prompt_id)
        elif agent.state is AgentState.ENDED and self._failed_after(agent, prompt):
            refuse(self._store, prompt, ConflictError(agent.evidence, remedy=_ATTACH))
        elif prompt.kind is not PromptKind.COMMAND or agent.claude_session_id:
            self.start_agent(prompt.key)

    def _failed_after(self, agent: Agent, prompt: Prompt) -> bool:
        """Whether the start that this prompt caused has failed already."""
        began = agent.since is not None and agent.since >= prompt.created_at
        return began and agent.evidence.startswith("Claude did not start")

    def _resume_watching(self) -> None:
        """After a worker's restart: the Claudes of before, as far as their panes still live."""
        agents = self._store.agents.awake()
        if agents:
            self._panes_may_differ = True
            self._list_panes_now()
        for agent in agents:
            self._watched[agent.key] = self._watcher.begin(agent, fresh=False)
            if agent.state is AgentState.STARTING and agent.claude_session_id:
                if self._starter is None:
                    self._try_starter()
                if self._starter is not None:
                    self._starter.adopt(agent.key, agent.claude_session_id)

    def _list_panes_now(self) -> None:
        try:
            self._panes = self._terminal.living()
        except BuilderError:
            self._panes = None

    def _try_starter(self) -> None:
        try:
            self._starter = self._build_starter()
        except BuilderError as error:
            logger.warning("no starter", extra={"why": error.message})


_ATTACH = "Look at the session: tmux-builder session attach, or tmux-builder doctor."


def _asks(agent: Agent) -> ConflictError:
    return ConflictError(
        f"Claude waits at a screen of its own: {agent.question or agent.evidence}",
        remedy=_ATTACH,
        code="needs_you",
    )
