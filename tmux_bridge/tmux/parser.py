"""Control-mode protocol without input or output: bytes in, answers and notifications out.

A reply runs from `%begin T N F` to `%end`/`%error` with the same three numbers, F being 1 for the
connection's own commands. Text inside a reply is raw: a pane may print `%end` with guessed
numbers, or any notification. Numbers alone therefore frame nothing. Every submission is followed
by a command that prints a secret fence, and the parser reads what lies before the fence as one
answer: a block in it ends at the *last* line that carries its numbers. Two rules follow:

- Lines inside a block are always text, whatever they look like: nothing is lost, nothing forged.
  Lines outside of blocks are notifications, also those between the blocks of one answer.
- A command that prints pane text is submitted alone, never after another one in a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GUARD = re.compile(rb"%(begin|end|error) (\d+ \d+ ([01]))")
NOTIFICATION = re.compile(rb"%([a-z][a-z-]*)(?: (.*))?", re.DOTALL)
OCTAL = re.compile(rb"\\([0-3][0-7]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one command printed, line by line without line ends."""

    is_error: bool
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Every reply of one submission, in order; shorter where a command of it failed."""

    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Something that happened by itself: `name` without the percent sign, the rest raw."""

    name: str
    rest: bytes = b""


Event = Answer | Notification


class ControlParser:
    """Turns the byte stream of one connection into events, whatever the chunks.

    Args:
        fence: The secret line that the connection lets tmux print after each submission.
    """

    def __init__(self, fence: bytes) -> None:
        self._fence = fence
        self._partial: list[bytes] = []
        self._answer: list[bytes] | None = None
        self._closing: bytes | None = None
        self._foreign: bytes | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            self._partial.append(tail)
            return []
        lines = b"".join([*self._partial, head]).split(b"\n")
        self._partial = [tail] if tail else []
        events: list[Event] = []
        for line in lines:
            self._take(line, events)
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        if self._closing is not None:
            self._close(line, events)
        elif self._answer is not None:
            self._collect(line)
        elif self._foreign is not None:
            self._skip_foreign(line)
        else:
            self._outside(line, events)

    def _outside(self, line: bytes, events: list[Event]) -> None:
        guard = GUARD.fullmatch(line)
        if guard is None:
            events.extend(_notifications([line]))
        elif guard[1] == b"begin" and guard[3] == b"1":
            self._answer = [line]
        elif guard[1] == b"begin":
            self._foreign = guard[2]

    def _skip_foreign(self, line: bytes) -> None:
        """The reply of the attach itself: ours to read, nobody's to want."""
        if _is_end(line, self._foreign or b""):
            self._foreign = None

    def _collect(self, line: bytes) -> None:
        collected = self._answer or []
        opening = GUARD.fullmatch(collected[-1]) if line == self._fence else None
        if opening is None or opening[1] != b"begin":
            collected.append(line)
        else:
            self._closing = opening[2]

    def _close(self, line: bytes, events: list[Event]) -> None:
        if not _is_end(line, self._closing or b""):
            return
        collected = (self._answer or [])[:-1]
        self._answer = self._closing = None
        replies, strays = _blocks(collected)
        events.extend(_notifications(strays))
        events.append(Answer(replies=tuple(replies)))


def _is_end(line: bytes, numbers: bytes) -> bool:
    guard = GUARD.fullmatch(line)
    return guard is not None and guard[1] != b"begin" and guard[2] == numbers


def _blocks(lines: list[bytes]) -> tuple[list[Reply], list[bytes]]:
    """The replies in one answer, and the lines between them."""
    last_end = {
        guard[2]: (index, guard[1] == b"error")
        for index, line in enumerate(lines)
        if (guard := GUARD.fullmatch(line)) and guard[1] != b"begin"
    }
    replies: list[Reply] = []
    strays: list[bytes] = []
    index = 0
    while index < len(lines):
        guard = GUARD.fullmatch(lines[index])
        if guard is None or guard[1] != b"begin" or guard[2] not in last_end:
            strays.append(lines[index])
            index += 1
            continue
        end, is_error = last_end[guard[2]]
        replies.append(Reply(is_error=is_error, lines=tuple(lines[index + 1 : end])))
        index = max(end, index) + 1
    return replies, strays


def _notifications(lines: list[bytes]) -> list[Notification]:
    """Only lines that have a notification's form; anything else outside a reply is noise."""
    return [
        Notification(name=match[1].decode("ascii"), rest=match[2] or b"")
        for line in lines
        if (match := NOTIFICATION.fullmatch(line)) and not GUARD.fullmatch(line)
    ]


def pane_of(output: Notification) -> str:
    """The pane id of an `output` or `extended-output` notification."""
    return output.rest.partition(b" ")[0].decode("ascii", "replace")


def output_of(output: Notification) -> bytes:
    """What the pane printed: the octal escapes of an `output` notification undone."""
    separator = b" : " if output.name == "extended-output" else b" "
    escaped = output.rest.partition(separator)[2]
    return OCTAL.sub(lambda match: bytes([int(match[1], 8)]), escaped)


def subscription_of(changed: Notification) -> tuple[str, str]:
    """The name and the text of a `subscription-changed` notification."""
    head, _, text = changed.rest.partition(b" : ")
    name = head.partition(b" ")[0]
    return name.decode("utf-8", "replace"), text.decode("utf-8", "replace")
