"""What a library's texts point at: files of the library, agents and skills."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_FENCE = re.compile(r"\s*(?:```|~~~)")
_LIBRARY_FILE = re.compile(r"(?<![\w./-])library/[\w./-]*[\w-]")
_HELPER = re.compile(r"\b(agent|skill)s? `([a-z0-9-]+)`")
_HELPER_FILE = re.compile(r"\.claude/(agent|skill)s/([a-z0-9-]+)")


class ReferenceKind(StrEnum):
    """What is pointed at."""

    FILE = "file"
    AGENT = "agent"
    SKILL = "skill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One pointer; `line` counts from 1 in its document."""

    kind: ReferenceKind
    name: str
    line: int


def find_references(text: str) -> Iterator[Reference]:
    """Every pointer of a document, in order."""
    for number, line in enumerate(text.split("\n"), start=1):
        if _FENCE.match(line):
            continue
        for file in _LIBRARY_FILE.findall(line):
            yield Reference(kind=ReferenceKind.FILE, name=file, line=number)
        for kind, name in (*_HELPER.findall(line), *_HELPER_FILE.findall(line)):
            yield Reference(kind=ReferenceKind(kind), name=name, line=number)
