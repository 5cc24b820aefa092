"""What each Claude used, written to the store: after a turn, every half minute in a long one.

Transcripts and status line lie where the pane can write. A figure of theirs can only add to what
is recorded, is dated between the newest entry and now, and grows no faster than a Claude could
spend: a pane that forges them harms its own session, and not by more than that.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.accounts.ceilings import day_of
from core.clock import Clock, from_text
from core.errors import BuilderError
from core.models.cost import UsageEntry, UsageSource
from core.models.session import Agent, Session, SessionKey
from core.models.states import AgentState
from core.paths import SessionPaths
from core.store.store import Store
from tmux_bridge.claude.usage import CliTotal, MessageUsage, UsageReader

EVERY_S = 30.0
"""A long turn is looked at this often."""

SETTLED_S = 1.5
"""So long after a turn its last line and the status line are mostly written.

A busy computer takes longer, so each further look waits twice as long, up to `EVERY_S`.
"""

BURST_USD = 20.0
USD_PER_MINUTE = 10.0
"""More than that no Claude with all its sub-agents can spend at list prices."""

_DUST = 1e-9
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ASLEEP = frozenset({AgentState.ABSENT, AgentState.PARKED, AgentState.ENDED})

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Account:
    """What is remembered about one Claude's figures between two looks.

    Attributes:
        pending: Read, and not yet in the store.
        due_s: Monotonic second of the next reading; None while nothing can have changed.
        pause_s: After a turn: how long the reading after that one waits.
    """

    reader: UsageReader
    pending: list[MessageUsage] = field(default_factory=list)
    claude_prompt_id: str | None = None
    due_s: float | None = 0.0
    pause_s: float = EVERY_S


@dataclass(slots=True)
class _Allowance:
    """How much a session may have spent since its newest entry."""

    left_usd: float
    was_short: bool = False

    def take(self, usd: float) -> float:
        """As much of an amount as is plausible."""
        taken = min(usd, self.left_usd)
        self.was_short = self.was_short or taken < usd
        self.left_usd -= taken
        return taken


class Accountant:
    """Reads the figures of Claudes when they can have changed, and records what is plausible."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def open(self, paths: SessionPaths) -> Account:
        return Account(reader=UsageReader(paths.claude_config))

    def look(self, account: Account, agent: Agent, *, turn_ended: bool) -> None:
        """Settle where it is due; most looks cost nothing."""
        now_s = self._clock.monotonic()
        is_due = account.due_s is not None and now_s >= account.due_s
        if turn_ended or agent.state in _ASLEEP:
            account.due_s, account.pause_s = now_s + SETTLED_S, 2 * SETTLED_S
        elif agent.state is AgentState.WORKING and (account.due_s is None or is_due):
            account.due_s = now_s + EVERY_S
        elif is_due:
            wait_s, account.pause_s = account.pause_s, 2 * account.pause_s
            account.due_s = now_s + wait_s if wait_s < EVERY_S else None
        if not (is_due or turn_ended or agent.state in _ASLEEP):
            return
        try:
            self.settle(account, agent.key)
        except BuilderError as error:
            account.due_s = now_s + SETTLED_S
            logger.warning("usage not recorded", extra={"why": error.message})

    def settle(self, account: Account, key: SessionKey) -> None:
        """Record everything that was written up to now.

        Raises:
            StorageError: The store cannot be written; nothing is lost, the next call tries again.
        """
        session = self._store.sessions.get(key)
        if session is None:
            return
        account.pending += account.reader.new(self._store.agents.transcripts(key))
        if account.pending:
            account.claude_prompt_id = max(account.pending, key=_written).claude_prompt_id
        with self._store.transaction():
            since = self._since(session)
            allowance = self._allowance(since)
            changed = self._record_messages(session, account.pending, since, allowance)
            changed |= self._record_total(session, account, allowance)
        account.pending.clear()
        if allowance.was_short:
            logger.warning("figures of a pane not plausible", extra={"session_id": key.session_id})
        if changed:
            logger.info("usage recorded", extra={"session_id": key.session_id})

    def _record_messages(
        self, session: Session, messages: list[MessageUsage], since: datetime,
        allowance: _Allowance,
    ) -> bool:  # fmt: skip
        key, now = session.key, self._clock.now()
        known = self._store.usage.known(key, [one.message_id for one in messages])
        entries = []
        for one in messages:
            before, usd = known.get(one.message_id), 0.0 if session.simulated else one.usd
            if before is not None and before.tokens == one.tokens:
                continue
            if usd is not None:
                told = 0.0 if before is None else before.usd or 0.0
                usd = told + allowance.take(max(0.0, usd - told))
            at = min(max(one.at or now, since), now)
            entries.append(_entry(one, at, usd, is_scripted=session.simulated))
        return bool(entries) and self._store.usage.record(key, entries)

    def _record_total(self, session: Session, account: Account, allowance: _Allowance) -> bool:
        """What the CLI counts beyond the messages, as an entry of the newest turn.

        The higher of the two sums counts, so that a low total hides nothing.
        """
        key, usage = session.key, self._store.usage
        total = account.reader.total()
        if total is None or session.simulated or not self._is_own(key, total):
            return False
        now = self._clock.now()
        entry_id = f"status:{total.claude_session_id}:{account.claude_prompt_id}:{day_of(now)}"
        others = usage.of_conversation(key, total.claude_session_id, without=entry_id)
        counted = usage.counted(key, total.claude_session_id, total.usd)
        known = usage.known(key, [entry_id]).get(entry_id)
        told = 0.0 if known is None else known.usd or 0.0
        rest = max(0.0, counted - others)
        if rest - told > allowance.left_usd:
            allowance.was_short = True
            return False
        usage.set_total(key, total.claude_session_id, total.usd)
        if abs(rest - told) < _DUST:
            return False
        entry = UsageEntry(
            entry_id=entry_id, claude_session_id=total.claude_session_id,
            claude_prompt_id=account.claude_prompt_id, at=now, source=UsageSource.STATUS_LINE,
            usd=rest,
        )  # fmt: skip
        return usage.record(key, [entry])

    def _is_own(self, key: SessionKey, total: CliTotal) -> bool:
        return total.claude_session_id in self._store.agents.claude_ids(key)

    def _since(self, session: Session) -> datetime:
        """No new entry is older than the newest one, or than the session."""
        newest = self._store.usage.newest(session.key)
        return session.created_at if newest is None else from_text(newest)

    def _allowance(self, since: datetime) -> _Allowance:
        minutes = max(0.0, (self._clock.now() - since).total_seconds() / 60)
        return _Allowance(left_usd=BURST_USD + USD_PER_MINUTE * minutes)


def _written(message: MessageUsage) -> datetime:
    return message.at or _LONG_AGO


def _entry(
    message: MessageUsage, at: datetime, usd: float | None, *, is_scripted: bool
) -> UsageEntry:
    return UsageEntry(
        entry_id=message.message_id,
        claude_session_id=message.claude_session_id,
        claude_prompt_id=message.claude_prompt_id,
        at=at,
        source=UsageSource.SCRIPTED if is_scripted else UsageSource.TRANSCRIPT,
        model=message.model,
        tokens=message.tokens,
        usd=usd,
    )
