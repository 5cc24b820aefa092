"""What a library's texts point at: the product's verbs, files of the library, agents and skills."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

_FENCE = re.compile(r"\s*(?:```|~~~)")
_SPAN = re.compile(r"`([^`\n]+)`")
_VERB = re.compile(r"(?:^|[\s;&|(])tmux-builder[ \t]+([^\s`;&)]+)")
_LIBRARY_FILE = re.compile(r"(?<![\w./-])library/[\w./-]*[\w-]")
_HELPER = re.compile(r"\b(agent|skill)s? `([a-z0-9-]+)`")
_HELPER_FILE = re.compile(r"\.claude/(agent|skill)s/([a-z0-9-]+)")


class ReferenceKind(StrEnum):
    """What is pointed at."""

    VERB = "verb"
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
    """Every pointer of a document, in order. Verbs count in code only: prose names the product."""
    is_fenced = False
    for number, line in enumerate(text.split("\n"), start=1):
        if _FENCE.match(line):
            is_fenced = not is_fenced
            continue
        for code in [line] if is_fenced else _SPAN.findall(line):
            yield from _verbs(code, number)
        for file in _LIBRARY_FILE.findall(line):
            yield Reference(kind=ReferenceKind.FILE, name=file, line=number)
        for kind, name in (*_HELPER.findall(line), *_HELPER_FILE.findall(line)):
            yield Reference(kind=ReferenceKind(kind), name=name, line=number)


def unknown_verbs(references: Collection[Reference], verbs: Collection[str]) -> Iterator[Reference]:
    """The references to verbs that the product does not have."""
    for reference in references:
        if reference.kind is ReferenceKind.VERB and reference.name not in verbs:
            yield reference


def _verbs(code: str, line: int) -> Iterator[Reference]:
    for words in _VERB.findall(code):
        for word in words.split("|"):
            if word and not word.startswith("-"):
                yield Reference(kind=ReferenceKind.VERB, name=word, line=line)
