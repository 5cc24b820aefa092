"""What can be wrong in a library, as data with a place, and the error that carries it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from core.errors import AnswerIsNoError


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One fault. `file` is relative to its layer's `folder`; `line` counts from 1."""

    file: str
    line: int
    text: str
    folder: str = ""
    """The layer's real path; empty for a library that is one folder alone."""

    @property
    def place(self) -> str:
        """The file as an editor finds it."""
        return f"{self.folder}/{self.file}" if self.folder else self.file

    def within(self, folder: str) -> Problem:
        return replace(self, folder=folder)

    def __str__(self) -> str:
        return f"{self.place}:{self.line}: {self.text}"


class LibraryError(AnswerIsNoError):
    """The library cannot give a session what its rule promises; nothing was injected."""

    code = "library_invalid"

    def __init__(self, problem: Problem) -> None:
        super().__init__(
            f"The library is not valid: {problem}", remedy="tmux-builder library validate"
        )
        self.problem = problem


@contextmanager
def found_in(folder: str) -> Iterator[None]:
    """Give the faults that are raised inside the folder of their layer."""
    try:
        yield
    except LibraryError as error:
        raise LibraryError(error.problem.within(folder)) from error
