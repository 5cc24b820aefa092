"""Each session's oldest open prompt, one step further: typed, woken for, or refused with why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import IntEnum

from core.errors import BuilderError, ExitCode
from core.models.prompt import Prompt
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, Needs, PromptKind, Receipt
from core.store.store import Store
from tmux_bridge.agents.sender import PromptSender
from tmux_bridge.agents.watching import Watched, Watcher
from tmux_bridge.claude.state import waits_at_first_screen

START_FAILED = "Claude did not start"
LOOK = "Look at the session: tmux-builder session attach, or tmux-builder doctor."

logger = logging.getLogger(__name__)


class Step(IntEnum):
    """What came of one look at the queues, the more urgent the greater."""

    WAITING = 0
    FAILED = 1
    MOVED = 2


class Delivery:
    """Decides what happens to prompts; the sender types them.

    Args:
        store: Holds the prompts.
        sender: Types.
        watcher: Knows which event was the newest.
        watched: The Claudes that are awake.
        wake: Starts or resumes a session's Claude.
        paused: Why a session's prompts wait; None where nothing holds them.
    """

    def __init__(
        self, *, store: Store, sender: PromptSender, watcher: Watcher,
        watched: Mapping[SessionKey, Watched], wake: Callable[[SessionKey], Agent],
        paused: Callable[[SessionKey], str | None],
    ) -> None:  # fmt: skip
        self._store = store
        self._sender = sender
        self._watcher = watcher
        self._watched = watched
        self._wake = wake
        self._paused = paused

    def move_all(self) -> Step:
        """One step for the head of each queue; the greatest of what came of them.

        A head that moved may uncover the next; one that failed may be luckier in a while.
        """
        heads: dict[SessionKey, Prompt] = {}
        for prompt in self._store.prompts.open():
            heads.setdefault(prompt.key, prompt)
        return max((self._try(prompt) for prompt in heads.values()), default=Step.WAITING)

    def refuse_waiting(self, key: SessionKey, why: str) -> None:
        """The operator ended the Claude: what was not typed yet is not typed any more."""
        agent = self._store.agents.get(key)
        for prompt in self._store.prompts.open():
            if prompt.key == key and self._sender.withdraw(prompt, agent.server_pid or 0):
                self._sender.settle(prompt, Receipt.REFUSED, why)

    def _try(self, prompt: Prompt) -> Step:
        """One session's trouble must not hold up the others."""
        step = Step.WAITING
        try:
            if self._is_held(prompt):
                return step
            self._move(prompt)
        except BuilderError as error:
            step = self._failed(prompt, error)
        except Exception:
            logger.exception("prompt not moved", extra={"prompt_id": prompt.prompt_id})
            sorry = BuilderError("The worker could not type it.", remedy="See the worker's log.")
            step = self._failed(prompt, sorry)
        now = self._store.prompts.get(prompt.prompt_id)
        return Step.MOVED if now is None or now.receipt is not prompt.receipt else step

    def _is_held(self, prompt: Prompt) -> bool:
        """Whether a ceiling keeps it in the queue; what is on its way already goes on."""
        why = self._paused(prompt.key) if prompt.receipt is Receipt.QUEUED else None
        if why is not None and prompt.reason != why:
            self._store.prompts.move(prompt.prompt_id, Receipt.QUEUED, reason=why)
            logger.info("prompt held", extra={"prompt_id": prompt.prompt_id, "why": why})
        return why is not None

    def _failed(self, prompt: Prompt, error: BuilderError) -> Step:
        """What was not typed is refused, unless the next try may do better."""
        logger.warning(
            "prompt not moved", extra={"prompt_id": prompt.prompt_id, "why": error.message}
        )
        now = self._store.prompts.get(prompt.prompt_id)
        if now is not None and now.receipt is Receipt.QUEUED and not error.retryable:
            why = f"{error.message} {error.remedy}"
            self._sender.settle(now, Receipt.REFUSED, why, error_exit=int(error.exit_code))
        return Step.FAILED

    def _move(self, prompt: Prompt) -> None:
        watched = self._watched.get(prompt.key)
        if watched is None:
            self._move_asleep(prompt)
            return
        agent = watched.agent
        if agent.needs is Needs.LOGIN and self._sender.withdraw(prompt, agent.server_pid or 0):
            self._hold_or_refuse(prompt, agent)
            return
        mark = self._watcher.mark(watched)
        self._sender.step(prompt, agent, mark=mark, server_pid=agent.server_pid or 0)

    def _hold_or_refuse(self, prompt: Prompt, agent: Agent) -> None:
        """Nothing is typed into a login: a run waits until a person has answered, a wish does not.

        A refused login is no question, so there is nothing to wait for.
        """
        is_question = waits_at_first_screen(agent)
        if is_question and prompt.kind is PromptKind.BRIEF:
            return
        asks = agent.question or agent.evidence
        self._sender.settle(
            prompt, Receipt.REFUSED, f"Claude waits at a screen of its own: {asks} {LOOK}",
            error_exit=None if is_question else int(ExitCode.LOGIN_NEEDED),
        )  # fmt: skip

    def _move_asleep(self, prompt: Prompt) -> None:
        """Nobody is awake: what was not pasted wakes, what was got no receipt."""
        agent = self._store.agents.get(prompt.key)
        if not self._sender.withdraw(prompt, agent.server_pid or 0):
            self._sender.settle(prompt, *_lost(prompt, agent))
        elif _has_failed_for(agent, prompt):
            self._sender.settle(prompt, Receipt.REFUSED, f"{agent.evidence}. {LOOK}")
        else:
            self._wake(prompt.key)


def _lost(prompt: Prompt, agent: Agent) -> tuple[Receipt, str]:
    by_itself = agent.source == "hook"
    if prompt.kind is PromptKind.COMMAND and by_itself:
        return Receipt.ACCEPTED, "Claude ended."
    return Receipt.UNKNOWN, f"Claude ended before it confirmed the prompt ({agent.evidence})."


def _has_failed_for(agent: Agent, prompt: Prompt) -> bool:
    """Whether the start that this prompt caused has failed already."""
    failed = agent.state is AgentState.ENDED and agent.evidence.startswith(START_FAILED)
    return failed and agent.since is not None and agent.since >= prompt.created_at
