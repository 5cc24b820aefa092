"""Foreign text made harmless and cut to cells: no control character reaches the terminal."""

from __future__ import annotations

import re

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = {
    code: None
    for code in (
        *range(0x20), 0x7F, *range(0x80, 0xA0), 0x200E, 0x200F, *range(0x202A, 0x202F),
        *range(0x2066, 0x206A), 0xFEFF, 0x2028, 0x2029,
    )
    if code not in {0x09, 0x0A}
}  # fmt: skip

Part = tuple[str, Style]


def clean(text: str) -> str:
    """Lines of printable text: escape sequences, controls and direction marks are taken out."""
    if text.isascii() and text.isprintable():
        return text
    return _ESCAPES.sub("", text).translate(_CONTROLS).expandtabs(4)


def clean_line(text: str) -> str:
    """The same on one line: line breaks become spaces."""
    return clean(text).replace("\n", " ")


def clip(text: str, cells: int) -> str:
    """At most `cells` wide, with an ellipsis where something was cut."""
    if cells <= 0:
        return ""
    if cell_len(text) <= cells:
        return text
    return f"{set_cell_size(text, cells - 1).rstrip()}…" if cells > 1 else "…"


def fit(text: str, cells: int) -> str:
    """Exactly `cells` wide: cut or filled with spaces."""
    return set_cell_size(clip(text, cells), max(0, cells))


def segments(parts: list[Part]) -> list[Segment]:
    return [Segment(text, style) for text, style in parts if text]


def parts_width(parts: list[Part]) -> int:
    return sum(cell_len(text) for text, _ in parts)


def spread(left: list[Part], right: list[Part], width: int) -> list[Part]:
    """`left` and `right` at the two ends of a line; the left gives way where both do not fit."""
    room = width - parts_width(right)
    kept: list[Part] = []
    for text, style in left:
        used = parts_width(kept)
        if used >= room:
            break
        kept.append((clip(text, room - used), style))
    gap = " " * max(0, room - parts_width(kept))
    return [*kept, (gap, Style.null()), *right]
