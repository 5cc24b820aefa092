"""The agents' thread: it alone starts Claudes, types into panes and reads their events.

Everybody else asks it (`ask`) or leaves rows in the store and nudges it. It looks at every awake
Claude ten times a second, fifty while a start or a receipt is awaited; an idle look is one stat.
With nobody awake it sleeps until it is woken.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from core.clock import Clock
from core.errors import BuilderError, ConflictError
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, Needs, Receipt, SessionMode, TurnOutcome
from core.store.store import Store
from tmux_bridge.agents.delivery import START_FAILED, Delivery, Step
from tmux_bridge.agents.mailbox import Mailbox
from tmux_bridge.agents.roster import LIST_EVERY_S, START_LIST_EVERY_S, Life, PaneRoster
from tmux_bridge.agents.screen import last_words
from tmux_bridge.agents.sender import PromptSender
from tmux_bridge.agents.starter import Starter
from tmux_bridge.agents.terminal import Terminal
from tmux_bridge.agents.watching import Watched, Watcher, ended
from tmux_bridge.claude.state import waits_at_first_screen

IDLE_TICK_S = 0.1
BUSY_TICK_S = 0.02
RETRY_S = 0.5
ASK_TIMEOUT_S = 30.0
ASLEEP = frozenset({AgentState.ABSENT, AgentState.PARKED, AgentState.ENDED})
IDLE = AgentState.IDLE
ON_THE_WAY = frozenset({Receipt.BUFFERED, Receipt.TYPED})

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Supervisor:
    """Runs the Claudes of one data root.

    Args:
        store: What is known; every change is committed here first.
        terminal: The worker's hold on tmux.
        starter: Makes what puts Claudes into panes; asked on the first start.
        sender: Types prompts.
        watcher: Looks at one Claude.
        clock: Instants and durations.
        paused: Why a session's prompts wait in their queue; None where nothing holds them.
    """

    def __init__(
        self, *, store: Store, terminal: Terminal, starter: Callable[[], Starter],
        sender: PromptSender, watcher: Watcher, clock: Clock,
        paused: Callable[[SessionKey], str | None] = lambda _key: None,
    ) -> None:  # fmt: skip
        self._store = store
        self._terminal = terminal
        self._build_starter = starter
        self._starter: Starter | None = None
        self._sender = sender
        self._watcher = watcher
        self._clock = clock
        self._watched: dict[SessionKey, Watched] = {}
        self._roster = PaneRoster(terminal, clock)
        self._delivery = Delivery(
            store=store, sender=sender, watcher=watcher, watched=self._watched,
            wake=self.start_agent, paused=paused,
        )  # fmt: skip
        self._wake = threading.Event()
        self._mailbox = Mailbox(self._wake.set)
        self._stopping = threading.Event()
        self._prompts_may_wait = self._modes_may_differ = True
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="agents", daemon=True)
        self.changed = threading.Condition()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let go; the Claudes go on. Whoever still asks gets an error."""
        self._mailbox.close()
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(ASK_TIMEOUT_S)
        self._mailbox.refuse_left()
        self._terminal.close()

    def nudge(self) -> None:
        """The store holds something new for the panes."""
        self._prompts_may_wait = self._modes_may_differ = True
        self._wake.set()

    def panes_changed(self) -> None:
        """tmux reported a birth or a death."""
        self._roster.expire()
        self._wake.set()

    def ask(self, act: Callable[[], T], *, timeout_s: float = ASK_TIMEOUT_S) -> T:
        """Run an act on the agents' thread and wait for its answer or its error.

        Raises:
            TimedOutError: The thread did not come to it; it is not done any more.
            ConflictError: The worker is ending.
        """
        if threading.current_thread() is self._thread:
            return act()
        return self._mailbox.ask(act, timeout_s=timeout_s)

    def start_agent(self, key: SessionKey) -> Agent:
        """Start or resume a sleeping Claude; an awake one is left alone. Agents' thread only.

        One whose login was refused in a turn reads its login anew only in a new process.
        """
        agent = self._store.agents.get(key)
        if agent.needs is Needs.LOGIN and agent.source == "hook":
            agent = self._put_to_sleep(key, "ended to log in anew", AgentState.ENDED)
        if agent.state not in ASLEEP:
            return agent
        self._terminal.ensure()
        if self._starter is None:
            self._starter = self._build_starter()
        self._watcher.clear(key)
        self._watcher.prepare(key)
        return self._begin(self._starter.start(key))

    def stop_agent(self, key: SessionKey, why: str) -> Agent:
        """End the Claude of a session; its files stay, what was queued for it is refused.

        Agents' thread only.
        """
        self._delivery.refuse_waiting(key, f"Not typed: {why}.")
        return self._put_to_sleep(key, why, AgentState.ENDED)

    def park_agent(self, key: SessionKey) -> Agent:
        """End an idle Claude until the next prompt resumes it. Agents' thread only.

        Raises:
            ConflictError: It is doing something, or is asked something.
        """
        agent = self._store.agents.get(key)
        if agent.state is not AgentState.IDLE or self._store.prompts.open_turns(key):
            raise ConflictError(
                f"Claude is {agent.state} in {key.session_id}, so it is not parked.",
                remedy="Wait until it is idle.",
            )
        return self._put_to_sleep(key, "parked until the next message", AgentState.PARKED)

    def _put_to_sleep(self, key: SessionKey, why: str, state: AgentState) -> Agent:
        agent = self._store.agents.get(key)
        watched = self._watched.get(key)
        if watched is not None and agent.state is AgentState.IDLE:
            self._watcher.wait_written(watched)
        if self._terminal.is_server_running():
            self._terminal.kill(key.tmux_name)
        if agent.state in {AgentState.ABSENT, AgentState.ENDED}:
            return agent
        if watched is not None:
            self._watcher.look(watched, Life(alive=False, gone=why))
        return self._end(self._store.agents.get(key), why, state)

    def _run(self) -> None:
        self._guard(self._resume_watching)
        while not self._stopping.is_set():
            self._wake.wait(self._tick_s())
            self._wake.clear()
            self._guard(self._tick)

    def _guard(self, act: Callable[[], None]) -> None:
        """The thread's edge: no failure ends it."""
        try:
            act()
        except BuilderError as error:
            logger.warning("agents' tick failed", extra={"why": error.message})
        except Exception:
            logger.exception("agents' tick failed")

    def _tick_s(self) -> float | None:
        if self._is_starting() or self._sender.is_waiting:
            return BUSY_TICK_S
        return IDLE_TICK_S if self._watched or self._prompts_may_wait else None

    def _tick(self) -> None:
        self._mailbox.do_all()
        if self._watched:
            every_s = START_LIST_EVERY_S if self._is_starting() else LIST_EVERY_S
            self._roster.refresh(every_s=every_s)
        news = [self._look_safely(key) for key in list(self._watched)]
        if self._modes_may_differ:
            self._fit_modes()
        if self._prompts_may_wait or self._sender.is_waiting:
            news.append(self._move_prompts())
        if any(news):
            with self.changed:
                self.changed.notify_all()

    def _move_prompts(self) -> bool:
        if self._clock.monotonic() < self._retry_at:
            return False
        self._prompts_may_wait = False
        step = self._delivery.move_all()
        if step is Step.FAILED:
            self._retry_at = self._clock.monotonic() + RETRY_S
        self._prompts_may_wait = self._prompts_may_wait or step is not Step.WAITING
        return step is Step.MOVED

    def _fit_modes(self) -> None:
        """An idle Claude that was started in another mode than its session's is started anew.

        One that works is looked at again when its turn is over, and after a prompt on its way.
        """
        self._modes_may_differ = False
        typed = {one.key for one in self._store.prompts.open() if one.receipt in ON_THE_WAY}
        for key, watched in list(self._watched.items()):
            session = self._store.sessions.get(key)
            mode = watched.agent.mode or SessionMode.UNATTENDED
            if session is None or session.mode is mode or watched.agent.state is not IDLE:
                continue
            if key in typed or self._store.prompts.open_turns(key):
                self._modes_may_differ = True
                continue
            try:
                self._put_to_sleep(key, f"started anew as {session.mode}", AgentState.PARKED)
                self.start_agent(key)
            except BuilderError as error:
                facts = {"session_id": key.session_id, "why": error.message}
                logger.warning("not started in its mode", extra=facts)

    def _is_starting(self) -> bool:
        return any(w.agent.state is AgentState.STARTING for w in self._watched.values())

    def _look_safely(self, key: SessionKey) -> bool:
        """One session's trouble must not hide the others."""
        try:
            return self._look(key)
        except BuilderError as error:
            logger.warning(
                "look failed", extra={"session_id": key.session_id, "why": error.message}
            )
        except Exception:
            logger.exception("look failed", extra={"session_id": key.session_id})
        return False

    def _look(self, key: SessionKey) -> bool:
        watched = self._watched[key]
        before = watched.agent
        start = self._starter.current(key) if self._starter is not None else None
        life = self._roster.life(before, started_at_s=start.began_at_s if start else None)
        if before.state is AgentState.STARTING and life.alive is False:
            self._start_failed(watched, life)
            return True
        if waits_at_first_screen(before) and life.has_exited:
            self._left_first_screen(watched, life)
            return True
        changed = self._watcher.look(watched, life)
        if changed:
            self._prompts_may_wait = True
            self._state_changed(before, watched)
        return changed

    def _state_changed(self, before: Agent, watched: Watched) -> None:
        agent = watched.agent
        if agent.state is before.state:
            return
        logger.info(
            "agent state",
            extra={"session_id": agent.key.session_id, "state": agent.state, "why": agent.evidence},
        )
        if before.state is AgentState.STARTING and agent.state is AgentState.IDLE:
            self._ready(watched)
        if agent.state is AgentState.ENDED:
            self._forget(agent.key)
        self._modes_may_differ = self._modes_may_differ or agent.state is IDLE

    def _ready(self, watched: Watched) -> None:
        """A start on the last rung says that the conversation is a new one."""
        start = self._starter.finished(watched.agent.key) if self._starter is not None else None
        if start is None or start.rung.note is None:
            return
        agent = replace(watched.agent, evidence=start.rung.note)
        self._store.agents.put(agent)
        watched.watch = replace(watched.watch, agent=agent)

    def _start_failed(self, watched: Watched, life: Life) -> None:
        """The process ended before it was ready: the next rung, or its last words."""
        screen = last_words(self._last_screen(watched.agent))
        reason = screen or life.gone
        try:
            agent = self._starter.next_rung(watched.agent.key) if self._starter else None
        except BuilderError as error:
            agent, reason = None, error.message
        if agent is None:
            self._end(watched.agent, f"{START_FAILED}: {reason}", AgentState.ENDED)
            return
        self._begin(agent)

    def _left_first_screen(self, watched: Watched, life: Life) -> None:
        """A person chose to exit there: to start it once more would be to ask once more."""
        why = f"{START_FAILED}: {last_words(self._last_screen(watched.agent)) or life.gone}"
        self._delivery.refuse_waiting(watched.agent.key, f"{why.rstrip('.')}.")
        self._end(watched.agent, why, AgentState.ENDED)

    def _begin(self, agent: Agent) -> Agent:
        self._watched[agent.key] = self._watcher.begin(agent, started_at=agent.since)
        self._roster.expire()
        return agent

    def _last_screen(self, agent: Agent) -> list[str]:
        try:
            return self._terminal.capture(agent.pane_id) if agent.pane_id else []
        except BuilderError:
            return []

    def _end(self, agent: Agent, why: str, state: AgentState) -> Agent:
        over = ended(agent, why, self._clock.now(), state)
        with self._store.transaction():
            self._store.prompts.end_turns(agent.key, TurnOutcome.FAILED, f"Claude ended: {why}.")
            self._store.agents.put(over)
        self._forget(agent.key)
        self._prompts_may_wait = True
        return over

    def _forget(self, key: SessionKey) -> None:
        self._watched.pop(key, None)
        self._watcher.forget(key)
        if self._starter is not None:
            self._starter.finished(key)

    def _resume_watching(self) -> None:
        """After a worker's restart: the Claudes of before, as far as their panes still live."""
        agents = self._store.agents.awake()
        if agents:
            self._roster.refresh()
        for agent in agents:
            born_at = self._roster.born_at(agent)
            self._watched[agent.key] = self._watcher.begin(agent, started_at=born_at)
            if agent.state is AgentState.STARTING:
                self._adopt_start(agent, born_at or self._clock.now())
        self._watcher.forget_sleeping()

    def _adopt_start(self, agent: Agent, began_at: datetime) -> None:
        try:
            self._starter = self._starter or self._build_starter()
        except BuilderError as error:
            logger.warning("no starter", extra={"why": error.message})
            return
        self._starter.adopt(agent, began_at)
