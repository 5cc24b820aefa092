"""What the app needs of a terminal multiplexer, without knowing which one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.models.session import SessionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PaneFrame:
    """A picture of a pane. `lines` hold the visible rows with their colour sequences."""

    lines: tuple[str, ...]
    width: int
    height: int
    cursor: tuple[int, int] | None = None
    """Column and row from 0; None where the pane hides its cursor."""
    captured_at: float = 0.0
    """Monotonic seconds."""


class PaneView(Protocol):
    """Looks at panes; every method may block for a few milliseconds and is called in a thread."""

    def capture(self, key: SessionKey) -> PaneFrame | None:
        """The visible rows now; None where the session has no pane."""

    def listen(self, key: SessionKey, on_output: Callable[[], None]) -> Callable[[], None]:
        """Call `on_output` from any thread whenever the pane prints; returns how to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachCommand:
    """How to show the real terminal of a session."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """The child's whole environment."""
    hint: str = ""
    """Which keys lead back, in words."""
    takes_terminal: bool = True
    """False where another window or popup shows it and this terminal stays the app's."""


class Attach(Protocol):
    """Knows the command that attaches, outside and inside another multiplexer."""

    def command(self, key: SessionKey, *, read_only: bool) -> AttachCommand:
        """Called in a thread, after the session's Claude was woken.

        Raises:
            BuilderError: There is nothing to attach to, and what to do about it.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What the app may use beside the services."""

    pane_view: PaneView | None = None
    attach: Attach | None = None
    demo: Callable[[], object] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
