"""What this computer has and lacks, with a remedy under each fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen

from core.errors import BuilderError
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.background import in_background
from tui.hints import hints
from tui.messages import ActFailed, DoctorReported
from tui.plain import Part, clean_line, fit, spread
from tui.situation import Situation
from tui.theme import Ink
from tui.widgets.bars import FooterBar
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from core.services.doctor import DoctorReport
    from core.services.services import Services

_STYLES = {"ok": Ink.GOOD, "warn": Ink.WARN, "fail": Ink.BAD_STRONG, "skip": Ink.FAINT}


class DoctorView(LineView):
    """A line for each check, and one for each remedy."""

    def __init__(self) -> None:
        super().__init__(id="doctor-view")
        self._lines: list[tuple[list[Part], str | None]] = [([(" checking …", Ink.FAINT)], None)]

    def line_count(self) -> int:
        return len(self._lines)

    def draw_line(self, line: int, width: int) -> list[Part]:
        return spread(self._lines[line][0], [], width)

    @property
    def fix(self) -> str | None:
        """The remedy of the line under the cursor."""
        return self._lines[self.cursor][1] if self._lines else None

    def show(self, report: DoctorReport) -> None:
        ready: list[Part] = [(" READY FOR ", Ink.MUTED)]
        for purpose, is_ready in report.ready.items():
            ready.append((f"  {purpose} ", Ink.TEXT))
            ready.append(("yes", Ink.GOOD) if is_ready else ("no", Ink.BAD))
        lines: list[tuple[list[Part], str | None]] = [(ready, None), ([], None)]
        for check in report.checks:
            state = str(check.state)
            word = state.upper() if state == "fail" else state
            parts = [
                (f" {fit(word, 5)} ", _STYLES.get(state, Ink.TEXT)),
                (f"{fit(check.id, 16)} ", Ink.TEXT),
                (clean_line(check.found), Ink.MUTED),
            ]
            lines.append((parts, check.fix))
            if check.fix and state in {"fail", "warn"}:
                lines.append(([("       fix: ", Ink.FAINT), (check.fix, Ink.ACCENT)], check.fix))
        self._lines = lines
        self.lines_changed()


class DoctorScreen(Screen[None], Acting, inherit_bindings=False):
    """Runs every check when it opens and when asked again."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.DOCTOR,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.DOCTOR)]
    AUTO_FOCUS = "#doctor-view"

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services

    def compose(self) -> ComposeResult:
        panel = Vertical(classes="panel")
        panel.border_title = Content("Doctor")
        with panel:
            yield DoctorView()
        yield FooterBar()

    def on_mount(self) -> None:
        self.query_one(FooterBar).show(hints(self, Situation()))
        self.do_check_again()

    def do_check_again(self) -> None:
        self._say("checking …")
        self.run_worker(self._check(), name="doctor", group="doctor", exclusive=True)

    async def _check(self) -> None:
        try:
            report = await in_background(lambda: self._services.doctor.run(set()))
        except BuilderError as error:
            self.post_message(ActFailed(error.message, error.remedy))
        else:
            self.post_message(DoctorReported(report))

    @on(DoctorReported)
    def _take(self, message: DoctorReported) -> None:
        self.query_one(DoctorView).show(message.report)
        problems = sum(1 for check in message.report.checks if str(check.state) == "fail")
        self._say(f"{problems} problems" if problems else "no problems")

    @on(ActFailed)
    def _failed(self, message: ActFailed) -> None:
        self._say("the checks could not run")
        self.notify(f"{message.message}\n{message.remedy}", severity="error", markup=False)

    def _say(self, text: str) -> None:
        parent = self.query_one(DoctorView).parent
        if isinstance(parent, Vertical):
            parent.border_subtitle = Content(text)

    def do_copy_fix(self) -> None:
        fix = self.query_one(DoctorView).fix
        if fix is None:
            self.notify("There is nothing to fix on this line.", markup=False, timeout=3)
        else:
            self.app.copy_to_clipboard(fix)
            self.notify(f"copied: {fix}", markup=False, timeout=3)

    def do_close_doctor(self) -> None:
        self.dismiss()
