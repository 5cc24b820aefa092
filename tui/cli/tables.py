"""Text for people: aligned columns, cards, ages and durations, foreign text made harmless."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = {
    code: None
    for code in (
        *range(0x20), 0x7F, *range(0x80, 0xA0), 0x200E, 0x200F, *range(0x202A, 0x202F),
        *range(0x2066, 0x206A), 0xFEFF, 0x2028, 0x2029,
    )
    if code != 0x0A
}  # fmt: skip
_GAP = "  "

STATE_COLOURS = {
    "needs_you": "warn",
    "failed": "bad",
    "working": "accent",
    "live": "good",
    "running": "accent",
    "completed": "good",
    "ok": "good",
    "cancelled": "warn",
    "fail": "bad",
    "warn": "warn",
    "pending": "faint",
    "skipped": "faint",
    "skip": "faint",
    "parked": "faint",
    "ended": "faint",
}
"""States are always a word; the colour only repeats it."""


def clean(text: str) -> str:
    """Printable text and line breaks only: no escape sequence of others reaches the terminal."""
    if text.isascii() and text.isprintable():
        return text
    return _ESCAPES.sub("", text.replace("\r\n", "\n").expandtabs(4)).translate(_CONTROLS)


def clean_line(text: str) -> str:
    """The same on one line."""
    return clean(text).replace("\n", " ")


def table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None
) -> list[str]:
    """Aligned columns under their headings; the last column is cut where the line is full."""
    cells = [[_cell(value) for value in row] for row in rows]
    columns = [max(_width(line[n]) for line in (headings, *cells)) for n in range(len(headings))]
    return [_line(line, columns, width) for line in (headings, *cells)]


def card(rows: Mapping[str, object]) -> list[str]:
    """`name  value` lines; what is unknown is left out."""
    known = {name: _cell(value) for name, value in rows.items() if value not in (None, "")}
    widest = max((len(name) for name in known), default=0)
    return [f"{name:<{widest}}{_GAP}{value}" for name, value in known.items()]


def duration(milliseconds: object) -> str:
    """`0.2s`, `41.7s`, `1m 48s`, `2h 05m`; empty for None."""
    if not isinstance(milliseconds, (int, float)):
        return ""
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m"


def age(instant: object) -> str:
    """`8s`, `2m`, `3h`, `5d`: how long ago an RFC 3339 instant was; empty for None."""
    if not isinstance(instant, str):
        return ""
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _cell(value: object) -> str:
    return "" if value is None else clean_line(str(value))


def _line(cells: Sequence[str], columns: Sequence[int], width: int | None) -> str:
    text = _GAP.join(
        cell + " " * (n - _width(cell)) for cell, n in zip(cells, columns, strict=True)
    )
    text = text.rstrip()
    return text if width is None else _cut(text, width)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    kept, used = [], 0
    for letter in text:
        used += _width(letter)
        if used >= width:
            break
        kept.append(letter)
    return f"{''.join(kept)}…"


def _width(text: str) -> int:
    """Columns on a terminal: wide letters take two, marks over letters none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter)
        else 2 if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )  # fmt: skip
