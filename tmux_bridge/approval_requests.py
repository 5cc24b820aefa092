"""The operator's decisions as the worker carries them out: answered, handed on, seen to be gone."""

from __future__ import annotations

from typing import cast

from core.clock import Clock, wait_for
from core.errors import ConflictError, NotFoundError, UsageError
from core.models.approval import AnsweredBy, Approval, ApprovalState, Decision
from core.models.execution import Json
from core.models.request import Request
from core.models.session import Session, SessionKey
from core.models.states import AgentState
from core.store.store import Store
from tmux_bridge.approvals import ApprovalDesk

GONE_S = 8.0
"""A Claude that has not taken an answer by then does not take it any more."""

POLL_S = 0.02
LOOK = "tmux-builder session attach {} shows what Claude waits for."


class ApprovalRequests:
    """Answers `RequestKind.DECIDE`, on the thread that takes the request."""

    def __init__(self, store: Store, desk: ApprovalDesk, clock: Clock) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock

    def decide(self, request: Request, _session: Session) -> dict[str, Json]:
        """Answer one question and wait until Claude does not ask it any more.

        The same decision again is the same decision: a worker may have died in the middle of it.

        Raises:
            NotFoundError: There is no such question.
            UsageError: It cannot be allowed for the whole session.
            ConflictError: It was answered, expired or withdrawn before, or Claude did not take it.
        """
        approval = self._required(request.key, str(request.payload["approval_id"]))
        decision = Decision(str(request.payload["decision"]))
        message = cast("str | None", request.payload.get("message"))
        newest = self._newest(request.key)
        self._answer(approval, decision, message)
        if not self._is_gone(approval, newest):
            raise ConflictError(
                f"Claude did not take the answer within {GONE_S:g} s: {approval.subject}",
                remedy=LOOK.format(request.key.session_id),
                code="not_taken",
            )
        return {
            "approval_id": approval.approval_id,
            "decision": str(decision),
            "tool": approval.tool_name,
            "subject": approval.subject,
            "message": message,
        }

    def _required(self, key: SessionKey, approval_id: str) -> Approval:
        approval = self._store.approvals.get(key, approval_id)
        if approval is None:
            raise NotFoundError(
                f"{key.session_id} has no approval {approval_id[:64]!r}.",
                remedy=f"tmux-builder session approvals {key.session_id}",
            )
        return approval

    def _answer(self, approval: Approval, decision: Decision, message: str | None) -> None:
        if approval.is_open and self._clock.now() >= approval.deadline_at:
            self._desk.expire(approval)
        elif approval.is_open:
            self._settle(approval, decision, message)
        now = self._required(approval.key, approval.approval_id)
        if not self._is_answered_so(now, decision, message):
            raise over(now)
        self._desk.write_missing(now)

    def _is_answered_so(self, now: Approval, decision: Decision, message: str | None) -> bool:
        if now.state is not decision.state or now.answered_by is not AnsweredBy.OPERATOR:
            return False
        if decision is Decision.ALLOW_SESSION:
            rule = now.rule_subject or ""
            return self._store.approvals.is_allowed(now.key, now.tool_name, rule)
        return decision is Decision.ALLOW or now.message == message

    def _settle(self, approval: Approval, decision: Decision, message: str | None) -> None:
        if decision is Decision.ALLOW_SESSION and approval.rule_subject is None:
            raise UsageError(
                f"This call can only be allowed once: {approval.subject}",
                remedy=f"tmux-builder session approve {approval.key.session_id}",
                code="only_once",
            )
        self._desk.settle(
            approval, decision.state, answered_by=AnsweredBy.OPERATOR,
            message=message if decision is Decision.DENY else None,
            for_session=decision is Decision.ALLOW_SESSION,
        )  # fmt: skip

    def _is_gone(self, approval: Approval, newest: str | None) -> bool:
        """Claude waits no more, asks something newer, or its hook has the answer beside others."""

        def gone() -> bool:
            key = approval.key
            if self._store.agents.get(key).state is not AgentState.NEEDS_YOU:
                return True
            if self._newest(key) != newest:
                return True
            return self._desk.is_taken(approval) and bool(self._store.approvals.open(key))

        return bool(wait_for(gone, deadline_s=GONE_S, interval_s=POLL_S, clock=self._clock))

    def _newest(self, key: SessionKey) -> str | None:
        found = self._store.approvals.newest(key, 1)
        return found[0].approval_id if found else None


def over(approval: Approval) -> ConflictError:
    """Why a question cannot be answered any more."""
    reasons = {
        ApprovalState.EXPIRED: "it was denied before, because nobody answered in time",
        ApprovalState.WITHDRAWN: "Claude does not ask it any more",
    }
    by = f" by the {approval.answered_by}" if approval.answered_by else ""
    reason = reasons.get(approval.state, f"it was {approval.state} before{by}")
    session_id = approval.key.session_id
    return ConflictError(
        f"The answer came too late, {reason}: {approval.subject}",
        remedy=f"tmux-builder session approvals {session_id} lists what is open.",
        code="expired" if approval.state is ApprovalState.EXPIRED else "already_answered",
    )
