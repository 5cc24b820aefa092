"""What a run has reached, as the lines below the pipeline: address, checks, files and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style

from core.models.cost import SessionCost, Spending
from core.models.session import Session
from tui.plain import Part, clean_line, fit, spread
from tui.prose import plain_lines
from tui.quantities import dollars, size
from tui.states import Glyphs
from tui.theme import Ink

if TYPE_CHECKING:
    from tui.session_detail import Check, RunResult, Tests

Line = list[Part]
_LABEL_CELLS = 7


def result_lines(
    session: Session | None, result: RunResult | None, width: int, glyphs: Glyphs,
    cost: SessionCost | None = None,
) -> list[Line]:  # fmt: skip
    """Nothing while there is neither an address nor a result, and nothing was spent."""
    if session is None:
        return []
    url = session.url or (result and (result.url or result.deployed_url))
    facts = _facts(result) if result is not None else []
    facts += _cost_facts(cost) if cost is not None else []
    if not url and not facts:
        return []
    lines: list[Line] = [[], _title("Result", session.deploy_count, width, glyphs)]
    if url:
        lines += [[(" ", Ink.NONE), *line] for line in plain_lines(url, width - 2, Ink.ACCENT)]
    lines += [_fact(name, value, style, width) for name, value, style in facts]
    shots = result.shots if result is not None else None
    pictures = [path for path in (shots.full, shots.thumb) if path] if shots is not None else []
    if pictures:
        lines += [[], _title("Screenshot", 0, width, glyphs), *_paths(pictures, width)]
    return lines


def _paths(paths: list[str], width: int) -> list[Line]:
    """Paths whole where they fit, otherwise the folder once and the names below it."""
    if all(len(path) < width - 1 for path in paths):
        return [[(" ", Ink.NONE), *line] for path in paths for line in _path(path, width)]
    lines: list[Line] = []
    folder = ""
    for path in paths:
        head, _, name = path.rpartition("/")
        if head != folder:
            folder = head
            lines.append([(f" {clean_line(head)}/", Ink.MUTED)])
        lines += [[("   ", Ink.NONE), *line] for line in _path(name, width - 2)]
    return lines


def _path(text: str, width: int) -> list[Line]:
    return plain_lines(text, width - 2, Ink.TEXT)


def _title(name: str, number: int, width: int, glyphs: Glyphs) -> Line:
    right = f" #{number} " if number else ""
    rule = max(0, width - len(name) - 4 - len(right))
    return [
        (f"{glyphs.rule} ", Ink.FAINT),
        (name, Ink.MUTED),
        (f" {glyphs.rule * rule}", Ink.FAINT),
        (right, Ink.MUTED),
    ]


def _fact(name: str, value: str, style: Style, width: int) -> Line:
    left: Line = [(f" {fit(name, _LABEL_CELLS)} ", Ink.FAINT), (clean_line(value), style)]
    return spread(left, [], width)


def _facts(result: RunResult) -> list[tuple[str, str, Style]]:
    facts: list[tuple[str, str, Style]] = []
    if result.check is not None and result.check.status is not None:
        facts += _check_facts(result.check)
    if result.tests is not None:
        facts.append(_tests_fact(result.tests))
    if result.files is not None and result.files.total is not None:
        changed = result.files.changed or 0
        facts.append(("files", f"{result.files.total}, {changed} changed", Ink.TEXT))
    return facts


def _cost_facts(cost: SessionCost) -> list[tuple[str, str, Style]]:
    """Estimates; a session that used nothing has none."""
    facts: list[tuple[str, str, Style]] = []
    if cost.total != Spending():
        more = "" if cost.total.is_complete else "+"
        spent = f"{dollars(cost.today.usd)} today {dollars(cost.total.usd)}{more} all"
        facts.append(("cost", spent, Ink.TEXT))
    if cost.cloud_usd_day != 0.0:
        facts.append(("cloud", f"{dollars(cost.cloud_usd_day)} a day (est.)", Ink.TEXT))
    return facts


def _check_facts(check: Check) -> list[tuple[str, str, Style]]:
    kind = (check.type or "").partition(";")[0]
    took = "" if check.ms is None else f"{check.ms:.0f} ms"
    weight = " in ".join(part for part in (size(check.bytes), took) if part)
    is_good = check.status == 200
    tries = f"{check.tries} {'try' if check.tries == 1 else 'tries'}" if check.tries else ""
    verdict = "ok" if is_good else "failed"
    return [
        ("http", f"{check.status} {kind}", Ink.TEXT if is_good else Ink.BAD),
        ("size", weight, Ink.TEXT),
        ("health", f"{verdict}  {tries}", Ink.GOOD if is_good else Ink.BAD),
    ]


def _tests_fact(tests: Tests) -> tuple[str, str, Style]:
    total = tests.passed + tests.failed
    text = f"{tests.passed}/{total} passed"
    if tests.skipped:
        text += f", {tests.skipped} skipped"
    return ("e2e", text, Ink.BAD if tests.failed else Ink.GOOD)
