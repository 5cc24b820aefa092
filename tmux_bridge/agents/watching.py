"""One session's Claude under watch: events, registry entry and pane, fused and stored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from core.clock import Clock, wait_for
from core.models.prompt import NOT_LOGGED_IN, RATE_LIMITED, Prompt
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, Receipt, TurnOutcome
from core.store.store import Store
from tmux_bridge.agents.accounting import Account, Accountant
from tmux_bridge.agents.memory_audit import MemoryAudit
from tmux_bridge.agents.roster import Life
from tmux_bridge.agents.screen import composer_is_drawn, last_words
from tmux_bridge.agents.sender import PromptSender
from tmux_bridge.agents.terminal import Terminal
from tmux_bridge.approvals import ApprovalDesk
from tmux_bridge.claude.hooks import HookEvent
from tmux_bridge.claude.inbox import FLOODED, HookInbox
from tmux_bridge.claude.receipts import is_receipt
from tmux_bridge.claude.registry import RegistryEntry, read_registry
from tmux_bridge.claude.state import Evidence, TurnEnded, TurnFact, TurnStarted, Watch, fuse
from tmux_bridge.claude.transcript import TranscriptReader

REGISTRY_EVERY_S = 1.0
"""The level is read this often, and with every event."""

DOUBT_EVERY_S = 0.2
"""The same while it contradicts the events, or while a person's answer is awaited."""

SCREEN_AFTER_S = 2.0
"""A start without an event for so long is looked at on the screen."""

WRITTEN_S = 1.0

FAILURES = {
    "authentication_failed": NOT_LOGGED_IN,
    "rate_limit": RATE_LIMITED,
    "server_error": "The Messages API failed after several tries",
    "unknown": "The turn failed, and Claude gives no kind of reason",
}

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """What is remembered about one Claude between two looks."""

    inbox: HookInbox
    transcripts: TranscriptReader
    watch: Watch
    account: Account
    memory: MemoryAudit
    mark: str = ""
    registry_read_at: float = 0.0
    registry: RegistryEntry | None = None
    started_at: datetime | None = None

    @property
    def agent(self) -> Agent:
        return self.watch.agent


class Watcher:
    """Looks at one Claude: reads every signal, fuses them, commits what follows."""

    def __init__(
        self, store: Store, terminal: Terminal, sender: PromptSender, clock: Clock, *,
        isolation: bool, desk: ApprovalDesk,
    ) -> None:  # fmt: skip
        self._store = store
        self._terminal = terminal
        self._sender = sender
        self._clock = clock
        self._isolation = isolation
        self._desk = desk
        self._accountant = Accountant(store, clock)

    def begin(self, agent: Agent, *, started_at: datetime | None) -> Watched:
        """Start to watch.

        Args:
            agent: As the store knows it.
            started_at: Processes older than this are not this one; None where nobody knows.
        """
        paths = self._store.root.session(agent.key.user_id, agent.key.session_id)
        self._desk.begin(agent.key)
        return Watched(
            inbox=HookInbox(paths.hooks, clock=self._clock),
            transcripts=TranscriptReader(paths.claude_config, paths.root),
            watch=Watch(agent=agent, turn_open=bool(self._store.prompts.open_turns(agent.key))),
            account=self._accountant.open(paths),
            memory=MemoryAudit(agent.key, paths),
            started_at=started_at,
        )

    def clear(self, key: SessionKey) -> None:
        """Forget what a dead process left, so that it is not taken for news of the next."""
        self._desk.withdraw(key)
        paths = self._store.root.session(key.user_id, key.session_id)
        HookInbox(paths.hooks, clock=self._clock).discard()
        self._store.prompts.end_turns(key, TurnOutcome.FAILED, "Claude ended during the turn.")

    def prepare(self, key: SessionKey) -> None:
        """Before a start: what its hooks need is there.

        Raises:
            StorageError: It cannot be written.
        """
        self._desk.prepare(key)

    def forget(self, key: SessionKey) -> None:
        """The process is gone."""
        self._desk.forget(key)

    def forget_sleeping(self) -> None:
        """At a worker's start: what Claudes asked that ended while no worker was there."""
        self._desk.withdraw_orphans()

    def look(self, watched: Watched, life: Life) -> bool:
        """Read, fuse and commit once; whether anything changed.

        What was read is remembered and removed only after the commit.
        """
        events = watched.inbox.pending()
        before = watched.watch
        asked = self._desk.intake(before.agent, events)
        after, facts = fuse(before, self._evidence(watched, asked.events, life))
        after = _with_warning(after, watched.inbox)
        changed = bool(facts) or after.agent != before.agent
        if changed or asked.approvals:
            with self._store.transaction():
                for fact in facts:
                    self._apply(after.agent.key, fact)
                self._store.agents.put(after.agent)
                self._desk.store(asked.approvals)
        watched.watch = after
        self._desk.stored(asked.approvals)
        self._desk.look(after.agent)
        if events:
            watched.mark = events[-1].name
            watched.memory.look(events)
            watched.inbox.consume(events)
        has_ended = any(isinstance(fact, TurnEnded) for fact in facts)
        self._accountant.look(watched.account, after.agent, turn_ended=has_ended)
        return changed

    def wait_written(self, watched: Watched) -> None:
        """Give an idle Claude a moment to write its last turn, or it cannot be resumed."""
        path = watched.agent.transcript_path
        if path is not None:
            wait_for(
                lambda: watched.transcripts.tail(Path(path)).is_finished,
                deadline_s=WRITTEN_S, interval_s=0.02, clock=self._clock,
            )  # fmt: skip

    def mark(self, watched: Watched) -> str:
        """The newest event up to now: only a later one answers what is typed next.

        A forged name from the future must not hide the receipt.
        """
        now = f"{self._clock.now().timestamp() * 1e9:.0f}"
        return min(watched.inbox.newest() or watched.mark, now)

    def _evidence(self, watched: Watched, events: Sequence[HookEvent], life: Life) -> Evidence:
        starting = watched.agent.state is AgentState.STARTING
        if events or starting or self._is_due(watched):
            self._read_registry(watched)
        tail = None
        if watched.watch.wants_tail and watched.agent.transcript_path:
            tail = watched.transcripts.tail(Path(watched.agent.transcript_path))
        screen = self._screen(watched) if starting and life.alive else []
        return Evidence(
            now=self._clock.now(),
            monotonic_s=self._clock.monotonic(),
            events=events,
            registry=watched.registry,
            pane_alive=life.alive,
            gone=life.gone,
            prompt_drawn=composer_is_drawn(screen),
            screen=last_words(screen),
            tail=tail,
        )

    def _is_due(self, watched: Watched) -> bool:
        doubt = watched.watch.disagrees_since_s is not None
        asked = watched.agent.state is AgentState.NEEDS_YOU
        every_s = DOUBT_EVERY_S if doubt or asked else REGISTRY_EVERY_S
        return self._clock.monotonic() - watched.registry_read_at >= every_s

    def _read_registry(self, watched: Watched) -> None:
        watched.registry_read_at = self._clock.monotonic()
        key = watched.agent.key
        watched.registry = read_registry(
            self._store.root.session(key.user_id, key.session_id).claude_config,
            watched.agent.claude_session_id,
            started_after=watched.started_at,
            own_pids=not self._isolation,
        )

    def _screen(self, watched: Watched) -> list[str]:
        """The screen of a start, once there is something to see on it."""
        agent = watched.agent
        if agent.pane_id is None or not (watched.watch.started or self._is_slow(agent)):
            return []
        return self._terminal.capture(agent.pane_id)

    def _is_slow(self, agent: Agent) -> bool:
        if agent.since is None:
            return True
        return (self._clock.now() - agent.since).total_seconds() >= SCREEN_AFTER_S

    def _apply(self, key: SessionKey, fact: TurnFact) -> None:
        if isinstance(fact, TurnStarted):
            self._accept(key, fact)
        else:
            self._store.prompts.end_turns(key, fact.outcome, _message(fact))

    def _accept(self, key: SessionKey, fact: TurnStarted) -> None:
        for prompt in self._waiting(key, fact):
            if is_receipt(self._sender.text_for_pane(prompt), fact.prompt):
                self._store.prompts.move(
                    prompt.prompt_id, Receipt.ACCEPTED, claude_prompt_id=fact.claude_prompt_id
                )
                self._store.prompts.begin_turn(prompt)
                self._sender.forget(prompt.prompt_id)
                logger.info("prompt accepted", extra={"prompt_id": prompt.prompt_id})
                return
        logger.info("foreign prompt", extra={"session_id": key.session_id})

    def _waiting(self, key: SessionKey, fact: TurnStarted) -> list[Prompt]:
        """What may have been typed, the certainly typed first: a late receipt is the rarer case."""
        typed = {Receipt.BUFFERED, Receipt.TYPED}
        newer = [
            prompt
            for prompt in self._store.prompts.of_session(key)
            if prompt.receipt in {*typed, Receipt.UNKNOWN} and fact.name > (prompt.mark or "")
        ]
        return sorted(newer, key=lambda prompt: prompt.receipt not in typed)


def _with_warning(watch: Watch, inbox: HookInbox) -> Watch:
    """A flooded folder is told with the state, which it may make late."""
    evidence = watch.agent.evidence
    if not inbox.is_flooded or evidence.endswith(FLOODED):
        return watch
    return replace(watch, agent=replace(watch.agent, evidence=f"{evidence}; {FLOODED}"))


def _message(fact: TurnEnded) -> str | None:
    """Claude's last words, or one clear sentence about the failure."""
    kind, _, detail = (fact.message or "").partition(": ")
    if fact.outcome is not TurnOutcome.FAILED or kind not in FAILURES:
        return fact.message
    return f"{FAILURES[kind]} ({detail})." if detail else f"{FAILURES[kind]}."


def ended(
    agent: Agent, evidence: str, now: datetime, state: AgentState = AgentState.ENDED
) -> Agent:
    """The record of a Claude that the product itself ended or lost."""
    return replace(
        agent, state=state, needs=None, question=None, source="store", evidence=evidence, since=now
    )
