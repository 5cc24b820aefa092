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
from core.errors import BuilderError
from core.files import write_atomically
from core.models.prompt import Prompt, PromptKind, Receipt
from core.models.session import Agent, AgentState
from core.store.store import Store
from tmux_bridge.claude.receipts import escape_for_prompt, normalise
from tmux_bridge.tmux.errors import BufferGoneError
from tmux_bridge.tmux.panes import Key
from tmux_bridge.tmux.quoting import sanitise

NUDGE_AFTER_S = 1.0
"""No receipt by then, and the text still in the composer: one more Enter."""

GIVE_UP_AFTER_S = 6.0
"""No receipt by then: unknown, said so, and never sent again by itself."""

COMMAND_SETTLE_S = 1.0
"""A Claude command has no receipt hook; an emptied composer after this long stands for it."""

COMPOSER_MARKS = ("\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}", ">")

PASTE_LIMIT_BYTES = 10_240
"""A longer wish goes into a file that the pasted line names."""

logger = logging.getLogger(__name__)


class Typist(Protocol):
    """What the sender needs of the panes."""

    def set_buffer(self, buffer: str, text: str) -> None: ...

    def has_buffer(self, buffer: str) -> bool: ...

    def delete_buffer(self, buffer: str) -> None: ...

    def paste_and_enter(self, pane_id: str, buffer: str) -> None: ...

    def type_command(self, pane_id: str, text: str) -> None: ...

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
        """
        if prompt.receipt is Receipt.TYPED:
            self._await_receipt(prompt, agent)
        elif prompt.receipt is Receipt.BUFFERED:
            self._after_crash(prompt, agent, server_pid)
        elif agent.state is AgentState.IDLE and not self._store.prompts.open_turns(prompt.key):
            self._send(prompt, agent, mark=mark, server_pid=server_pid)

    def forget(self, prompt_id: str) -> None:
        """The prompt has its receipt."""
        self._typed.pop(prompt_id, None)

    def text_for_pane(self, prompt: Prompt) -> str:
        """What is really pasted: the sanitised text, or one line naming the file with it."""
        text = sanitise(prompt.text)
        if len(text.encode()) <= PASTE_LIMIT_BYTES:
            return escape_for_prompt(text)
        return f"Read prompts/{prompt.seq:03d}.md and do what it says."

    def _send(self, prompt: Prompt, agent: Agent, *, mark: str, server_pid: int) -> None:
        if agent.pane_id is None:
            return
        if prompt.kind is PromptKind.COMMAND:
            self._send_command(prompt, agent.pane_id)
            return
        text = self.text_for_pane(prompt)
        if not normalise(text):
            self._settle(prompt, Receipt.REFUSED, "Nothing is left of the text to send.")
            return
        self._write_long(prompt)
        self._store.prompts.move(prompt.prompt_id, Receipt.QUEUED, mark=mark, server_pid=server_pid)
        self._typist.set_buffer(_buffer(prompt), text)
        self._store.prompts.move(prompt.prompt_id, Receipt.BUFFERED)
        self._paste(prompt, agent.pane_id)

    def _paste(self, prompt: Prompt, pane_id: str) -> None:
        self._typist.paste_and_enter(pane_id, _buffer(prompt))
        self._store.prompts.move(prompt.prompt_id, Receipt.TYPED)
        self._typed[prompt.prompt_id] = _Typed(self._clock.monotonic())

    def _after_crash(self, prompt: Prompt, agent: Agent, server_pid: int) -> None:
        same_server = prompt.server_pid == server_pid
        if same_server and self._typist.has_buffer(_buffer(prompt)):
            if agent.state is AgentState.IDLE and agent.pane_id is not None:
                try:
                    self._paste(prompt, agent.pane_id)
                except BufferGoneError:
                    logger.warning("buffer vanished", extra={"prompt_id": prompt.prompt_id})
            return
        self._store.prompts.move(prompt.prompt_id, Receipt.TYPED)
        self._typed[prompt.prompt_id] = _Typed(self._clock.monotonic(), nudged=not same_server)

    def _await_receipt(self, prompt: Prompt, agent: Agent) -> None:
        typed = self._typed.setdefault(prompt.prompt_id, _Typed(self._clock.monotonic()))
        waited = self._clock.monotonic() - typed.since
        if prompt.kind is PromptKind.COMMAND:
            self._settle_command(prompt, agent, waited)
        elif waited >= GIVE_UP_AFTER_S:
            self._settle(
                prompt, Receipt.UNKNOWN, f"Claude gave no receipt within {GIVE_UP_AFTER_S:g} s."
            )
        elif waited >= NUDGE_AFTER_S and not typed.nudged and self._is_in_composer(prompt, agent):
            typed.nudged = True
            if agent.pane_id is not None:
                self._typist.press(agent.pane_id, "Enter")

    def _is_in_composer(self, prompt: Prompt, agent: Agent) -> bool:
        if agent.state is not AgentState.IDLE or agent.pane_id is None:
            return False
        first_words = normalise(self.text_for_pane(prompt)).split("\n", 1)[0][:40]
        return composer_holds(self._typist.capture(agent.pane_id), first_words)

    def _send_command(self, prompt: Prompt, pane_id: str) -> None:
        self._store.prompts.move(prompt.prompt_id, Receipt.TYPED)
        self._typed[prompt.prompt_id] = _Typed(self._clock.monotonic())
        self._typist.type_command(pane_id, sanitise(prompt.text).strip())
        self._typist.press(pane_id, "Enter")

    def _settle_command(self, prompt: Prompt, agent: Agent, waited: float) -> None:
        if waited < COMMAND_SETTLE_S or agent.pane_id is None:
            return
        if not composer_holds(self._typist.capture(agent.pane_id), prompt.text.strip()):
            self._settle(prompt, Receipt.ACCEPTED, "The composer took the command.")
        elif waited >= GIVE_UP_AFTER_S:
            self._settle(prompt, Receipt.UNKNOWN, "The command still stands in the composer.")

    def _write_long(self, prompt: Prompt) -> None:
        text = sanitise(prompt.text)
        if len(text.encode()) > PASTE_LIMIT_BYTES:
            key = prompt.key
            folder = self._store.root.session(key.user_id, key.session_id).prompts
            write_atomically(folder / f"{prompt.seq:03d}.md", text.encode())

    def _settle(self, prompt: Prompt, receipt: Receipt, reason: str) -> None:
        self._store.prompts.move(prompt.prompt_id, receipt, reason=reason)
        self.forget(prompt.prompt_id)
        logger.info("prompt settled", extra={"prompt_id": prompt.prompt_id, "receipt": receipt})


def refuse(store: Store, prompt: Prompt, error: BuilderError) -> None:
    """A prompt that was never typed ends here, with the sentence that says why."""
    store.prompts.move(prompt.prompt_id, Receipt.REFUSED, reason=f"{error.message} {error.remedy}")


def composer_holds(screen: list[str], text: str) -> bool:
    """Whether the text stands in Claude's input line, the last that starts with its prompt."""
    for line in reversed(screen):
        stripped = line.strip(" │|")
        if stripped.startswith(COMPOSER_MARKS):
            return bool(text) and text in stripped.replace("\u00a0", " ")
    return False


def composer_is_drawn(screen: list[str]) -> bool:
    """Whether Claude's empty or filled input line is on the screen."""
    return any(line.strip(" │|").startswith(COMPOSER_MARKS[0]) for line in screen)


def _buffer(prompt: Prompt) -> str:
    return f"p_{prompt.prompt_id.replace(':', '_')}"
