"""The agents' thread as the pipeline and the request handlers see it."""

from __future__ import annotations

from collections.abc import Callable

from core.clock import Clock, wait_for
from core.errors import (
    CancelledError,
    ConflictError,
    NeedsYouError,
    TimedOutError,
    UsageError,
    class_of,
)
from core.models.prompt import Prompt, Turn
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, Needs, Receipt
from core.store.store import Store
from tmux_bridge.agents.screen import offers_choice
from tmux_bridge.agents.supervisor import Supervisor
from tmux_bridge.agents.terminal import Terminal
from tmux_bridge.tmux.panes import Key

POLL_S = 0.05
ANSWER_SETTLE_S = 10.0
ANSWER_S = 1.0
ANSWER_TRIES = 3
DRAWN_S = 2.0
ESCAPE_EVERY_S = 3.0
LOOK = "tmux-builder session attach {} shows what Claude waits for."
DIGITS: dict[int, Key] = {
    1: "1", 2: "2", 3: "3", 4: "4", 5: "5", 6: "6", 7: "7", 8: "8", 9: "9",
}  # fmt: skip


class TmuxAgentPane:
    """Implements the port `AgentPane` over the supervisor; safe from any thread."""

    def __init__(
        self, supervisor: Supervisor, terminal: Terminal, store: Store, clock: Clock
    ) -> None:
        self._supervisor = supervisor
        self._terminal = terminal
        self._store = store
        self._clock = clock
        self._interrupted: dict[SessionKey, float] = {}

    def ensure_ready(self, key: SessionKey, *, deadline_s: float) -> None:
        """Start or resume the Claude and wait for its prompt.

        Raises:
            NeedsYouError: It shows a screen of its own that a person must answer.
            TimedOutError, ConflictError, MissingProgramError: It does not come up.
        """
        end = self._clock.monotonic() + deadline_s
        self._supervisor.ask(lambda: self._supervisor.start_agent(key))
        while True:
            agent = self._store.agents.get(key)
            if agent.state in {AgentState.IDLE, AgentState.WORKING}:
                return
            _refuse_dead_end(agent)
            if self._clock.monotonic() >= end:
                raise TimedOutError(
                    f"Claude was not ready within {deadline_s:g} s ({agent.evidence}).",
                    remedy=LOOK.format(key.session_id),
                )
            self._pause()

    def nudge(self) -> None:
        self._supervisor.nudge()

    def wait_turn(
        self, prompt_id: str, *, deadline_s: float, cancelled: Callable[[], bool]
    ) -> Turn:
        """Wait for the receipt, then for the end of the turn that it began.

        Raises:
            NeedsYouError: Claude waits for a person, so the end cannot come by itself.
            ConflictError: The prompt was refused, or nothing proves that it arrived; where an
                error refused it, that error's class.
            CancelledError, TimedOutError: As the names say.
        """
        end = self._clock.monotonic() + deadline_s
        while True:
            prompt = self._store.prompts.get(prompt_id)
            if prompt is None:
                raise ConflictError(
                    f"There is no prompt {prompt_id}.", remedy="Send it again.", code="no_prompt"
                )
            turn = self._finished_turn(prompt)
            if turn is not None:
                return turn
            agent = self._store.agents.get(prompt.key)
            if agent.state is AgentState.NEEDS_YOU:
                raise _needs_you(agent)
            if cancelled():
                raise CancelledError("The wait was cancelled.", remedy="Run it again.")
            if self._clock.monotonic() >= end:
                raise TimedOutError(
                    f"Claude did not finish within {deadline_s:g} s ({agent.evidence}).",
                    remedy=LOOK.format(prompt.key.session_id),
                )
            self._pause()

    def answer(self, key: SessionKey, digit: int) -> None:
        """Answer Claude's own question by its number.

        The event of a question comes before its dialog, and a digit right after that was drawn is
        swallowed: so one is pressed once the dialog stands still, and again while the same one
        stands there. A first-run screen has stood for a while and gives way
        slowly: a second digit would be the first text of Claude's input line.

        Raises:
            UsageError: The number is not 1 to 9.
            ConflictError: Claude asks nothing, or does not take the answer.
        """
        if digit not in DIGITS:
            raise UsageError(f"{digit} is no choice.", remedy="Answer with a number from 1 to 9.")
        asked = self._store.agents.get(key)
        if asked.state is not AgentState.NEEDS_YOU:
            raise ConflictError(
                "Claude asks nothing at the moment.",
                remedy="Send a message instead.",
                code="nothing_asked",
            )
        is_first_run = asked.needs is Needs.LOGIN
        self._wait_drawn(asked, digit)
        for _ in range(1 if is_first_run else ANSWER_TRIES):
            before = self._press(key, DIGITS[digit])
            if self._is_answered(asked, before, ANSWER_SETTLE_S if is_first_run else ANSWER_S):
                return
        raise ConflictError(
            "Claude did not take the answer.",
            remedy=LOOK.format(key.session_id),
            code="not_answered",
        )

    def interrupt(self, key: SessionKey) -> None:
        """Press Escape; the registry then shows the end of the turn.

        A second Escape within a moment is not pressed: at an empty input line two of them open a
        dialog.

        Raises:
            ConflictError: Claude is not working.
        """
        agent = self._store.agents.get(key)
        if agent.state not in {AgentState.WORKING, AgentState.NEEDS_YOU}:
            raise ConflictError(
                "Claude is not working, so there is nothing to interrupt.",
                remedy="Send a message instead.",
                code="not_working",
            )
        now = self._clock.monotonic()
        if now - self._interrupted.get(key, float("-inf")) >= ESCAPE_EVERY_S:
            self._interrupted[key] = now
            self._press(key, "Escape")

    def stop(self, key: SessionKey) -> None:
        self._supervisor.ask(lambda: self._supervisor.stop_agent(key, "stopped by the operator"))

    def _wait_drawn(self, asked: Agent, digit: int) -> None:
        """Until a dialog with that choice stands still; a screen without one is pressed as it is.

        What changes after the key is then the key's doing, not the drawing's.
        """
        pane_id = asked.pane_id
        if pane_id is None:
            return
        shown: list[str] = []

        def stands() -> bool:
            nonlocal shown
            before = shown
            shown = self._supervisor.ask(lambda: self._terminal.capture(pane_id))
            return shown == before and offers_choice(shown, digit)

        wait_for(stands, deadline_s=DRAWN_S, interval_s=POLL_S, clock=self._clock)

    def _press(self, key: SessionKey, button: Key) -> list[str]:
        """Press it; the screen as it was before."""

        def act() -> list[str]:
            pane_id = self._store.agents.get(key).pane_id
            if pane_id is None:
                return []
            before = self._terminal.capture(pane_id)
            self._terminal.press(pane_id, button)
            return before

        return self._supervisor.ask(act)

    def _is_answered(self, asked: Agent, before: list[str], within_s: float) -> bool:
        """Whether the state or at least the screen has changed within that time.

        A screen that changed took the key; the event that says so may be a while behind it.
        """

        def changed() -> bool:
            now = self._store.agents.get(asked.key)
            return now.state is not AgentState.NEEDS_YOU or now.question != asked.question

        if wait_for(changed, deadline_s=within_s, interval_s=POLL_S, clock=self._clock):
            return True
        pane_id = asked.pane_id
        if pane_id is None or before == self._supervisor.ask(
            lambda: self._terminal.capture(pane_id)
        ):
            return False
        wait_for(changed, deadline_s=ANSWER_SETTLE_S, interval_s=POLL_S, clock=self._clock)
        return True

    def _finished_turn(self, prompt: Prompt) -> Turn | None:
        if prompt.receipt in {Receipt.REFUSED, Receipt.UNKNOWN}:
            raise class_of(prompt.error_exit, ConflictError)(
                f"The prompt was not confirmed by Claude: {prompt.reason}",
                remedy=LOOK.format(prompt.key.session_id),
                code=f"prompt_{prompt.receipt}",
            )
        turn = self._store.prompts.turn(prompt.prompt_id)
        return turn if turn is not None and turn.outcome is not None else None

    def _pause(self) -> None:
        with self._supervisor.changed:
            self._supervisor.changed.wait(POLL_S)


def _refuse_dead_end(agent: Agent) -> None:
    if agent.state is AgentState.NEEDS_YOU:
        raise _needs_you(agent)
    if agent.state in {AgentState.ENDED, AgentState.ABSENT}:
        raise ConflictError(
            f"Claude is not running: {agent.evidence}.",
            remedy="Run tmux-builder doctor to see what it needs.",
            code="claude_ended",
        )


def _needs_you(agent: Agent) -> NeedsYouError:
    return NeedsYouError(
        f"Claude waits for you: {agent.question or agent.evidence}",
        remedy=LOOK.format(agent.key.session_id),
    )
