"""Starting and resuming a session's Claude: the ladder of ids, the pane, the start that failed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.clock import Clock
from core.errors import AnswerIsNoError
from core.injection.guard import verify_injection
from core.models.session import Agent, Session, SessionKey
from core.models.states import AgentState, SessionMode
from core.store.store import Store
from tmux_bridge.agents.delivery import START_FAILED
from tmux_bridge.agents.ladder import Rung, rungs
from tmux_bridge.claude.cli import ClaudeProgram
from tmux_bridge.claude.launch import (
    MAX_RETRIES,
    MODE,
    SUPERVISED_MODE,
    ClaudeLaunch,
    LaunchCommand,
    prepare_launch,
)
from tmux_bridge.tmux.panes import PaneInfo

logger = logging.getLogger(__name__)


class PaneMaker(Protocol):
    """What a start needs of tmux."""

    def create(self, name: str, argv: tuple[str, ...], folder: Path) -> PaneInfo: ...

    def kill(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContext:
    """What every start of this data root shares."""

    store: Store
    panes: PaneMaker
    clock: Clock
    program: ClaudeProgram
    secrets: Path
    environ: Mapping[str, str]
    isolation: bool
    model_url: Callable[[Session], str | None]
    mode: str = MODE
    """The CLI's permission mode of unattended sessions."""
    fit_mode: Callable[[Session], object] = lambda _session: None
    """Gives a session the pages of its mode, which may have changed since the last start."""
    max_retries: int = MAX_RETRIES
    network_limited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A start under way: the rung that is tried, those that are left, and when it began.

    `began_at_s` and `began_at` are the same instant, taken before the process existed.
    """

    rung: Rung
    left: tuple[Rung, ...]
    began_at_s: float
    began_at: datetime


class Starter:
    """Puts a Claude into a pane; readiness is judged by whoever watches its events."""

    def __init__(self, context: StartContext) -> None:
        self._context = context
        self._starts: dict[SessionKey, Start] = {}

    def start(self, key: SessionKey) -> Agent:
        """Begin at the first rung that can work; the record says `starting` afterwards.

        Raises:
            BuilderError: The session, its folders or a program is missing.
        """
        known = self._context.store.agents.claude_ids(key)
        return self._climb(key, rungs(known[-1] if known else None))

    def next_rung(self, key: SessionKey) -> Agent | None:
        """The process ended before it was ready: try the next rung, None after the last.

        Raises:
            BuilderError: As for `start`.
        """
        start = self._starts.pop(key, None)
        return self._climb(key, start.left) if start is not None and start.left else None

    def current(self, key: SessionKey) -> Start | None:
        """The start under way; None where none is known to this process."""
        return self._starts.get(key)

    def adopt(self, agent: Agent, began_at: datetime) -> None:
        """A former worker began this start; its clock begins again."""
        if agent.claude_session_id is None:
            return
        first, *left = rungs(agent.claude_session_id)
        now_s = self._context.clock.monotonic()
        self._starts[agent.key] = Start(
            rung=first, left=tuple(left), began_at_s=now_s, began_at=began_at
        )

    def finished(self, key: SessionKey) -> Start | None:
        """The Claude is ready or given up; returns what the start was."""
        return self._starts.pop(key, None)

    def _climb(self, key: SessionKey, ladder: tuple[Rung, ...]) -> Agent:
        context = self._context
        rung, *left = ladder
        context.fit_mode(context.store.sessions.require(key))
        session = context.store.sessions.require(key)
        self._refuse_edited(session)
        command = self._prepare(session, rung)
        start = Start(
            rung=rung, left=tuple(left), began_at_s=context.clock.monotonic(),
            began_at=context.clock.now(),
        )  # fmt: skip
        pane = self._open(session, command)
        self._starts[key] = start
        how = "resumed" if rung.resume else "started"
        logger.info("claude started", extra={"session_id": key.session_id, "how": how})
        return self._record(session, pane, start, how)

    def _refuse_edited(self, session: Session) -> None:
        """Settings and hooks that are not the product's start nothing; the record says which."""
        store, key = self._context.store, session.key
        try:
            digest = verify_injection(
                store.root.session(key.user_id, key.session_id), session.injection_sha256
            )
        except AnswerIsNoError as error:
            logger.warning(
                "settings were edited", extra={"session_id": key.session_id, "why": error.message}
            )
            refused = replace(
                store.agents.get(key), state=AgentState.ENDED, needs=None, question=None,
                source="store", evidence=f"{START_FAILED}: {error.message.rstrip('.')}",
                since=self._context.clock.now(),
            )  # fmt: skip
            store.agents.put(refused)
            raise
        if session.injection_sha256 is None:
            store.sessions.set_injection(key, digest)

    def _prepare(self, session: Session, rung: Rung) -> LaunchCommand:
        context, key = self._context, session.key
        launch = ClaudeLaunch(
            paths=context.store.root.session(key.user_id, key.session_id),
            program=context.program,
            claude_session_id=rung.claude_session_id,
            resume=rung.resume,
            model_url=context.model_url(session),
            environ=context.environ,
            isolation=context.isolation,
            mode=SUPERVISED_MODE if session.mode is SessionMode.SUPERVISED else context.mode,
            max_retries=context.max_retries,
            network_limited=context.network_limited,
        )
        return prepare_launch(launch, context.secrets)

    def _open(self, session: Session, command: LaunchCommand) -> PaneInfo:
        key, context = session.key, self._context
        folder = context.store.root.session(key.user_id, key.session_id).root
        try:
            context.panes.kill(key.tmux_name)
            return context.panes.create(key.tmux_name, command.argv, folder)
        except BaseException:
            command.discard()
            raise

    def _record(self, session: Session, pane: PaneInfo, start: Start, how: str) -> Agent:
        agent = replace(
            self._context.store.agents.get(session.key),
            state=AgentState.STARTING,
            needs=None,
            question=None,
            source="store",
            evidence=how,
            since=start.began_at,
            mode=session.mode,
            claude_session_id=start.rung.claude_session_id,
            server_pid=pane.server_pid,
            pane_id=pane.pane_id,
            pane_pid=pane.pane_pid,
        )
        self._context.store.agents.put(agent)
        return agent
