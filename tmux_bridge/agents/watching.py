"""One session's Claude under watch: events, registry entry and pane, fused and stored."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from core.clock import Clock
from core.models.prompt import Prompt, Receipt, TurnOutcome
from core.models.session import Agent, AgentState, SessionKey
from core.store.store import Store
from tmux_bridge.agents.sender import PromptSender, composer_is_drawn
from tmux_bridge.agents.terminal import Terminal
from tmux_bridge.claude.hooks import HookEvent, HookInbox
from tmux_bridge.claude.receipts import is_receipt
from tmux_bridge.claude.registry import RegistryEntry, read_registry
from tmux_bridge.claude.state import Evidence, TurnEnded, TurnFact, TurnStarted, Watch, fuse
from tmux_bridge.claude.transcript import TranscriptReader

REGISTRY_EVERY_S = 1.0
"""The level is read this often, and with every event."""

FAILURES = {
    "authentication_failed": "Claude is not logged in or its key is not valid.",
    "rate_limit": "Claude is rate-limited; try again later.",
    "server_error": "The Messages API failed after several tries.",
    "unknown": "The turn failed and Claude does not say why; attach to see the screen.",
}

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """What is remembered about one Claude between two looks."""

    inbox: HookInbox
    transcripts: TranscriptReader
    watch: Watch
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
        isolation: bool,
    ) -> None:  # fmt: skip
        self._store = store
        self._terminal = terminal
        self._sender = sender
        self._clock = clock
        self._isolation = isolation

    def begin(self, agent: Agent, *, fresh: bool) -> Watched:
        """Start to watch; a fresh start forgets the events of the process before it."""
        paths = self._store.root.session(agent.key.user_id, agent.key.session_id)
        inbox = HookInbox(paths.hooks, clock=self._clock)
        watched = Watched(
            inbox=inbox,
            transcripts=TranscriptReader(paths.claude_config, paths.root),
            watch=Watch(agent=agent, turn_open=bool(self._store.prompts.open_turns(agent.key))),
            started_at=agent.since if fresh else None,
        )
        if fresh:
            self.drain(inbox)
        return watched

    def drain(self, inbox: HookInbox) -> None:
        """Remove what a dead process left, so that it is not taken for news of the next."""
        while events := inbox.pending():
            inbox.consume(events)

    def look(self, watched: Watched, *, pane_alive: bool | None) -> None:
        """Read, fuse and commit once; events are removed only after the commit."""
        events = watched.inbox.pending()
        if events:
            watched.mark = events[-1].name
        evidence = self._evidence(watched, events, pane_alive)
        before = watched.watch
        watched.watch, facts = fuse(before, evidence)
        if facts or watched.agent != before.agent:
            with self._store.transaction():
                for fact in facts:
                    self._apply(watched.agent.key, fact)
                self._store.agents.put(watched.agent)
        watched.inbox.consume(events)

    def _evidence(
        self, watched: Watched, events: list[HookEvent], pane_alive: bool | None
    ) -> Evidence:
        starting = watched.agent.state is AgentState.STARTING
        if events or starting or self._is_due(watched):
            self._read_registry(watched)
        tail = None
        if watched.watch.wants_tail and watched.agent.transcript_path:
            tail = watched.transcripts.tail(Path(watched.agent.transcript_path))
        screen = self._screen(watched) if starting and pane_alive else []
        return Evidence(
            now=self._clock.now(),
            monotonic_s=self._clock.monotonic(),
            events=events,
            registry=watched.registry,
            pane_alive=pane_alive,
            prompt_drawn=composer_is_drawn(screen),
            screen=last_words(screen),
            tail=tail,
        )

    def _is_due(self, watched: Watched) -> bool:
        return self._clock.monotonic() - watched.registry_read_at >= REGISTRY_EVERY_S

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
        if watched.agent.pane_id is None or not watched.watch.started:
            age = self._age_s(watched)
            if age is None or age < 2.0 or watched.agent.pane_id is None:
                return []
        return self._terminal.capture(watched.agent.pane_id)

    def _age_s(self, watched: Watched) -> float | None:
        since = watched.agent.since
        return None if since is None else (self._clock.now() - since).total_seconds()

    def _apply(self, key: SessionKey, fact: TurnFact) -> None:
        if isinstance(fact, TurnStarted):
            self._accept(key, fact)
        else:
            self._end(key, fact)

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
        waiting = {Receipt.BUFFERED, Receipt.TYPED, Receipt.UNKNOWN}
        return [
            prompt
            for prompt in self._store.prompts.of_session(key)
            if prompt.receipt in waiting and fact.name > (prompt.mark or "")
        ]

    def _end(self, key: SessionKey, fact: TurnEnded) -> None:
        message = fact.message
        if fact.outcome is TurnOutcome.FAILED and message is not None:
            message = FAILURES.get(message, message)
        self._store.prompts.end_turns(key, fact.outcome, message)


def last_words(screen: list[str]) -> str:
    """The last lines with text, as one sentence-like string for a person."""
    words = [line.strip(" │─╭╮╰╯") for line in screen]
    return " / ".join(word for word in words if word)[-300:]


def ended(agent: Agent, evidence: str, now: datetime) -> Agent:
    """The record of a Claude that the product itself ended or lost."""
    return replace(
        agent, state=AgentState.ENDED, needs=None, question=None, source="store",
        evidence=evidence, since=now,
    )  # fmt: skip
