"""One frame of a pane for the live view: rows, cursor and modes of the same moment."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

STATE_FORMAT = (
    "#{cursor_x} #{cursor_y} #{cursor_flag} #{alternate_on} #{pane_in_mode} #{pane_dead} "
    "#{pane_width} #{pane_height}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaneView:
    """What a pane shows. Rows hold SGR sequences and no other control sequence."""

    lines: list[str]
    cursor: tuple[int, int]
    cursor_visible: bool
    alternate_screen: bool
    in_mode: bool
    dead: bool
    width: int
    height: int


def view_from(state: Future[list[str]], screen: Future[list[str]]) -> Future[PaneView]:
    """Join the two answers; `screen` was asked last, so it is answered last."""
    view: Future[PaneView] = Future()
    view.set_running_or_notify_cancel()

    def join(answered: Future[list[str]]) -> None:
        failure = state.exception() or answered.exception()
        if failure is not None:
            view.set_exception(failure)
        else:
            view.set_result(_view(state.result(), answered.result()))

    screen.add_done_callback(join)
    return view


def _view(state: list[str], lines: list[str]) -> PaneView:
    numbers = [int(word or 0) for word in state[0].split(" ")]
    return PaneView(
        lines=lines,
        cursor=(numbers[0], numbers[1]),
        cursor_visible=bool(numbers[2]),
        alternate_screen=bool(numbers[3]),
        in_mode=bool(numbers[4]),
        dead=bool(numbers[5]),
        width=numbers[6],
        height=numbers[7],
    )
