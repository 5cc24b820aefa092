"""Modes and approvals as front ends see them: what is asked, the answers, what was allowed."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ConflictError, NotFoundError, UsageError
from core.models.approval import Allowance, Approval, Decision
from core.models.execution import Json
from core.models.request import RequestKind
from core.models.session import SessionKey
from core.models.states import AgentState, SessionMode
from core.services.context import Environment
from core.services.rows import RowReader
from core.services.waiting import ask_worker

MESSAGE_CHARS = 2000
_ASLEEP = frozenset({AgentState.ABSENT, AgentState.PARKED, AgentState.ENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChange:
    """A session's mode from now on.

    Attributes:
        restart_needed: Its Claude runs in the other mode; the worker starts it anew.
        after_turn: It does so when the turn that is under way has ended.
    """

    mode: SessionMode
    restart_needed: bool
    after_turn: bool


class ApprovalService:
    """Everything about who decides what a session's Claude may do."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._store = environment.store
        self._rows = RowReader(environment)

    def open(self, key: SessionKey | None = None) -> list[Approval]:
        """What waits for an answer, of one session or of all, oldest first.

        Raises:
            NotFoundError: There is no such session.
        """
        self._require(key)
        return self._store.approvals.open(key)

    def rules(self, key: SessionKey | None = None) -> list[Allowance]:
        """What sessions were allowed for good, oldest first.

        Raises:
            NotFoundError: There is no such session.
        """
        self._require(key)
        return self._store.approvals.allowances(key)

    def decide(
        self, key: SessionKey, decision: Decision, *, approval_id: str | None = None,
        message: str | None = None, timeout_s: float,
    ) -> dict[str, Json]:  # fmt: skip
        """Answer a question and wait until Claude has taken the answer.

        Args:
            approval_id: The oldest open question where it is not given.
            message: What Claude is told with a deny, word for word.

        Raises:
            UsageError: A bad message, or a call that cannot be allowed for the session.
            NotFoundError: No such session or approval.
            ConflictError: Nothing is asked, or it was answered, expired or withdrawn before, or
                Claude did not take the answer.
            TimedOutError: The worker did not answer.
        """
        said = None if message is None else checked_message(message)
        self._rows.one(key)
        wanted = approval_id or self._oldest(key)
        payload: dict[str, Json] = {
            "approval_id": wanted, "decision": str(decision), "message": said,
        }  # fmt: skip
        return ask_worker(self._environment, RequestKind.DECIDE, key, payload, timeout_s=timeout_s)

    def set_mode(self, key: SessionKey, mode: SessionMode) -> ModeChange:
        """Change who decides. An idle Claude is started anew at once, a working one afterwards.

        Raises:
            NotFoundError: There is no such session.
        """
        row = self._rows.one(key)
        if row.session.mode is not mode:
            self._store.sessions.set_mode(key, mode)
        agent = self._store.agents.get(key)
        is_awake = agent.state not in _ASLEEP
        needed = is_awake and (agent.mode or SessionMode.UNATTENDED) is not mode
        if needed:
            self._environment.worker.ensure_running()
            self._environment.worker.wake()
        return ModeChange(
            mode=mode, restart_needed=needed,
            after_turn=needed and agent.state is not AgentState.IDLE,
        )  # fmt: skip

    def forget_rule(self, key: SessionKey, tool_name: str, subject: str) -> Allowance:
        """Take back what was allowed for the session: it is asked again from now on.

        Raises:
            NotFoundError: There is no such session, or no such rule.
        """
        for rule in self.rules(key):
            if (rule.tool_name, rule.subject) == (tool_name, subject):
                self._store.approvals.disallow(key, tool_name, subject)
                return rule
        raise NotFoundError(
            f"{key.session_id} has no rule for {tool_name} and {subject[:80]!r}.",
            remedy=f"tmux-builder session approvals {key.session_id} --rules",
        )

    def forget_rules(self, key: SessionKey) -> list[Allowance]:
        """Take all of a session's rules back; which they were."""
        rules = self.rules(key)
        for rule in rules:
            self._store.approvals.disallow(key, rule.tool_name, rule.subject)
        return rules

    def _oldest(self, key: SessionKey) -> str:
        found = self._store.approvals.open(key)
        if not found:
            raise nothing_asked(key)
        return found[0].approval_id

    def _require(self, key: SessionKey | None) -> None:
        if key is not None:
            self._rows.one(key)


def nothing_asked(key: SessionKey) -> ConflictError:
    return ConflictError(
        f"Claude asks for no permission in {key.session_id}.",
        remedy="tmux-builder session approvals shows what is asked anywhere.",
        code="nothing_asked",
    )


def checked_message(message: str) -> str:
    """A sentence for Claude: bounded, printable text.

    Raises:
        UsageError: It is empty, too long, or no plain text.
    """
    text = message.strip()
    if not text:
        raise UsageError("The message is empty.", remedy="Give a sentence, or leave it out.")
    if len(text) > MESSAGE_CHARS:
        raise UsageError(
            f"The message has {len(text)} characters, more than {MESSAGE_CHARS}.",
            remedy="Say it shorter; a longer text goes with tmux-builder session send.",
        )
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise UsageError(
            "The message holds characters that cannot be shown.", remedy="Give plain text."
        )
    return text
