"""The pipeline of the shown session: seven rows that never move, and what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from core.models.execution import STEPS, StepRecord
from core.models.session import Session
from core.models.states import ExecutionStatus, StepState
from tui import states
from tui.actions import Scope
from tui.plain import Part, fit, spread
from tui.prose import plain_lines
from tui.quantities import duration
from tui.result_lines import result_lines
from tui.theme import Ink
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from tui.session_detail import Run, SessionDetail

_TICK_S = 0.5
_NAME_CELLS = 14

Line = list[Part]


class PipelinePanel(LineView):
    """Seven steps, the running one with a live timer, the failed one with its reason."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.MOVE,)
    CURSOR_WITHOUT_FOCUS = False

    def __init__(self, glyphs: states.Glyphs) -> None:
        super().__init__(id="pipeline")
        self._glyphs = glyphs
        self._session: Session | None = None
        self._detail: SessionDetail | None = None
        self._lines: list[Line] = []

    def on_mount(self) -> None:
        self.set_interval(_TICK_S, self._tick)

    def line_count(self) -> int:
        return len(self._lines)

    def draw_line(self, line: int, width: int) -> list[Part]:  # noqa: ARG002  # wrapped before
        return self._lines[line]

    def show(self, session: Session | None, detail: SessionDetail | None) -> None:
        """`detail` is None until the session's run is read."""
        self._session, self._detail = session, detail
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _tick(self) -> None:
        if self._run is not None and self._run.status is ExecutionStatus.RUNNING:
            self._lay_out()

    @property
    def _run(self) -> Run | None:
        return None if self._detail is None else self._detail.run

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        self._lines = [*self._steps(width), *self._summary(width), *self._result(width)]
        self.lines_changed(keep_scroll=True)

    def _steps(self, width: int) -> list[Line]:
        run = self._run
        known = {} if run is None else {step.n: step for step in run.steps}
        lines: list[Line] = []
        for name in STEPS:
            step = known.get(name.n)
            lines.append(self._step_line(name.n, name.name, step, width))
            if (
                step is not None
                and step.detail
                and step.state in {StepState.FAILED, StepState.SKIPPED}
            ):
                style = states.STEP[step.state].style
                wrapped = plain_lines(step.detail, max(8, width - 5), style)[:3]
                lines += [[("    ", Ink.NONE), *line] for line in wrapped]
        return lines

    def _step_line(self, n: int, name: str, step: StepRecord | None, width: int) -> Line:
        state = step.state if step is not None else StepState.PENDING
        look = states.STEP[state]
        quiet = state is StepState.PENDING
        strong = Ink.STRONG if state is StepState.RUNNING else Ink.TEXT
        left: Line = [
            (f" {n} ", Ink.FAINT),
            (f"{fit(name, _NAME_CELLS)} ", Ink.FAINT if quiet else strong),
            (f"{self._glyphs.of(look)} {look.word}", look.style),
        ]
        elapsed = "" if step is None else duration(self._elapsed_ms(step))
        return spread(left, [(f" {elapsed} ", Ink.MUTED)], width)

    def _elapsed_ms(self, step: StepRecord) -> int | None:
        if step.state is not StepState.RUNNING or self._detail is None or self._run is None:
            return step.ms
        since_read = time.monotonic() - self._detail.loaded_at
        return self._run.running_ms + int(since_read * 1000)

    def _summary(self, width: int) -> list[Line]:
        run = self._run
        if run is None:
            text = "no run yet; d deploys" if self._session else "no session is selected"
            return [[], [(f" {text}", Ink.FAINT)]]
        over = sum(1 for step in run.steps if step.state.is_over)
        total = sum(self._elapsed_ms(step) or 0 for step in run.steps)
        cells = max(4, width - 18)
        full = round(cells * over / len(STEPS))
        colour = Ink.BAD if run.status is ExecutionStatus.FAILED else Ink.GOOD
        bar: Line = [
            (" ", Ink.NONE),
            (self._glyphs.full * full, colour),
            (self._glyphs.empty * (cells - full), Ink.FAINT),
            (f" {over}/{len(STEPS)}", Ink.MUTED),
        ]
        lines = [[], spread(bar, [(f"{duration(total)} ", Ink.MUTED)], width)]
        if run.status is ExecutionStatus.FAILED:
            reason = plain_lines(run.execution.error or "The run failed.", width - 2, Ink.BAD)[:4]
            lines += [[(" ", Ink.NONE), *line] for line in reason]
            lines.append([(" L log", Ink.ACCENT), ("   ", Ink.NONE), ("R retry", Ink.ACCENT)])
        elif run.status is ExecutionStatus.CANCELLED:
            lines.append([(" cancelled", Ink.WARN), ("   d deploy", Ink.ACCENT)])
        return lines

    def _result(self, width: int) -> list[Line]:
        result = self._run.result if self._run is not None else None
        cost = None if self._detail is None else self._detail.cost
        return result_lines(self._session, result, width, self._glyphs, cost)
