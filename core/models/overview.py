"""Rows of the lists: what one line about a user or a session says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from core.models.cost import SessionCost
from core.models.execution import Execution
from core.models.session import Agent, Session, SessionKey
from core.models.states import Needs, SessionState, StepState
from core.models.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """The step at which a session's newest run stands."""

    n: int
    name: str
    state: StepState


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session with everything its line needs. `why` says source, age and evidence."""

    session: Session
    email: str
    state: SessionState
    needs: Needs | None
    why: str
    agent: Agent
    execution: Execution | None
    step: RunStep | None
    path: str
    tmux_socket: str
    cost: SessionCost = field(default_factory=SessionCost)

    @property
    def key(self) -> SessionKey:
        return self.session.key


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """A user with the count of its sessions and its last change."""

    user: User
    sessions: int
    updated_at: datetime
    path: str
