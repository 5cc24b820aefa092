"""What a captured screen shows of Claude: its composer, and its last words for a person.

The last resort among the signals: only whether something stands in the input line is read here,
never what Claude does.
"""

from __future__ import annotations

from collections.abc import Sequence

from tmux_bridge.claude.receipts import normalise

MARK = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
_FOLDED = "[Pasted text"
_WORDS = 40
_FRAME = " │|╭╮╰╯─"
_EDGE = f"{_FRAME}{MARK}"


def composer_is_drawn(screen: Sequence[str]) -> bool:
    """Whether Claude's input line is on the screen, empty or filled."""
    return any(line.strip(_FRAME).startswith(MARK) for line in screen)


def composer_holds(screen: Sequence[str], text: str) -> bool:
    """Whether a typed text, or its beginning, stands in the input line, unsent.

    The composer folds a long paste into one word.
    """
    written = composer_text(screen)
    first_words = normalise(text).split("\n", 1)[0][:_WORDS].rstrip()
    return bool(first_words) and (
        normalise(written).startswith(first_words) or written.startswith(_FOLDED)
    )


def composer_text(screen: Sequence[str]) -> str:
    """The first row of the input line: the last row of the screen that starts with its mark."""
    for line in reversed(screen):
        stripped = line.replace("\u00a0", " ").strip(_FRAME)
        if stripped.startswith(MARK):
            return stripped.removeprefix(MARK).strip()
    return ""


def offers_choice(screen: Sequence[str], number: int) -> bool:
    """Whether a dialog with that choice is drawn."""
    begins = f"{number}."
    return any(line.replace("\u00a0", " ").strip(_EDGE).startswith(begins) for line in screen)


def refuses_command(screen: Sequence[str], command: str) -> bool:
    """Whether Claude says that it knows no command of that name."""
    sentence = f"Unknown command: {command.split(maxsplit=1)[0]}"
    return any(
        sentence in line and not line.strip(_FRAME).startswith(MARK) for line in screen
    )  # fmt: skip


def last_words(screen: Sequence[str]) -> str:
    """The last rows with text, as one line for a person."""
    words = [line.strip(_FRAME) for line in screen]
    return " / ".join(word for word in words if word)[-300:]
