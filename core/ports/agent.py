"""What the product needs of a Claude in a pane, without knowing tmux or the CLI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from core.models.prompt import Turn
from core.models.session import SessionKey
from core.models.transcript import ChatItem


class AgentPane(Protocol):
    """Starts, feeds and ends Claudes. Prompts are rows of the store; this moves them."""

    def ensure_ready(self, key: SessionKey, *, deadline_s: float) -> None:
        """Start or resume the session's Claude and wait until it can take a prompt."""

    def nudge(self) -> None:
        """A prompt was queued: look now instead of at the next tick."""

    def wait_turn(
        self, prompt_id: str, *, deadline_s: float, cancelled: Callable[[], bool]
    ) -> Turn:
        """Wait for the receipt of a prompt and then for the end of its turn.

        Raises:
            NeedsYouError, TimedOutError, CancelledError, BuilderError: As the names say; a turn
                that failed or was interrupted is returned, not raised.
        """

    def answer(self, key: SessionKey, digit: int) -> None: ...

    def interrupt(self, key: SessionKey) -> None: ...

    def stop(self, key: SessionKey) -> None: ...


class ChatReader(Protocol):
    """Reads a session's transcripts, oldest first, through every Claude id the session had."""

    def read(self, transcripts: Sequence[Path]) -> list[ChatItem]: ...


class Worker(Protocol):
    """The one process per data root that does the work."""

    def ensure_running(self) -> int:
        """Start it where none runs; returns its pid."""

    def wake(self) -> None:
        """Something new is in the store; starts the worker where none runs."""
