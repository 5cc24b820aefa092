"""Step 3: Claude gets the brief and writes the site.

The prompt's row decides everything after a crash: a text that may have reached Claude is never
sent again, because a second sending costs a turn and may undo the first.
"""

from __future__ import annotations

import logging

from core.clock import wait_for
from core.errors import (
    AnswerIsNoError,
    BuilderError,
    CancelledError,
    LimitReachedError,
    LoginNeededError,
    NeedsYouError,
    NothingToDeployError,
    TimedOutError,
    class_of,
)
from core.models.execution import LogLevel
from core.models.prompt import NOT_LOGGED_IN, RATE_LIMITED, Prompt, Turn
from core.models.states import AgentState, PromptKind, Receipt, TurnOutcome
from core.pipeline.step import StepContext, StepOutcome

_ASK_S = 0.5

logger = logging.getLogger(__name__)


class GenerateSite:
    """Send once, wait for the receipt and the end of the turn, then look at what was written."""

    name = "generate_site"

    def run(self, ctx: StepContext) -> StepOutcome:
        return _judge(ctx, self._wait(ctx))

    def probe(self, ctx: StepContext) -> StepOutcome | None:
        turn = ctx.store.prompts.turn(ctx.idempotency_key)
        return None if turn is None or turn.outcome is None else _judge(ctx, turn)

    def abandon(self, ctx: StepContext) -> None:
        """A brief that still waits is withdrawn; a turn that runs is interrupted."""
        prompt = ctx.store.prompts.get(ctx.idempotency_key)
        if prompt is None:
            return
        if _withdraw(ctx, prompt, "The operator cancelled the run."):
            return
        turn = ctx.store.prompts.turn(prompt.prompt_id)
        if not prompt.receipt.is_final or (turn is not None and turn.outcome is None):
            ctx.ports.agent.interrupt(ctx.key)
            ctx.log("Claude's turn interrupted", level=LogLevel.WARN)

    def _prompt(self, ctx: StepContext) -> Prompt:
        prompt_id = ctx.idempotency_key
        known = ctx.store.prompts.get(prompt_id)
        if known is not None:
            return known
        brief = ctx.ports.briefs(ctx.session)
        prompt = ctx.store.prompts.add(
            prompt_id, ctx.key, PromptKind.BRIEF, brief, ctx.execution.execution_id
        )
        ctx.log("brief queued", {"prompt_id": prompt_id, "bytes": len(brief.encode())})
        return prompt

    def _wait(self, ctx: StepContext) -> Turn:
        """The ended turn; while Claude waits for a person the run stays running.

        Every round looks at the prompt anew: it may have been refused meanwhile.
        """
        while True:
            _wait_while_paused(ctx)
            prompt = self._prompt(ctx)
            _require_sendable(ctx, prompt)
            try:
                turn = self._until_asked(ctx, prompt)
            except TimedOutError:
                prompt = self._prompt(ctx)
                _require_sendable(ctx, prompt)
                if _is_held(ctx, prompt):
                    continue
                if not ctx.cancelled():
                    _withdraw(ctx, prompt, "The run did not wait for it any longer.")
                raise
            if turn is not None:
                return turn

    def _until_asked(self, ctx: StepContext, prompt: Prompt) -> Turn | None:
        """The ended turn; None when Claude asked something first and was answered."""
        try:
            if prompt.receipt is Receipt.QUEUED:
                ctx.progress("starting Claude")
                ctx.ports.agent.ensure_ready(ctx.key, deadline_s=ctx.ports.limits.ready_s)
                ctx.log("Claude is ready")
            ctx.progress("Claude writes the site")
            ctx.ports.agent.nudge()
            return ctx.ports.agent.wait_turn(
                prompt.prompt_id, deadline_s=ctx.ports.limits.turn_s, cancelled=ctx.cancelled
            )
        except NeedsYouError as error:
            ctx.log("Claude waits for you", {"reason": error.message}, level=LogLevel.WARN)
            ctx.progress("Claude waits for you")
            _wait_for_answer(ctx, error)
        return None


def _is_held(ctx: StepContext, prompt: Prompt) -> bool:
    """Whether the brief waits for a ceiling, which takes as long as it takes."""
    return prompt.receipt is Receipt.QUEUED and ctx.ports.paused(ctx.key) is not None


def _wait_while_paused(ctx: StepContext) -> None:
    """Nothing is sent while a ceiling is reached; a brief that is on its way is not held up."""
    prompt = ctx.store.prompts.get(ctx.idempotency_key)
    why = ctx.ports.paused(ctx.key)
    if why is None or (prompt is not None and prompt.receipt is not Receipt.QUEUED):
        return
    ctx.log("run paused", {"reason": why}, level=LogLevel.WARN)
    ctx.progress(why)
    while ctx.ports.paused(ctx.key) is not None and not ctx.cancelled():
        ctx.ports.clock.sleep(_ASK_S)
    if ctx.cancelled():
        raise CancelledError(
            "The wait for a ceiling was ended.",
            remedy=f"tmux-builder deploy {ctx.key.session_id} --from 3",
        )
    ctx.log("run goes on")


def _withdraw(ctx: StepContext, prompt: Prompt, why: str) -> bool:
    """Take back a brief that still waits, so that it is not typed after its run; whether it did."""
    is_waiting = prompt.receipt is Receipt.QUEUED
    if is_waiting:
        ctx.store.prompts.move(prompt.prompt_id, Receipt.REFUSED, reason=why)
    return is_waiting


def _wait_for_answer(ctx: StepContext, error: NeedsYouError) -> None:
    def is_over() -> bool:
        agent = ctx.store.agents.get(ctx.key)
        return agent.state is not AgentState.NEEDS_YOU or ctx.cancelled()

    # At least one interval, so that a pane which repeats itself is not asked in a tight loop.
    ctx.ports.clock.sleep(_ASK_S)
    answered = wait_for(
        is_over,
        deadline_s=ctx.ports.limits.answer_s,
        interval_s=_ASK_S,
        clock=ctx.ports.clock,
    )
    if ctx.cancelled():
        raise CancelledError("The wait for an answer was ended.", remedy=error.remedy)
    if not answered:
        raise TimedOutError(
            f"Nobody answered Claude's question ({error.message})",
            remedy=f"tmux-builder session attach {ctx.key.session_id}",
        )


def _require_sendable(ctx: StepContext, prompt: Prompt) -> None:
    """Refuse what must not be sent again, unless its turn is known after all."""
    if ctx.store.prompts.turn(prompt.prompt_id) is not None:
        return
    session_id = ctx.key.session_id
    if prompt.receipt is Receipt.REFUSED:
        raise class_of(prompt.error_exit, AnswerIsNoError)(
            f"The brief was not accepted ({prompt.reason or 'no reason was given'}).",
            remedy=f"Send the wish with tmux-builder session send {session_id}, then deploy.",
            code="prompt_refused",
        )
    if prompt.receipt is Receipt.UNKNOWN:
        raise BuilderError(
            "It is not known whether Claude got the brief, so it was not sent again"
            f" ({prompt.reason or 'no receipt came'}).",
            remedy=f"Look with tmux-builder session attach {session_id}, then send or deploy.",
            code="prompt_unknown",
        )


def _judge(ctx: StepContext, turn: Turn) -> StepOutcome:
    session_id = ctx.key.session_id
    if turn.outcome is not TurnOutcome.FINISHED:
        _refuse_known_failure(turn, session_id)
        was_interrupted = turn.outcome is TurnOutcome.INTERRUPTED
        raise BuilderError(
            f"Claude's turn {'was interrupted' if was_interrupted else 'failed'}"
            f" ({_one_line(turn.message) or 'no reason was given'}).",
            remedy=f"tmux-builder session send {session_id} 'Go on.' and then"
            f" tmux-builder deploy {session_id}",
            code="turn_interrupted" if was_interrupted else "turn_failed",
        )
    missing = ctx.ports.releases.missing(ctx.session)
    if missing is not None:
        raise NothingToDeployError(
            f"Claude's turn ended, but there is no site to deploy: {missing.rstrip('.')}.",
            remedy=f"Ask for it with tmux-builder session send {session_id}, then deploy.",
        )
    return StepOutcome(detail=_one_line(turn.message) or "the turn ended")


def _refuse_known_failure(turn: Turn, session_id: str) -> None:
    """Reasons that the operator can do something about by another way than a new wish."""
    message = f"{_one_line(turn.message)}."
    if message.startswith(NOT_LOGGED_IN):
        raise LoginNeededError(
            message,
            remedy="Give it a token that is valid (tmux-builder login), then"
            f" tmux-builder deploy {session_id} --from 3",
        )
    if message.startswith(RATE_LIMITED):
        raise LimitReachedError(
            message, remedy=f"Later: tmux-builder deploy {session_id} --from 3", code="rate_limited"
        )


def _one_line(message: str | None) -> str:
    text = " ".join((message or "").split()).rstrip(".")
    return text if len(text) <= 200 else f"{text[:199]}…"


STEP = GenerateSite()
