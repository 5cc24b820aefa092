"""A captured row with colour sequences as segments. Only SGR is understood, the rest is dropped."""

from __future__ import annotations

import re
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style

_SEQUENCE = re.compile(
    r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?"
    r"|[ -/]*[0-~])"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_SWITCHES: dict[int, tuple[str, bool]] = {
    1: ("bold", True), 2: ("dim", True), 3: ("italic", True), 4: ("underline", True),
    5: ("blink", True), 7: ("reverse", True), 8: ("conceal", True), 9: ("strike", True),
    21: ("underline", True), 23: ("italic", False), 24: ("underline", False),
    25: ("blink", False), 27: ("reverse", False), 28: ("conceal", False),
    29: ("strike", False),
}  # fmt: skip
State = tuple[tuple[str, str | bool], ...]


def parse_row(row: str) -> list[Segment]:
    """One row; its colours start from the default, as `capture-pane -e` writes them."""
    segments: list[Segment] = []
    state: State = ()
    at = 0
    for match in _SEQUENCE.finditer(row):
        _append(segments, row[at : match.start()], state)
        if match[2] == "m":
            state = apply(state, match[1] or "")
        at = match.end()
    _append(segments, row[at:], state)
    return segments


def _append(segments: list[Segment], text: str, state: State) -> None:
    text = _CONTROLS.sub("", text)
    if text:
        segments.append(Segment(text, style_of(state)))


@lru_cache(maxsize=2048)
def style_of(state: State) -> Style:
    """The style of a state; screens repeat a few dozen of them."""
    fields = dict(state)
    colour, background = fields.pop("fg", None), fields.pop("bg", None)
    return Style(
        color=colour if isinstance(colour, str) else None,
        bgcolor=background if isinstance(background, str) else None,
        **{name: bool(value) for name, value in fields.items()},  # type: ignore[arg-type]  # switches only
    )


@lru_cache(maxsize=2048)
def apply(state: State, parameters: str) -> State:
    """The state after one SGR sequence; unknown parameters change nothing."""
    fields: dict[str, str | bool] = dict(state)
    numbers = _numbers(parameters)
    at = 0
    while at < len(numbers):
        number = numbers[at]
        at += 1
        if number in {38, 48}:
            colour, used = _extended(numbers[at:])
            at += used
            if colour is not None:
                fields["fg" if number == 38 else "bg"] = colour
        else:
            _simple(fields, number)
    return tuple(sorted(fields.items()))


def _numbers(parameters: str) -> list[int]:
    fields = parameters.replace("38:2::", "38:2:").replace("48:2::", "48:2:")
    numbers = []
    for part in fields.split(";"):
        head, *rest = part.split(":")
        if head == "4" and rest:
            numbers.append(24 if rest[0] == "0" else 4)
            continue
        numbers += [int(text) if text.isdigit() and len(text) < 5 else 0 for text in (head, *rest)]
    return numbers


def _extended(numbers: list[int]) -> tuple[str | None, int]:
    if len(numbers) >= 2 and numbers[0] == 5:
        return (f"color({numbers[1]})" if numbers[1] < 256 else None), 2
    if len(numbers) >= 4 and numbers[0] == 2:
        red, green, blue = (min(255, value) for value in numbers[1:4])
        return f"#{red:02x}{green:02x}{blue:02x}", 4
    return None, len(numbers)


def _simple(fields: dict[str, str | bool], number: int) -> None:
    if number == 0:
        fields.clear()
    elif number == 22:
        fields.pop("bold", None)
        fields.pop("dim", None)
    elif number in _SWITCHES:
        name, is_on = _SWITCHES[number]
        if is_on:
            fields[name] = True
        else:
            fields.pop(name, None)
    elif number in {39, 49}:
        fields.pop("fg" if number == 39 else "bg", None)
    else:
        _basic_colour(fields, number)


def _basic_colour(fields: dict[str, str | bool], number: int) -> None:
    for base, prefix in ((30, ""), (90, "bright_")):
        for offset, ground in ((0, "fg"), (10, "bg")):
            index = number - base - offset
            if 0 <= index < 8:
                fields[ground] = f"{prefix}{_NAMES[index]}"
