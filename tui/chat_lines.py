"""A chat entry as drawn lines: who speaks, what is folded, and the receipt of what we sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.models.states import PromptKind, Receipt
from core.models.transcript import ChatItem, Speaker
from tui import states
from tui.plain import Part, clean_line, clip, fit, spread
from tui.prose import plain_lines, render
from tui.quantities import duration, time_of_day
from tui.theme import Ink

if TYPE_CHECKING:
    from tui.session_detail import ChatEntry

LONG_WISH_LINES = 12
KEPT_WISH_LINES = 6
FAILED_TAIL_LINES = 5
OPEN_TOOL_LINES = 40

Line = list[Part]


@dataclass(frozen=True, slots=True)
class Drawing:
    """How entries are drawn: how wide, and with which glyphs."""

    width: int
    glyphs: states.Glyphs


def folds(entry: ChatEntry) -> bool:
    """Whether the entry has something to fold."""
    item = entry.item
    if item.speaker is Speaker.TOOL:
        return bool(item.text.strip())
    return item.speaker is Speaker.OPERATOR and item.text.count("\n") >= LONG_WISH_LINES


def starts_open(entry: ChatEntry) -> bool:
    """Failed calls are open from the start."""
    return entry.item.speaker is Speaker.TOOL and entry.item.ok is False


def draw(
    entry: ChatEntry, drawing: Drawing, *, is_open: bool, before: ChatEntry | None
) -> list[Line]:
    """The lines of one entry; the speaker's name stands where the speaker changes."""
    item = entry.item
    if item.speaker is Speaker.TOOL:
        return [*_name_line(item, before, "claude"), *_tool(entry, drawing, is_open=is_open)]
    if item.speaker is Speaker.NOTE:
        return _note(item, drawing)
    if item.speaker is Speaker.OPERATOR:
        return _wish(entry, drawing, is_open=is_open)
    lines = render(item.text, drawing.width - 4)
    return [*_name_line(item, before, "claude"), *(_indented(line) for line in lines)]


def _is_claude(entry: ChatEntry | None) -> bool:
    return entry is not None and entry.item.speaker in {Speaker.CLAUDE, Speaker.TOOL}


def _name_line(item: ChatItem, before: ChatEntry | None, name: str) -> list[Line]:
    if _is_claude(before):
        return []
    return [[], [(f" {name}", Ink.CLAUDE), (f"  {time_of_day(item.at)}", Ink.FAINT)]]


def _indented(line: Line) -> Line:
    return [("   ", Ink.NONE), *line]


def _wish(entry: ChatEntry, drawing: Drawing, *, is_open: bool) -> list[Line]:
    head: Line = [(" you", Ink.YOU), (f"  {time_of_day(entry.item.at)}", Ink.FAINT)]
    prompt = entry.prompt
    if prompt is not None:
        if prompt.kind is not PromptKind.WISH:
            head.append((f"  {prompt.kind}", Ink.FAINT))
        look = states.RECEIPT[prompt.receipt]
        mark = f"{drawing.glyphs.of(look)} {look.word} "
        head = spread(head, [(mark, look.style)], drawing.width)
    lines = plain_lines(entry.item.text, drawing.width - 4, Ink.YOU_TEXT)
    hidden = len(lines) - KEPT_WISH_LINES
    if len(lines) > LONG_WISH_LINES and not is_open:
        lines = lines[:KEPT_WISH_LINES]
        lines.append([(f"{drawing.glyphs.folded} {hidden} more lines, Space unfolds", Ink.FAINT)])
    drawn = [[], head, *(_indented(line) for line in lines)]
    if prompt is not None and prompt.reason and prompt.receipt is not Receipt.ACCEPTED:
        style = states.RECEIPT[prompt.receipt].style
        drawn += [_indented(line) for line in plain_lines(prompt.reason, drawing.width - 4, style)]
    return drawn


def _note(item: ChatItem, drawing: Drawing) -> list[Line]:
    rule = drawing.glyphs.rule * 2
    text = clip(clean_line(item.text), drawing.width - 8)
    return [[], [(f" {rule} ", Ink.FAINT), (text, Ink.MUTED), (f" {rule}", Ink.FAINT)]]


def _tool(entry: ChatEntry, drawing: Drawing, *, is_open: bool) -> list[Line]:
    item = entry.item
    failed = item.ok is False
    glyphs = drawing.glyphs
    mark = glyphs.open if is_open else glyphs.folded
    if not item.text.strip():
        mark = glyphs.dot
    result = clean_line(item.result or ("failed" if failed else "" if item.ok else "running"))
    style = Ink.BAD if failed else Ink.GOOD if item.ok else Ink.ACCENT
    room = max(8, min(30, drawing.width // 3))
    right: Line = [(f" {clip(result, room)}", style)]
    right.append((f" {duration(item.duration_ms):>6} ", Ink.FAINT))
    left: Line = [
        (f"   {mark} ", Ink.BAD if failed else Ink.FAINT),
        (f"{fit(clean_line(item.tool or 'tool'), 6)} ", Ink.BAD if failed else Ink.ACCENT),
        (clean_line(item.title or ""), Ink.MUTED),
    ]
    lines = [spread(left, right, drawing.width)]
    if is_open:
        lines += _output(item, drawing)
    return lines


def _output(item: ChatItem, drawing: Drawing) -> list[Line]:
    style = Ink.BAD if item.ok is False else Ink.MUTED
    lines = plain_lines(item.text, drawing.width - 8, style)
    most = FAILED_TAIL_LINES if item.ok is False else OPEN_TOOL_LINES
    cut = len(lines) - most
    kept = lines[-most:] if item.ok is False else lines[:most]
    drawn: list[Line] = [[("       ", Ink.NONE), *line] for line in kept]
    if cut > 0:
        note: Line = [(f"       {cut} more lines in the transcript", Ink.FAINT)]
        drawn = [note, *drawn] if item.ok is False else [*drawn, note]
    return drawn
