"""What can be wrong in a library, as data with a place, and the error that carries it."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import AnswerIsNoError


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One fault. `file` is relative to the library; `line` counts from 1."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class LibraryError(AnswerIsNoError):
    """The library cannot give a session what its rule promises; nothing was injected."""

    code = "library_invalid"

    def __init__(self, problem: Problem) -> None:
        super().__init__(
            f"The library is not valid: {problem}", remedy="tmux-builder library validate"
        )
        self.problem = problem
