"""Typing prompts into panes, with a receipt for each: never blindly, never at a dialog.

A prompt moves queued → buffered → typed → accepted. Every step is committed before the next act,
so that after a crash the paste buffer tells what happened: still there means not pasted, gone means
wait for the receipt. Nothing here waits: `step` is called again and again by the agents' thread.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from core.clock import Clock
from core.files import replace_beneath
from core.models.prompt import Prompt
from core.models.session import Agent
from core.models.states import AgentState, PromptKind, Receipt
from core.store.store import Store
from tmux_bridge.agents.screen import composer_holds, refuses_command
from tmux_bridge.claude.receipts import escape_for_prompt, needs_file, normalise, plain_text
from tmux_bridge.tmux.errors import BufferGoneError
from tmux_bridge.tmux.panes import Key

NUDGE_AFTER_S = 1.0
"""No receipt by then, and the text still in the composer: one more Enter."""

GIVE_UP_AFTER_S = 8.0
"""No receipt by then: unknown, said so, and never sent again by itself."""

COMMAND_SETTLE_S = 0.5
"""A Claude command has no receipt hook; an emptied composer after this long stands for it."""

logger = logging.getLogger(__name__)


class Typist(Protocol):
    """What the sender needs of the panes."""

    def set_buffer(self, buffer: str, text: str) -> None: ...

    def has_buffer(self, buffer: str) -> bool: ...

    def delete_buffer(self, buffer: str) -> None: ...

    def paste_and_enter(self, pane_id: str, buffer: str) -> None: ...

    def press(self, pane_id: str, key: Key) -> None: ...

    def capture(self, pane_id: str) -> list[str]: ...


@dataclass(slots=True)
class _Typed:
    """A prompt that waits for its receipt."""

    since: float
    nudged: bool = False


class PromptSender:
    """Moves the oldest open prompt of a session one step further."""

    def __init__(self, store: Store, typist: Typist, clock: Clock) -> None:
        self._store = store
        self._typist = typist
        self._clock = clock
        self._typed: dict[str, _Typed] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a receipt is awaited."""
        return bool(self._typed)

    def step(self, prompt: Prompt, agent: Agent, *, mark: str, server_pid: int) -> None:
        """Do the next act for a prompt whose agent is alive.

        Args:
            prompt: The oldest prompt of the session without a final receipt.
            agent: The session's Claude as it is known now.
            mark: The newest hook event seen so far: only newer ones can be the receipt.
            server_pid: The tmux server that holds the buffers.

        Raises:
            TmuxGoneError, TmuxCommandError: tmux did not take it; the receipt says how far it is.
        """
        if agent.pane_id is None:
            return
        if prompt.receipt is Receipt.TYPED:
            self._await_receipt(prompt, agent, agent.pane_id)
        elif prompt.receipt is Receipt.BUFFERED:
            self._finish_typing(prompt, agent, agent.pane_id, server_pid)
        elif agent.state is AgentState.IDLE and not self._store.prompts.open_turns(prompt.key):
            self._send(prompt, agent.pane_id, mark=mark, server_pid=server_pid)

    def forget(self, prompt_id: str) -> None:
        """The prompt has its receipt."""
        self._typed.pop(prompt_id, None)

    def withdraw(self, prompt: Prompt, server_pid: int) -> bool:
        """Take back what was certainly not pasted; whether that was so."""
        if prompt.receipt is Receipt.QUEUED:
            return True
        if prompt.receipt is not Receipt.BUFFERED or not self._is_unpasted(prompt, server_pid):
            return False
        self._typist.delete_buffer(_buffer(prompt))
        self._store.prompts.move(prompt.prompt_id, Receipt.QUEUED)
        return True

    def settle(
        self, prompt: Prompt, receipt: Receipt, reason: str, *, error_exit: int | None = None
    ) -> None:
        """The prompt ends here, with the sentence that says why, and the cause's exit code."""
        self._store.prompts.move(prompt.prompt_id, receipt, reason=reason, error_exit=error_exit)
        self.forget(prompt.prompt_id)
        logger.info("prompt settled", extra={"prompt_id": prompt.prompt_id, "receipt": receipt})

    def text_for_pane(self, prompt: Prompt) -> str:
        """What is really pasted: the text made harmless, or one line naming the file with it."""
        text = plain_text(prompt.text)
        if prompt.kind is PromptKind.COMMAND:
            return text
        if needs_file(text):
            return f"Read prompts/{prompt.seq:03d}.md and do what it says."
        return escape_for_prompt(text)

    def _send(self, prompt: Prompt, pane_id: str, *, mark: str, server_pid: int) -> None:
        text = self.text_for_pane(prompt)
        if not normalise(text):
            self.settle(prompt, Receipt.REFUSED, "Nothing is left of the text to send.")
            return
        self._write_long(prompt)
        self._store.prompts.move(prompt.prompt_id, Receipt.QUEUED, mark=mark, server_pid=server_pid)
        self._typist.set_buffer(_buffer(prompt), text)
        self._store.prompts.move(prompt.prompt_id, Receipt.BUFFERED)
        self._paste(prompt, pane_id)

    def _paste(self, prompt: Prompt, pane_id: str) -> None:
        self._typist.paste_and_enter(pane_id, _buffer(prompt))
        self._store.prompts.move(prompt.prompt_id, Receipt.TYPED)
        self._typed[prompt.prompt_id] = _Typed(self._clock.monotonic())

    def _finish_typing(
        self, prompt: Prompt, agent: Agent, pane_id: str, server_pid: int
    ) -> None:  # fmt: skip
        """A worker died, or a pane, between the buffer and its paste."""
        if not self._is_unpasted(prompt, server_pid):
            self._store.prompts.move(prompt.prompt_id, Receipt.TYPED)
            self._typed[prompt.prompt_id] = _Typed(self._clock.monotonic())
        elif agent.state is AgentState.IDLE and not self._store.prompts.open_turns(prompt.key):
            try:
                self._paste(prompt, pane_id)
            except BufferGoneError:
                logger.warning("buffer vanished", extra={"prompt_id": prompt.prompt_id})

    def _is_unpasted(self, prompt: Prompt, server_pid: int) -> bool:
        return prompt.server_pid == server_pid and self._typist.has_buffer(_buffer(prompt))

    def _await_receipt(self, prompt: Prompt, agent: Agent, pane_id: str) -> None:
        typed = self._typed.setdefault(prompt.prompt_id, _Typed(self._clock.monotonic()))
        waited = self._clock.monotonic() - typed.since
        is_command = prompt.kind is PromptKind.COMMAND and waited >= COMMAND_SETTLE_S
        if is_command and not self._is_in_composer(prompt, agent, pane_id):
            self._settle_command(prompt, pane_id)
        elif waited >= GIVE_UP_AFTER_S:
            self._give_up(prompt, agent, pane_id)
        elif waited >= NUDGE_AFTER_S and not typed.nudged:
            typed.nudged = True
            if self._is_in_composer(prompt, agent, pane_id):
                logger.info("prompt nudged", extra={"prompt_id": prompt.prompt_id})
                self._typist.press(pane_id, "Enter")

    def _settle_command(self, prompt: Prompt, pane_id: str) -> None:
        if refuses_command(self._typist.capture(pane_id), self.text_for_pane(prompt)):
            self.settle(prompt, Receipt.REFUSED, "Claude knows no command of that name.")
        else:
            self.settle(prompt, Receipt.ACCEPTED, "Claude's input line took the command.")

    def _give_up(self, prompt: Prompt, agent: Agent, pane_id: str) -> None:
        """Nothing proves that it arrived. Text that stands unsent must not join the next."""
        reason = f"Claude gave no receipt within {GIVE_UP_AFTER_S:g} s."
        if self._is_in_composer(prompt, agent, pane_id):
            self._typist.press(pane_id, "C-c")
            reason = "The text stood unsent in Claude's input line and was removed from it."
        self.settle(prompt, Receipt.UNKNOWN, reason)

    def _is_in_composer(self, prompt: Prompt, agent: Agent, pane_id: str) -> bool:
        if agent.state is not AgentState.IDLE:
            return False
        return composer_holds(self._typist.capture(pane_id), self.text_for_pane(prompt))

    def _write_long(self, prompt: Prompt) -> None:
        text = plain_text(prompt.text)
        if prompt.kind is not PromptKind.COMMAND and needs_file(text):
            key = prompt.key
            folder = self._store.root.session(key.user_id, key.session_id).prompts
            replace_beneath(folder, f"{prompt.seq:03d}.md", text.encode())


def _buffer(prompt: Prompt) -> str:
    return f"p_{prompt.prompt_id.replace(':', '_')}"
