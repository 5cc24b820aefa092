"""Talking to a session's Claude: everything goes through the store to the worker."""

from __future__ import annotations

import uuid

from core.errors import (
    BuilderError,
    ConflictError,
    NeedsYouError,
    TimedOutError,
    UsageError,
    class_of,
)
from core.models.approval import Decision
from core.models.prompt import Prompt, Turn
from core.models.request import RequestKind
from core.models.session import SessionKey
from core.models.states import AgentState, PromptKind, Receipt
from core.models.transcript import ChatItem
from core.services.approvals import ApprovalService
from core.services.context import Environment
from core.services.rows import RowReader
from core.services.sessions import checked_text
from core.services.waiting import ask_worker, wait_on_store

BUSY_AFTER_S = 0.4
"""A wish still queued after this while Claude works waits its turn; nobody waits with it."""

UNTIL = ("idle", "needs_you")
CHOICES = (Decision.ALLOW, Decision.ALLOW_SESSION, Decision.DENY)
"""What 1, 2 and 3 mean where Claude asks for a permission."""


class ChatService:
    """Sends, waits, answers and reads."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._store = environment.store
        self._rows = RowReader(environment)

    def send(self, key: SessionKey, text: str) -> Prompt:
        """Queue a wish word for word and wake the worker.

        Raises:
            UsageError: It is empty or far too long.
            NeedsYouError: Claude waits for an answer; nothing was queued.
            LimitReachedError: A ceiling over today's spending is reached; nothing was queued.
            NotFoundError: There is no such session.
        """
        return self._queue(key, checked_text(text, "message"), PromptKind.WISH)

    def command(self, key: SessionKey, text: str) -> Prompt:
        """Queue one of Claude's own commands, such as `/compact`.

        Raises:
            UsageError: It does not begin with a slash, or is not one line.
            NeedsYouError, NotFoundError: As for `send`.
        """
        command = checked_text(text, "command").strip()
        if not command.startswith("/") or len(command) < 2 or not command.isprintable():
            raise UsageError(
                f"{command[:40]!r} is no command of Claude's: one line that begins with /.",
                remedy="tmux-builder session command S /compact",
            )
        return self._queue(key, command, PromptKind.COMMAND)

    def wait_receipt(self, prompt_id: str, timeout_s: float) -> Prompt:
        """The prompt when its receipt is final, Claude is busy with another, or the time is out."""
        started = self._environment.clock.monotonic()

        def settled() -> Prompt | None:
            prompt = self._prompt(prompt_id)
            if prompt.receipt.is_final:
                return prompt
            waited = self._environment.clock.monotonic() - started
            is_busy = prompt.receipt is Receipt.QUEUED and waited >= BUSY_AFTER_S
            if is_busy and self._store.agents.get(prompt.key).state is AgentState.WORKING:
                return prompt
            return None

        found = wait_on_store(self._environment, settled, timeout_s=timeout_s)
        return found or self._prompt(prompt_id)

    def wait_reply(self, prompt_id: str, timeout_s: float, until: str = "idle") -> Turn:
        """The turn that a prompt started: ended, or open while Claude needs the operator.

        Args:
            until: `idle` returns when the turn has ended or Claude needs you; `needs_you` the
                same, for a caller that hopes for the latter.

        Raises:
            TimedOutError: Neither came true, or nothing proves that the prompt arrived.
            NeedsYouError: Claude asks something before it could take the prompt.
            BuilderError: The prompt was refused, with its reason.
        """
        if until not in UNTIL:
            raise UsageError(
                f"{until[:40]!r} cannot be waited for.", remedy=f"Use {' or '.join(UNTIL)}."
            )

        def replied() -> Turn | None:
            prompt = self._prompt(prompt_id)
            if prompt.receipt in {Receipt.REFUSED, Receipt.UNKNOWN}:
                raise not_delivered(prompt)
            turn = self._store.prompts.turn(prompt_id)
            if turn is not None and turn.ended_at is not None:
                return turn
            agent = self._store.agents.get(prompt.key)
            if agent.state is not AgentState.NEEDS_YOU:
                return None
            if turn is None:
                raise _needs_you(prompt.key, agent.question)
            return turn

        turn = wait_on_store(self._environment, replied, timeout_s=timeout_s)
        if turn is None:
            session_id = self._prompt(prompt_id).key.session_id
            raise TimedOutError(
                f"Claude was not done with the message within {timeout_s:g} s.",
                remedy=f"It goes on: tmux-builder session logs {session_id} --chat.",
            )
        return turn

    def answer(self, key: SessionKey, digit: int, timeout_s: float) -> None:
        """Answer Claude's question by the number of a choice.

        A permission of a supervised session has three: allow once, allow for the session, deny.

        Raises:
            UsageError: Not 1 to 9, or no choice of a permission.
            ConflictError: Claude asks nothing.
            TimedOutError, BuilderError: What came of it.
        """
        if not 1 <= digit <= 9:
            raise UsageError(f"{digit} is no choice.", remedy="Answer with a number from 1 to 9.")
        self._rows.one(key)
        if self._store.agents.get(key).state is not AgentState.NEEDS_YOU:
            raise ConflictError(
                f"Claude asks nothing in {key.session_id}.",
                remedy=f'tmux-builder session send {key.session_id} "..."',
                code="nothing_asked",
            )
        if self._store.approvals.open(key):
            ApprovalService(self._environment).decide(key, _choice(digit), timeout_s=timeout_s)
            return
        ask_worker(
            self._environment, RequestKind.ANSWER, key, {"digit": digit}, timeout_s=timeout_s
        )

    def interrupt(self, key: SessionKey, timeout_s: float) -> None:
        """End Claude's turn, as Escape does."""
        self._ask(RequestKind.INTERRUPT, key, timeout_s)

    def stop(self, key: SessionKey, timeout_s: float) -> None:
        """End the Claude process; its files stay."""
        self._ask(RequestKind.STOP, key, timeout_s)

    def wake(self, key: SessionKey, timeout_s: float) -> None:
        """Start or resume the session's Claude, so that its pane can be attached."""
        self._ask(RequestKind.START, key, timeout_s)

    def items(self, key: SessionKey) -> list[ChatItem]:
        """The chat, oldest first, through every Claude that the session had."""
        transcripts = self._store.agents.transcripts(key)
        return self._environment.chat_reader.read(transcripts)

    def prompts(self, key: SessionKey) -> list[Prompt]:
        """What was sent, oldest first, with its receipts."""
        return self._store.prompts.of_session(key)

    def turn(self, prompt_id: str) -> Turn | None:
        """What Claude did for a prompt; None before it was accepted."""
        return self._store.prompts.turn(prompt_id)

    def _queue(self, key: SessionKey, text: str, kind: PromptKind) -> Prompt:
        row = self._rows.one(key)
        if row.agent.state is AgentState.NEEDS_YOU:
            raise _needs_you(key, row.agent.question)
        self._environment.ceilings.require_open(key.user_id)
        self._environment.worker.ensure_running()
        prompt = self._store.prompts.add(uuid.uuid4().hex, key, kind, text)
        self._environment.worker.wake()
        return prompt

    def _ask(self, kind: RequestKind, key: SessionKey, timeout_s: float) -> None:
        self._rows.one(key)
        ask_worker(self._environment, kind, key, timeout_s=timeout_s)

    def _prompt(self, prompt_id: str) -> Prompt:
        prompt = self._store.prompts.get(prompt_id)
        if prompt is None:
            raise UsageError(
                f"There is no prompt {prompt_id[:64]!r}.", remedy="Send the message again."
            )
        return prompt


def _choice(digit: int) -> Decision:
    if digit > len(CHOICES):
        raise UsageError(
            f"{digit} is no choice of a permission.",
            remedy="Answer 1 to allow it once, 2 to allow it for this session, 3 to deny it.",
        )
    return CHOICES[digit - 1]


def _needs_you(key: SessionKey, question: str | None) -> NeedsYouError:
    asked = f": {' '.join(question.split())[:200]}" if question else "."
    return NeedsYouError(
        f"Claude waits for an answer in {key.session_id}{asked}",
        remedy=f"tmux-builder session send {key.session_id} --answer N, or attach and look.",
    )


def not_delivered(prompt: Prompt) -> BuilderError:
    """Why a prompt did not arrive, with the exit code of its cause where that is known."""
    session_id = prompt.key.session_id
    reason = (prompt.reason or "no reason was recorded").rstrip(".")
    if prompt.receipt is Receipt.UNKNOWN:
        return TimedOutError(
            f"Nothing proves that the message arrived: {reason}.",
            remedy=f"Look before you send again: tmux-builder session attach {session_id}",
            code="receipt_unknown",
        )
    return class_of(prompt.error_exit, ConflictError)(
        f"The message was refused: {reason}.",
        remedy=f"tmux-builder status {session_id}",
        code="refused" if prompt.error_exit is None else None,
    )
