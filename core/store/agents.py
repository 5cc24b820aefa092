"""The Claude process of each session and every Claude id a session ever had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.clock import Clock, to_text
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, Needs, SessionMode
from core.redaction import redacted
from core.store.columns import instant, text
from core.store.database import Database, Row
from core.store.sessions import touch

_COLUMNS = (
    "user_id, session_id, state, needs, source, evidence, since, claude_session_id,"
    " transcript_path, server_pid, pane_id, pane_pid, question, mode"
)


class Agents:
    """One row per session that ever had a Claude."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, agent: Agent) -> None:
        """Write the whole record; unchanged ones cost a read only."""
        agent = replace(agent, evidence=redacted(agent.evidence))
        if self.get(agent.key) == agent:
            return
        marks = ", ".join("?" * 14)
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO agents ({_COLUMNS}) VALUES ({marks})",
                (
                    agent.key.user_id, agent.key.session_id, agent.state, agent.needs,
                    agent.source, agent.evidence, text(agent.since), agent.claude_session_id,
                    agent.transcript_path, agent.server_pid, agent.pane_id, agent.pane_pid,
                    agent.question, agent.mode,
                ),
            )  # fmt: skip
            if agent.claude_session_id:
                self._remember(agent)
            touch(connection, agent.key, self._clock.now())

    def get(self, key: SessionKey) -> Agent:
        """The record; an absent one for a session that never had a Claude."""
        row = self._database.row(
            "SELECT * FROM agents WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )
        return Agent(key=key) if row is None else _agent(row)

    def all(self) -> dict[SessionKey, Agent]:
        agents = (_agent(row) for row in self._database.rows("SELECT * FROM agents"))
        return {agent.key: agent for agent in agents}

    def awake(self) -> list[Agent]:
        """Agents that have, or should have, a living process."""
        rows = self._database.rows(
            "SELECT * FROM agents WHERE state IN ('starting', 'idle', 'working', 'needs_you')"
        )
        return [_agent(row) for row in rows]

    def transcripts(self, key: SessionKey) -> list[Path]:
        """Every transcript of the session, oldest first."""
        rows = self._database.rows(
            "SELECT transcript_path FROM claude_ids WHERE user_id = ? AND session_id = ?"
            " AND transcript_path IS NOT NULL ORDER BY created_at",
            (key.user_id, key.session_id),
        )
        return [Path(row["transcript_path"]) for row in rows]

    def claude_ids(self, key: SessionKey) -> list[str]:
        """Every Claude session id that the session owns, oldest first."""
        rows = self._database.rows(
            "SELECT claude_session_id FROM claude_ids WHERE user_id = ? AND session_id = ?"
            " ORDER BY created_at",
            (key.user_id, key.session_id),
        )
        return [row["claude_session_id"] for row in rows]

    def _remember(self, agent: Agent) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO claude_ids (user_id, session_id, claude_session_id, transcript_path,"
                " created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " transcript_path = COALESCE(excluded.transcript_path, transcript_path)",
                (
                    agent.key.user_id, agent.key.session_id, agent.claude_session_id,
                    agent.transcript_path, to_text(self._clock.now()),
                ),
            )  # fmt: skip


def _agent(row: Row) -> Agent:
    return Agent(
        key=SessionKey(row["user_id"], row["session_id"]),
        state=AgentState(row["state"]),
        needs=None if row["needs"] is None else Needs(row["needs"]),
        source=row["source"],
        evidence=row["evidence"],
        since=instant(row["since"]),
        claude_session_id=row["claude_session_id"],
        transcript_path=row["transcript_path"],
        server_pid=row["server_pid"],
        pane_id=row["pane_id"],
        pane_pid=row["pane_pid"],
        question=row["question"],
        mode=None if row["mode"] is None else SessionMode(row["mode"]),
    )
