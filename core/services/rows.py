"""Reads session rows from the store: all of them in five queries, or those that changed."""

from __future__ import annotations

from datetime import datetime

from core.errors import NotFoundError
from core.models.cost import SessionCost
from core.models.execution import Execution, StepRecord
from core.models.overview import SessionRow
from core.models.session import Agent, Session, SessionKey
from core.models.states import Needs, SessionState
from core.services.context import Environment
from core.services.cost_reader import CostReader
from core.services.states import reason, run_step, shown_state

FEW = 40
"""Up to this many changed sessions are read one by one."""


class RowReader:
    """Joins session, agent and newest run into what one line shows."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._store = environment.store
        # Plain text: joining paths for thousands of rows costs more than reading them.
        self._root = str(environment.root.path)
        self._socket = str(environment.runtime.tmux_socket)
        self._costs = CostReader(self._store, lambda: environment.ceilings.today)

    def one(self, key: SessionKey) -> SessionRow:
        """Raises NotFoundError where there is no such session."""
        session = self._store.sessions.get(key)
        if session is None:
            raise NotFoundError(
                f"There is no session {key.session_id} of user {key.user_id}.",
                remedy="tmux-builder session list",
            )
        return self._read(session)

    def all(self) -> list[SessionRow]:
        """Every session, newest first."""
        emails = self._store.users.emails()
        agents, runs = self._store.agents.all(), self._store.executions.newest_of_all()
        steps = self._store.executions.current_steps()
        costs, nothing = self._costs.all(), SessionCost()
        now = self._environment.clock.now()
        rows = []
        for session in self._store.sessions.all():
            run = runs.get(session.key)
            step = None if run is None else steps.get(run.execution_id)
            agent = agents.get(session.key) or Agent(key=session.key)
            email = emails.get(session.key.user_id, "")
            cost = costs.get(session.key, nothing)
            rows.append(self._join(session, email, agent, run, step, now, cost))
        return rows

    def changed_since(self, change: int) -> tuple[list[SessionRow], int]:
        """The rows that changed after that counter, and the counter to ask with next time."""
        newest = self._store.sessions.change()
        if newest == change:
            return [], change
        changed = self._store.sessions.changed_since(change)
        if len(changed) <= FEW:
            return [self._read(session) for session in changed], newest
        wanted = {session.key for session in changed}
        return [row for row in self.all() if row.key in wanted], newest

    def _read(self, session: Session) -> SessionRow:
        user = self._store.users.get(session.key.user_id)
        run = self._store.executions.newest(session.key)
        steps = [] if run is None else self._store.executions.steps(run.execution_id)
        step = next((one for one in steps if run and one.n == run.current_step), None)
        agent = self._store.agents.get(session.key)
        email = "" if user is None else user.email
        now, cost = self._environment.clock.now(), self._costs.one(session.key)
        return self._join(session, email, agent, run, step, now, cost)

    def _join(
        self, session: Session, email: str, agent: Agent, run: Execution | None,
        step: StepRecord | None, now: datetime, cost: SessionCost,
    ) -> SessionRow:  # fmt: skip
        state = shown_state(session, agent, run)
        key = session.key
        return SessionRow(
            session=session,
            email=email,
            state=state,
            needs=(agent.needs or Needs.QUESTION) if state is SessionState.NEEDS_YOU else None,
            why=reason(state, session, agent, run, now),
            agent=agent,
            execution=run,
            step=run_step(run, step),
            path=f"{self._root}/{key.user_id}/sessions/{key.session_id}",
            tmux_socket=self._socket,
            cost=cost,
        )
