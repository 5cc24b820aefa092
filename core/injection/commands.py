"""The product's own commands in the library's texts, held against the command line as it is.

A command counts in code only, in spans and fenced blocks: prose names the product too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

PROGRAM = "tmux-builder"
_FENCE = re.compile(r"\s*(?:```|~~~)")
_SPAN = re.compile(r"`([^`\n]+)`")
_START = re.compile(rf"(?:^|[\s;&|(]){PROGRAM}(?=[ \t]|$)")
_END = re.compile(r"\s(?:\|\|?|&&?|>>?|<)(?=\s|$)|[;)]|\s#")
_OPERATOR = re.compile(r"\boperator\b", re.IGNORECASE)
_NUMBER = re.compile(r"-\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbShape:
    """What one verb takes.

    Attributes:
        options: Each spelling, and whether a value follows it.
        arguments: The most words without a dash; None for any number.
        in_pane: A session's own Claude can ask for it.
    """

    options: Mapping[str, bool] = field(default_factory=dict)
    arguments: int | None = None
    in_pane: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """Every verb by its full name, and the options that all of them take."""

    verbs: Mapping[str, VerbShape]
    common: Mapping[str, bool] = field(default_factory=dict)
    is_complete: bool = True
    """False where only the first words are known: then nothing after them is judged."""
    is_known: bool = True
    """False where nothing is known, so that nothing is judged."""

    @classmethod
    def of_words(cls, words: Collection[str]) -> CommandLine:
        """A command line of which only the first words are known."""
        return cls(verbs={word: VerbShape() for word in words}, is_complete=False)

    def is_noun(self, words: str) -> bool:
        return any(name.startswith(f"{words} ") for name in self.verbs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a document.

    Attributes:
        words: What follows the program's name.
        line: Counts from 1.
        is_operators: The text around it hands it to the operator.
    """

    words: tuple[str, ...]
    line: int
    is_operators: bool


def find_commands(text: str) -> Iterator[Command]:
    """Every command of a document, in order; `deploy|check` is two."""
    lines = text.split("\n")
    is_fenced = False
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            is_fenced = not is_fenced
            continue
        if PROGRAM not in line:
            continue
        for code in [line] if is_fenced else _SPAN.findall(line):
            is_operators = _is_operators(lines, number, is_fenced=is_fenced)
            for words in _commands(code):
                yield Command(words=words, line=number + 1, is_operators=is_operators)


def faults(command: Command, known: CommandLine) -> Iterator[str]:
    """What is wrong with a command: an unknown verb or option, or a verb that a pane cannot use."""
    if not known.is_known:
        return
    if not known.is_complete:
        word = next((word for word in command.words if not word.startswith("-")), None)
        if word is not None and word not in known.verbs and not known.is_noun(word):
            yield f"{PROGRAM} has no verb {word}"
        return
    name, rest = _verb(command.words, known)
    shape = known.verbs.get(name)
    if shape is None:
        yield from _no_verb(name, rest, known)
        return
    yield from _option_faults(name, rest, shape, known)
    if not shape.in_pane and not command.is_operators:
        yield (
            f"{PROGRAM} {name} cannot be asked for from inside a session:"
            " say in the same paragraph that the operator runs it"
        )


def _no_verb(name: str, rest: Sequence[str], known: CommandLine) -> Iterator[str]:
    word = next((word for word in rest if not word.startswith("-")), None)
    if name and word is None:
        yield f"{PROGRAM} {name} needs a verb"
    elif word is not None:
        yield f"{PROGRAM} has no verb {f'{name} {word}'.strip()}"
    for option in rest:
        if option.startswith("--") and option not in {*known.common, "--help", "--version"}:
            yield f"{PROGRAM} has no option {option}"


def _verb(words: Sequence[str], known: CommandLine) -> tuple[str, list[str]]:
    """The verb or noun that a command begins with, and the words after and around it."""
    name: list[str] = []
    rest = list(words)
    index = 0
    while index < len(rest):
        word = rest[index]
        if word.startswith("-"):
            index += 1 + known.common.get(word, False)
            continue
        candidate = " ".join([*name, word])
        if candidate not in known.verbs and not known.is_noun(candidate):
            break
        name.append(word)
        del rest[index]
        if candidate in known.verbs and not known.is_noun(candidate):
            break
    return " ".join(name), rest


def _option_faults(
    name: str, rest: Sequence[str], shape: VerbShape, known: CommandLine
) -> Iterator[str]:
    options = {**known.common, **shape.options, "-h": False, "--help": False, "--version": False}
    arguments = 0
    words = iter(rest)
    for word in words:
        if not word.startswith("-") or word == "-" or _NUMBER.fullmatch(word):
            arguments += 1
            continue
        if word == "--":
            arguments += sum(1 for _ in words)
            break
        option, has_value, _ = word.partition("=")
        if option not in options:
            yield f"{PROGRAM} {name} has no option {option}"
        elif options[option] and not has_value and next(words, None) is None:
            yield f"the option {option} of {PROGRAM} {name} needs a value"
    if shape.arguments is not None and arguments > shape.arguments:
        yield f"{PROGRAM} {name} takes at most {shape.arguments} words, not {arguments}"


def _commands(code: str) -> Iterator[tuple[str, ...]]:
    for start in _START.finditer(code):
        tail = code[start.end() :]
        end = _END.search(tail)
        words = _split(tail if end is None else tail[: end.start()])
        choices = words[0].split("|") if words else [""]
        for choice in choices:
            yield (choice, *words[1:]) if choice else tuple(words[1:])


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _is_operators(lines: Sequence[str], number: int, *, is_fenced: bool) -> bool:
    """Whether the paragraph speaks of the operator; for a block, the paragraph above it too."""
    if is_fenced:
        while number > 0 and not _FENCE.match(lines[number]):
            number -= 1
        number -= 1
        while number > 0 and not lines[number].strip():
            number -= 1
    return any(_OPERATOR.search(line) for line in _paragraph(lines, max(number, 0)))


def _paragraph(lines: Sequence[str], number: int) -> Sequence[str]:
    first = last = number
    while first > 0 and lines[first - 1].strip() and not _FENCE.match(lines[first - 1]):
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].strip() and not _FENCE.match(lines[last + 1]):
        last += 1
    return lines[first : last + 1]
