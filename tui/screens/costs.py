"""What Claude and the clouds cost, by day, user and host, under the ceilings with a bar each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen

from core.errors import BuilderError
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.background import in_background
from tui.hints import hints
from tui.messages import ActFailed
from tui.plain import Part, clean_line, fit, spread
from tui.quantities import dollars
from tui.situation import Situation
from tui.states import Glyphs
from tui.theme import Ink
from tui.widgets.bars import FooterBar
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from core.models.cost import Ceiling
    from core.models.execution import Json
    from core.services.services import Services

EVERY_S = 2.0
_BAR_CELLS = 30
_NAME_CELLS = 34
_SECTIONS = (("day", "By day (UTC)", "day"), ("user", "By user", "email"),
             ("host", "By host", "host_provider"))  # fmt: skip
_TOKENS = (("in", "input_tokens"), ("out", "output_tokens"), ("cached", "cache_read_tokens"))

Line = list[Part]
Document = Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOverview:
    """What the screen shows: a document for each section, and the ceilings."""

    documents: Mapping[str, Document]
    ceilings: Sequence[Ceiling]


@dataclass
class CostsLoaded(Message):
    """The figures are read."""

    overview: CostOverview


class CostView(LineView):
    """The ceilings, then a section for each way to group."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="cost-view")
        self._glyphs = glyphs
        self._lines: list[Line] = [[(" reading …", Ink.FAINT)]]

    def line_count(self) -> int:
        return len(self._lines)

    def draw_line(self, line: int, width: int) -> list[Part]:
        return spread(self._lines[line], [], width)

    @property
    def text(self) -> list[str]:
        """The lines as they read, for whoever checks what is shown."""
        return ["".join(part for part, _ in line).rstrip() for line in self._lines]

    def show(self, overview: CostOverview) -> None:
        lines = [self._ceiling(one) for one in overview.ceilings] or [_no_ceiling()]
        for name, title, key in _SECTIONS:
            rows = overview.documents[name].get("rows")
            lines += [[], [(f" {title}", Ink.MUTED)]]
            shown = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
            lines += [_row(row, key) for row in shown] or [[("   nothing yet", Ink.FAINT)]]
        lines += [[], [(" Estimates from list prices; no bill.", Ink.FAINT)]]
        self._lines = lines
        self.lines_changed(keep_scroll=True)

    def _ceiling(self, ceiling: Ceiling) -> Line:
        full = round(_BAR_CELLS * ceiling.share)
        style = Ink.BAD if ceiling.is_reached else Ink.WARN if ceiling.is_near else Ink.GOOD
        whose = "all users" if ceiling.scope == "all" else "a user, most"
        used = f" {dollars(ceiling.used_usd)} of {dollars(ceiling.limit_usd)} today"
        return [
            (f" {fit(whose, 13)} ", Ink.TEXT),
            (self._glyphs.full * full, style),
            (self._glyphs.empty * (_BAR_CELLS - full), Ink.FAINT),
            (used, style if ceiling.is_near else Ink.TEXT),
            ("  reached: nothing new begins" if ceiling.is_reached else "", Ink.BAD),
        ]


class CostsScreen(Screen[None], Acting, inherit_bindings=False):
    """Reads the figures when it opens, and every few seconds."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.COSTS,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.COSTS)]
    AUTO_FOCUS = "#cost-view"

    def __init__(self, services: Services, glyphs: Glyphs) -> None:
        super().__init__()
        self._services = services
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        panel = Vertical(classes="panel")
        panel.border_title = Content("Cost overview, the last 7 days")
        with panel:
            yield CostView(self._glyphs)
        yield FooterBar()

    def on_mount(self) -> None:
        self.query_one(FooterBar).show(hints(self, Situation()))
        self.set_interval(EVERY_S, self.do_read_costs)
        self.do_read_costs()

    def do_read_costs(self) -> None:
        self.run_worker(self._read(), name="costs", group="costs", exclusive=True)

    async def _read(self) -> None:
        costs = self._services.costs

        def read() -> CostOverview:
            documents = {name: costs.document(name) for name, _, _ in _SECTIONS}
            return CostOverview(documents=documents, ceilings=costs.ceilings())

        try:
            overview = await in_background(read)
        except BuilderError as error:
            self.post_message(ActFailed(error.message, error.remedy))
        else:
            self.post_message(CostsLoaded(overview))

    @on(CostsLoaded)
    def _take(self, message: CostsLoaded) -> None:
        self.query_one(CostView).show(message.overview)

    @on(ActFailed)
    def _failed(self, message: ActFailed) -> None:
        self.notify(f"{message.message}\n{message.remedy}", severity="error", markup=False)

    def do_close_costs(self) -> None:
        self.dismiss()


def _no_ceiling() -> Line:
    fix = "tmux-builder config set limits.usd_per_user_day 5"
    return [(" no ceiling is set: ", Ink.FAINT), (fix, Ink.ACCENT)]


def _row(row: Document, key: str) -> Line:
    name = clean_line(str(row.get(key) or row.get("user_id") or ""))
    claude = dollars(_number(row.get("claude_usd")))
    tokens = "  ".join(f"{_count(row.get(field))} {word}" for word, field in _TOKENS)
    line: Line = [(f"   {fit(name, _NAME_CELLS)} ", Ink.TEXT), (f"{claude:>9}", Ink.STRONG)]
    if key != "day":
        cloud = dollars(_number(row.get("cloud_usd_day")))
        line.append((f"  cloud {cloud} a day", Ink.MUTED))
    return [*line, (f"   {tokens} tokens", Ink.FAINT)]


def _number(value: Json) -> float | None:
    return value if isinstance(value, (int, float)) else None


def _count(value: Json) -> str:
    return f"{value:,}" if isinstance(value, int) else "0"
