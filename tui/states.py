"""How states look: always a word and a glyph; colour only repeats them."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style

from core.models.states import Receipt, SessionState, StepState
from tui.theme import Ink


@dataclass(frozen=True, slots=True)
class Look:
    """A state on the screen."""

    word: str
    glyph: str
    ascii_glyph: str
    style: Style


SESSION = {
    SessionState.NEEDS_YOU: Look("needs you", "?", "?", Ink.WARN_STRONG),
    SessionState.FAILED: Look("failed", "!", "!", Ink.BAD_STRONG),
    SessionState.WORKING: Look("working", "◐", ">", Ink.ACCENT),
    SessionState.LIVE: Look("live", "●", "*", Ink.GOOD),
    SessionState.IDLE: Look("idle", "○", ".", Ink.TEXT),
    SessionState.PARKED: Look("parked", "◌", "-", Ink.MUTED),
    SessionState.ENDED: Look("ended", "✕", "x", Ink.FAINT),
}
ATTENTION = {state: order for order, state in enumerate(SessionState)}

STEP = {
    StepState.PENDING: Look("pending", "·", ".", Ink.FAINT),
    StepState.RUNNING: Look("run", "◐", ">", Ink.ACCENT),
    StepState.OK: Look("ok", "✓", "+", Ink.GOOD),
    StepState.FAILED: Look("failed", "✕", "!", Ink.BAD_STRONG),
    StepState.SKIPPED: Look("skipped", "»", "-", Ink.MUTED),
    StepState.CANCELLED: Look("cancelled", "✕", "x", Ink.WARN),
}

RECEIPT = {
    Receipt.QUEUED: Look("queued", "·", ".", Ink.MUTED),
    Receipt.BUFFERED: Look("queued", "·", ".", Ink.MUTED),
    Receipt.TYPED: Look("typed", "→", ">", Ink.ACCENT),
    Receipt.ACCEPTED: Look("accepted", "✓", "+", Ink.GOOD),
    Receipt.REFUSED: Look("refused", "✕", "!", Ink.BAD_STRONG),
    Receipt.UNKNOWN: Look("unknown", "?", "?", Ink.WARN_STRONG),
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Marks that a terminal without Unicode draws in ASCII."""

    ascii_only: bool = False

    def of(self, look: Look) -> str:
        return look.ascii_glyph if self.ascii_only else look.glyph

    @property
    def open(self) -> str:
        return "v" if self.ascii_only else "▾"

    @property
    def folded(self) -> str:
        return ">" if self.ascii_only else "▸"

    @property
    def bar(self) -> str:
        return "|" if self.ascii_only else "▎"

    @property
    def rule(self) -> str:
        return "-" if self.ascii_only else "─"

    @property
    def dot(self) -> str:
        return "|" if self.ascii_only else "·"

    @property
    def full(self) -> str:
        return "#" if self.ascii_only else "━"

    @property
    def empty(self) -> str:
        return "-" if self.ascii_only else "╌"
