"""Where text goes: stdout carries the result, stderr everything else; colour by the rules."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

COLOURS = {
    "bad": "\x1b[31m",
    "good": "\x1b[32m",
    "warn": "\x1b[33m",
    "accent": "\x1b[36m",
    "faint": "\x1b[2m",
    "strong": "\x1b[1m",
}
_RESET = "\x1b[0m"


class Terminal:
    """The two streams of this process. A reader that went away ends the text, not the verb."""

    def __init__(self, environ: Mapping[str, str], *, no_color: bool) -> None:
        self.is_open = sys.stdout is not None
        self.colour = use_colour(environ, no_color=no_color, is_terminal=_is_terminal(sys.stdout))
        self.note_colour = use_colour(
            environ, no_color=no_color, is_terminal=_is_terminal(sys.stderr)
        )

    @property
    def width(self) -> int | None:
        """Columns, None where nothing needs to be cut because no person looks on."""
        if not _is_terminal(sys.stdout):
            return None
        import shutil  # noqa: PLC0415 - not for help

        return shutil.get_terminal_size().columns

    def paint(self, text: str, colour: str) -> str:
        return f"{COLOURS[colour]}{text}{_RESET}" if self.colour and text and colour else text

    def write(self, text: str) -> None:
        """A line of the result."""
        if self.is_open and not _put(sys.stdout, f"{text}\n"):
            self.is_open = False
            _silence(sys.stdout)

    def note(self, text: str, colour: str = "") -> None:
        """A line for people, on stderr."""
        if self.note_colour and colour:
            text = f"{COLOURS[colour]}{text}{_RESET}"
        if sys.stderr is not None and not _put(sys.stderr, f"{text}\n"):
            _silence(sys.stderr)

    def ask(self, question: str) -> str:
        """One line that a person types; empty at the end of input."""
        if sys.stderr is not None:
            _put(sys.stderr, question)
        return sys.stdin.readline().strip()


def use_colour(environ: Mapping[str, str], *, no_color: bool, is_terminal: bool) -> bool:
    """Whether to colour. What a person asks for wins over what the terminal is."""
    if no_color or environ.get("NO_COLOR") or environ.get("TMUX_BUILDER_NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR") not in {None, "", "0"}:
        return True
    return is_terminal and environ.get("TERM") != "dumb"


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _put(stream: TextIO, text: str) -> bool:
    """False when nobody reads any more. A letter the stream cannot show becomes a mark."""
    try:
        stream.buffer.write(text.encode(stream.encoding or "utf-8", "replace"))
        stream.flush()
    except (BrokenPipeError, ValueError):
        return False
    return True


def _silence(stream: TextIO) -> None:
    """The interpreter flushes at its end; let it flush into nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
