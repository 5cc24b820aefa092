"""The worker's desk of approvals: takes what supervised Claudes ask, and sees that it is answered.

A question is a row before it is anything else, and its answer is a row before it is a file: after
a crash the next worker finds both and writes what was not written yet. Everything a pane can forge
here is an open question of its own session, at most `OPEN_LIMIT` of them.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core.clock import Clock
from core.errors import BuilderError
from core.models.approval import AnsweredBy, Approval, ApprovalState
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, SessionMode
from core.paths import SessionPaths
from core.store.store import Store
from tmux_bridge import approval_files
from tmux_bridge.approval_subjects import subject_of
from tmux_bridge.claude.hooks import HookEvent, HookName

OPEN_LIMIT = 20
"""More at once are no real questions: a Claude asks one after the other."""

RATE, RATE_S = 60, 10.0
"""So many questions of a session in so many seconds are looked at, the rest is dropped."""

GONE_AFTER_S = 1.0
"""A Claude that has not waited for so long asks no more: somebody answered in its pane."""

_ASLEEP = frozenset({AgentState.ABSENT, AgentState.PARKED, AgentState.ENDED})

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    """What is remembered of one session between two looks."""

    open: dict[str, Approval] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    asked_at: deque[float] = field(default_factory=deque)
    quiet_since_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What came of a look's events: those the state follows from, and questions to be stored."""

    events: Sequence[HookEvent]
    approvals: tuple[Approval, ...] = ()


class ApprovalDesk:
    """One per worker. `intake`, `store` and `look` belong to the agents' thread, the rest to any.

    Args:
        timeout_s: How long a question may stay unanswered.
    """

    def __init__(self, store: Store, clock: Clock, timeout_s: float) -> None:
        self._store = store
        self._clock = clock
        self._timeout_s = timeout_s
        self._seen: dict[SessionKey, _Seen] = {}
        self._lock = threading.RLock()

    def begin(self, key: SessionKey) -> None:
        """A Claude is watched from now on: find its open questions, write unwritten answers."""
        with self._lock:
            found = {one.approval_id: one for one in self._store.approvals.open(key)}
            self._seen[key] = _Seen(open=found)
        try:
            self.prepare(key)
            for approval in self._store.approvals.newest(key, approval_files.KEPT):
                self.write_missing(approval)
        except BuilderError as error:
            facts = {"session_id": key.session_id, "why": error.message}
            logger.warning("answers not written", extra=facts)

    def prepare(self, key: SessionKey) -> None:
        """Before a start: the folder of the answers is there and says how long they may take.

        Raises:
            StorageError: It cannot be written.
        """
        approval_files.prepare(self._paths(key), int(self._timeout_s))

    def intake(self, agent: Agent, events: Sequence[HookEvent]) -> Intake:
        """Turn the questions among a supervised Claude's events into approvals.

        What is answered at once, by a rule or by a limit, is not among the events that are left:
        nobody has to be told that Claude waits.
        """
        if agent.mode is not SessionMode.SUPERVISED:
            return Intake(events=events)
        left: list[HookEvent] = []
        made: list[Approval] = []
        for event in events:
            self._note_taken(agent.key, event)
            approval = self._asked(agent.key, event, made)
            made += [] if approval is None else [approval]
            if event.permission is None or (approval is not None and approval.is_open):
                left.append(event)
        return Intake(events=left, approvals=tuple(made))

    def store(self, approvals: Sequence[Approval]) -> None:
        """Keep them; inside the transaction of the look that found them."""
        for approval in approvals:
            self._store.approvals.add(approval)

    def stored(self, approvals: Sequence[Approval]) -> None:
        """They are committed: those that have an answer get it."""
        for approval in approvals:
            facts = {"session_id": approval.key.session_id, "state": str(approval.state)}
            logger.info("approval asked", extra=facts)
            if approval.is_open:
                with self._lock:
                    self._of(approval.key).open[approval.approval_id] = approval
            else:
                self._write_safely(approval)

    def look(self, agent: Agent) -> None:
        """After each look: what is over its time is denied, what nobody asks any more withdrawn."""
        seen = self._of(agent.key)
        if not seen.open:
            seen.quiet_since_s = None
            return
        if agent.state in _ASLEEP:
            self.withdraw(agent.key)
            return
        now = self._clock.now()
        for approval in list(seen.open.values()):
            if now >= approval.deadline_at:
                self.expire(approval)
        if self._has_moved_on(seen, agent.state):
            self.withdraw(agent.key)

    def withdraw(self, key: SessionKey) -> None:
        """Nobody asks any more; a hook that still waits learns that nothing was decided."""
        for approval in self._store.approvals.open(key):
            self.settle(approval, ApprovalState.WITHDRAWN)
        with self._lock:
            self._of(key).quiet_since_s = None

    def forget(self, key: SessionKey) -> None:
        """The Claude is gone."""
        self.withdraw(key)
        with self._lock:
            self._seen.pop(key, None)

    def withdraw_orphans(self) -> None:
        """At a worker's start: questions of Claudes that are no more."""
        for approval in self._store.approvals.open():
            if self._store.agents.get(approval.key).state in _ASLEEP:
                self.settle(approval, ApprovalState.WITHDRAWN)

    def expire(self, approval: Approval) -> None:
        """Its time is over: that is a deny, and says so."""
        self.settle(
            approval, ApprovalState.EXPIRED, answered_by=AnsweredBy.WORKER,
            message=self._nobody_answered(),
        )  # fmt: skip

    def settle(
        self, approval: Approval, state: ApprovalState, *,
        answered_by: AnsweredBy | None = None, message: str | None = None,
        for_session: bool = False,
    ) -> bool:  # fmt: skip
        """Record an answer and then write it; False where another came first.

        Args:
            for_session: Record its rule with it, in the same instant.

        Raises:
            StorageError: The operator's answer is recorded and could not be written; the same
                decision again, or the next worker, writes it.
        """
        key, rows = approval.key, self._store.approvals
        with self._store.transaction():
            won = rows.settle(
                key, approval.approval_id, state, answered_by=answered_by, message=message
            )
            if won and for_session and approval.rule_subject:
                rows.allow(key, approval.tool_name, approval.rule_subject)
        with self._lock:
            self._of(key).open.pop(approval.approval_id, None)
        if won:
            facts = {"session_id": key.session_id, "state": str(state)}
            logger.info("approval answered", extra=facts)
            now = replace(approval, state=state, answered_by=answered_by, message=message)
            is_told = answered_by is AnsweredBy.OPERATOR
            self._write(now) if is_told else self._write_safely(now)
        return won

    def write_missing(self, approval: Approval) -> None:
        """Write an answer whose worker died between its row and its file."""
        paths = self._paths(approval.key)
        if not approval.is_open and not approval_files.has_answer(paths, approval):
            self._write(approval)

    def is_taken(self, approval: Approval) -> bool:
        """Whether the hook has handed the answer on."""
        return approval.approval_id in self._of(approval.key).taken

    def _asked(
        self, key: SessionKey, event: HookEvent, made: Sequence[Approval]
    ) -> Approval | None:
        """The approval of an event; None where it asks for none, or for too many."""
        if event.permission is None or not self._is_in_time(key):
            return None
        known = self._store.approvals.get(key, _approval_id(event))
        if known is not None:
            return known
        subject, now = subject_of(event.permission), self._clock.now()
        created_at = min(event.at, now)
        approval = Approval(
            key=key, approval_id=_approval_id(event), tool_name=event.permission.tool_name,
            subject=subject.line, tool_input=subject.shown_input, rule_subject=subject.rule,
            event_sha256=event.permission.sha256, created_at=created_at,
            deadline_at=created_at + timedelta(seconds=self._timeout_s),
        )  # fmt: skip
        waiting = len(self._of(key).open) + sum(one.is_open for one in made)
        return self._judged(approval, now, waiting)

    def _judged(self, approval: Approval, now: datetime, waiting: int) -> Approval:
        """Allowed by a rule, denied by a limit, or open."""
        rule = approval.rule_subject
        answer: tuple[ApprovalState, AnsweredBy, str | None]
        if rule and self._store.approvals.is_allowed(approval.key, approval.tool_name, rule):
            answer = (ApprovalState.ALLOWED, AnsweredBy.RULE, None)
        elif now >= approval.deadline_at:
            answer = (ApprovalState.EXPIRED, AnsweredBy.WORKER, self._nobody_answered())
        elif waiting >= OPEN_LIMIT:
            words = f"{OPEN_LIMIT} questions of this session wait for the operator already."
            answer = (ApprovalState.DENIED, AnsweredBy.WORKER, words)
        else:
            return approval
        state, answered_by, message = answer
        return replace(
            approval, state=state, answered_by=answered_by, message=message, answered_at=now
        )

    def _is_in_time(self, key: SessionKey) -> bool:
        """A flood is dropped unread, so that it costs the other sessions nothing."""
        asked_at, now = self._of(key).asked_at, self._clock.monotonic()
        while asked_at and now - asked_at[0] > RATE_S:
            asked_at.popleft()
        if len(asked_at) >= RATE:
            return False
        asked_at.append(now)
        return True

    def _note_taken(self, key: SessionKey, event: HookEvent) -> None:
        if event.event == HookName.TAKEN and event.prompt_id:
            taken = self._of(key).taken
            if len(taken) >= RATE:
                taken.clear()
            taken.add(event.prompt_id[:64])

    def _has_moved_on(self, seen: _Seen, state: AgentState) -> bool:
        """Claude has not waited for a moment: long enough to be no gap between two questions."""
        now = self._clock.monotonic()
        if state is AgentState.NEEDS_YOU:
            seen.quiet_since_s = None
            return False
        if seen.quiet_since_s is None:
            seen.quiet_since_s = now
        return now - seen.quiet_since_s >= GONE_AFTER_S

    def _write_safely(self, approval: Approval) -> None:
        """On the agents' thread a full disk must not hold the other events up."""
        try:
            self._write(approval)
        except BuilderError as error:
            facts = {"session_id": approval.key.session_id, "why": error.message}
            logger.warning("answer not written", extra=facts)

    def _write(self, approval: Approval) -> None:
        approval_files.write_answer(self._paths(approval.key), approval)

    def _of(self, key: SessionKey) -> _Seen:
        with self._lock:
            return self._seen.setdefault(key, _Seen())

    def _paths(self, key: SessionKey) -> SessionPaths:
        return self._store.root.session(key.user_id, key.session_id)

    def _nobody_answered(self) -> str:
        minutes, seconds = divmod(int(self._timeout_s), 60)
        words = f"{minutes * 60 + seconds} s" if seconds else f"{minutes} min"
        return f"The operator was asked, but nobody answered within {words}."


def _approval_id(event: HookEvent) -> str:
    return event.name.removesuffix(".json")
