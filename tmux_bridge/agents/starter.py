"""Starting and resuming a session's Claude: the ladder of ids, the pane, the start that failed.

The CLI writes its transcript late, so a conversation that existed may not be resumable: resume
comes first, then the same id anew, then a new id, which the session then owns too.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from core.clock import Clock
from core.errors import NotFoundError
from core.models.session import Agent, AgentState, Session, SessionKey
from core.store.store import Store
from tmux_bridge.claude.cli import ClaudeProgram
from tmux_bridge.claude.launch import ClaudeLaunch, prepare_launch
from tmux_bridge.tmux.panes import PaneInfo

logger = logging.getLogger(__name__)


class Rung(IntEnum):
    """How a start gets its Claude id."""

    RESUME = 0
    SAME_ID = 1
    NEW_ID = 2


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


@dataclass(slots=True)
class Start:
    """A start under way."""

    rung: Rung
    began: float
    claude_session_id: str


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
        rung = Rung.RESUME if known else Rung.NEW_ID
        return self._launch(key, rung, known[-1] if known else str(uuid.uuid4()))

    def next_rung(self, key: SessionKey) -> Agent | None:
        """The process ended before it was ready: try the next rung, None after the last."""
        start = self._starts.get(key)
        if start is None or start.rung is Rung.NEW_ID:
            self._starts.pop(key, None)
            return None
        rung = Rung(start.rung + 1)
        same = start.claude_session_id
        return self._launch(key, rung, same if rung is Rung.SAME_ID else str(uuid.uuid4()))

    def age_s(self, key: SessionKey) -> float | None:
        """Seconds since the current start began; None where none is known to this process."""
        start = self._starts.get(key)
        return None if start is None else self._context.clock.monotonic() - start.began

    def adopt(self, key: SessionKey, claude_session_id: str) -> None:
        """A former worker began this start; its clock begins again."""
        began = self._context.clock.monotonic()
        self._starts.setdefault(key, Start(Rung.RESUME, began, claude_session_id))

    def finished(self, key: SessionKey) -> Start | None:
        """The Claude is ready or given up; returns what the start was."""
        return self._starts.pop(key, None)

    def _launch(self, key: SessionKey, rung: Rung, claude_session_id: str) -> Agent:
        context = self._context
        session = context.store.sessions.get(key)
        if session is None:
            raise NotFoundError(
                f"There is no session {key.session_id}.", remedy="tmux-builder session list"
            )
        paths = context.store.root.session(key.user_id, key.session_id)
        command = prepare_launch(
            ClaudeLaunch(
                paths=paths,
                program=context.program,
                claude_session_id=claude_session_id,
                resume=rung is Rung.RESUME,
                model_url=context.model_url(session),
                environ=context.environ,
                isolation=context.isolation,
            ),
            context.secrets,
        )
        try:
            context.panes.kill(key.tmux_name)
            pane = context.panes.create(key.tmux_name, command.argv, paths.root)
        except BaseException:
            command.discard()
            raise
        self._starts[key] = Start(rung, context.clock.monotonic(), claude_session_id)
        logger.info("claude started", extra={"session_id": key.session_id, "rung": rung.name})
        return self._record(key, pane, claude_session_id, rung)

    def _record(self, key: SessionKey, pane: PaneInfo, claude_id: str, rung: Rung) -> Agent:
        agent = replace(
            self._context.store.agents.get(key),
            state=AgentState.STARTING,
            needs=None,
            question=None,
            source="store",
            evidence=f"started ({rung.name.lower().replace('_', ' ')})",
            since=self._context.clock.now(),
            claude_session_id=claude_id,
            server_pid=pane.server_pid,
            pane_id=pane.pane_id,
            pane_pid=pane.pane_pid,
        )
        self._context.store.agents.put(agent)
        return agent
