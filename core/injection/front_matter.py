"""The `key: value` lines that open an agent or skill.

Only plain one-line values are taken, a subset that every YAML reader understands alike: Claude
ignores an item whose front matter it cannot read, without a word, so anything doubtful is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.injection.problems import Problem

FENCE = "---"
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):[ ]+(\S.*)")
_SPECIAL_START = tuple("[]{}>|*&!%@`'\"#,?-")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "~"})


class FrontMatterFault(ValueError):  # noqa: N818 - caught beside the parser and made a Problem
    """A line that cannot be read; becomes a `Problem` as soon as the file is known."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text

    def problem(self, file: str) -> Problem:
        return Problem(file=file, line=self.line, text=self.text)


def parse_front_matter(content: bytes) -> Mapping[str, str]:
    """The front matter of a document.

    Raises:
        FrontMatterFault: No or no closed front matter, or a line in it that is not `key: value`.
    """
    lines = _decode(content).split("\n")
    if lines[0] != FENCE:
        raise FrontMatterFault(1, f"the first line must be {FENCE}, the start of the front matter")
    try:
        end = lines.index(FENCE, 1)
    except ValueError:
        raise FrontMatterFault(1, f"the front matter has no closing {FENCE}") from None
    values: dict[str, str] = {}
    for number, line in enumerate(lines[1:end], start=2):
        key, value = _parse_line(number, line)
        if key in values:
            raise FrontMatterFault(number, f"{key} is given twice")
        values[key] = value
    if not any(line.strip() for line in lines[end + 1 :]):
        raise FrontMatterFault(end + 1, "there is no text after the front matter")
    return values


def _decode(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FrontMatterFault(line, "this is not UTF-8 text") from error
    for bad, name in (("\r", "a carriage return"), ("\0", "a NUL character")):
        if bad in text:
            line = text.count("\n", 0, text.index(bad)) + 1
            raise FrontMatterFault(line, f"{name} is in the text")
    return text


def _parse_line(number: int, line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise FrontMatterFault(number, "this is not a `key: value` line")
    key, value = match[1], match[2].rstrip()
    if value.startswith(_SPECIAL_START) or ": " in value or " #" in value or value.endswith(":"):
        raise FrontMatterFault(number, f"the value of {key} is not plain text for YAML")
    if value.lower() in _NOT_TEXT:
        raise FrontMatterFault(number, f"the value of {key} is not text for YAML")
    return key, value
