"""Claude's Markdown as drawn lines: headings, lists, code and emphasis, everything else verbatim.

Not a Markdown engine: what it does not know stays as it was written, and nothing of the text is
ever taken as markup of the terminal library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells
from rich.style import Style

from tui.plain import Part, clean
from tui.theme import Ink

_FENCE = re.compile(r"^\s*(```|~~~)")
_HEADING = re.compile(r"^#{1,6}\s+(.*)$")
_ITEM = re.compile(r"^(\s*)([-*+]|\d{1,3}[.)])\s+(.*)$")
_QUOTE = re.compile(r"^\s*>\s?(.*)$")
_INLINE = re.compile(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*")
_TOKENS = re.compile(r"\s+|\S+")

Line = list[Part]


def render(text: str, width: int, style: Style = Ink.TEXT) -> list[Line]:
    """The lines of a message, wrapped to `width` cells."""
    lines: list[Line] = []
    fenced = False
    for raw in clean(text).strip("\n").split("\n"):
        if _FENCE.match(raw):
            fenced = not fenced
            continue
        lines.extend(_verbatim(raw, width) if fenced else _prose_line(raw, width, style))
    return lines


def plain_lines(text: str, width: int, style: Style) -> list[Line]:
    """Lines as they are, wrapped, with nothing interpreted."""
    return [
        line for raw in clean(text).strip("\n").split("\n") for line in wrap([(raw, style)], width)
    ]


def _verbatim(raw: str, width: int) -> list[Line]:
    pieces = chop_cells(raw, max(1, width - 2)) or [""]
    return [[("  ", Ink.NONE), (piece, Ink.CODE)] for piece in pieces]


def _prose_line(raw: str, width: int, style: Style) -> list[Line]:
    if heading := _HEADING.match(raw):
        return wrap(_inline(heading[1], Ink.STRONG), width)
    if item := _ITEM.match(raw):
        indent, mark, rest = item[1], item[2], item[3]
        mark = "•" if mark in "-*+" else mark
        lead = f"{indent[: width // 3]}{mark} "
        return wrap(_inline(rest, style), width, first=[(lead, Ink.MUTED)])
    if quote := _QUOTE.match(raw):
        return wrap(_inline(quote[1], Ink.MUTED), width, first=[("│ ", Ink.FAINT)])
    return wrap(_inline(raw, style), width)


def _inline(text: str, style: Style) -> list[Part]:
    parts: list[Part] = []
    at = 0
    for match in _INLINE.finditer(text):
        parts.append((text[at : match.start()], style))
        code, strong = match.groups()
        parts.append((code, Ink.CODE) if code else (strong, style + Ink.STRONG))
        at = match.end()
    parts.append((text[at:], style))
    return [part for part in parts if part[0]]


def wrap(parts: list[Part], width: int, *, first: Line | None = None) -> list[Line]:
    """Break at spaces, cut what is wider than a line; `first` leads and later lines hang."""
    lead = first or []
    hang = sum(cell_len(text) for text, _ in lead)
    room = max(1, width - hang)
    lines: list[Line] = [list(lead)]
    used = 0
    for token, style in _tokens(parts, room):
        cells = cell_len(token)
        if used + cells > room:
            lines.append([(" " * hang, Ink.NONE)] if hang else [])
            used = 0
            if token.isspace():
                continue
        lines[-1].append((token, style))
        used += cells
    return lines


def _tokens(parts: list[Part], room: int) -> Iterator[Part]:
    for text, style in parts:
        for match in _TOKENS.finditer(text):
            token = match[0]
            if cell_len(token) <= room:
                yield token, style
            else:
                yield from ((piece, style) for piece in chop_cells(token, room))
