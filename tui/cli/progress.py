"""Following a run: one line each time a step moved, and what Ctrl+C means meanwhile."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from tui.cli.views import step_line

if TYPE_CHECKING:
    from core.models.execution import Execution, Json, StepRecord
    from tui.cli.call import Call


class StepLines:
    """Tells each change of a step once.

    Args:
        tell: Where a line goes.
        prefix: Put before every line.
    """

    def __init__(self, call: Call, tell: Callable[[str], None], prefix: str = "") -> None:
        self._call = call
        self._tell = tell
        self._prefix = prefix
        self._told: dict[int, tuple[str, str | None]] = {}

    def __call__(self, execution: Execution, steps: Sequence[StepRecord]) -> None:
        for step in steps:
            is_outside = not execution.from_step <= step.n <= execution.to_step
            shown = (str(step.state), step.detail if step.state.is_over else None)
            if step.state == "pending" or self._told.get(step.n) == shown or is_outside:
                continue
            self._told[step.n] = shown
            self._tell(self._prefix + self._line(step))

    def _line(self, step: StepRecord) -> str:
        document: dict[str, Json] = {
            "n": step.n, "name": step.name, "state": str(step.state),
            "ms": step.ms if step.state.is_over else None, "detail": step.detail,
        }  # fmt: skip
        return step_line(document, self._call.terminal)


@contextmanager
def background_work(call: Call, sentence: str) -> Iterator[None]:
    """The work goes on without this process: Ctrl+C says so at once, and the second one leaves.

    Without a person in front of the terminal the first one leaves.
    """
    call.going_on = sentence
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return

    def tell(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        call.terminal.note(f"\n{sentence} Ctrl+C again leaves.")

    former = signal.signal(signal.SIGINT, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
