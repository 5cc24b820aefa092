"""What a verb hands back, and how it is printed: for people, as records, or as one document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tui.cli.tables import clean, clean_line

if TYPE_CHECKING:
    from core.errors import BuilderError
    from core.models.execution import Json
    from tui.cli.call import Call
    from tui.cli.terminal import Terminal

SCHEMA = "tb/1"

Document = Mapping[str, "Json"]
Records = Callable[[], Iterable[Sequence[object]]]
Human = Callable[["Terminal"], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a verb.

    Attributes:
        data: The document's `data`.
        human: Lines for a person.
        records: Rows for `--plain`, where they differ from a person's lines.
        result: The one thing that `--quiet` prints.
        is_printed: The verb has printed everything itself.
    """

    data: Json = None
    human: Human = lambda _terminal: ()
    records: Records | None = None
    result: str | None = None
    exit: int = 0
    error: Document | None = None
    warnings: Sequence[Document] = field(default=())
    is_printed: bool = False


def emit(call: Call, outcome: Outcome) -> int:
    """Print it as the flags want it; returns the exit code."""
    if outcome.is_printed:
        return outcome.exit
    if call.json:
        call.terminal.write(envelope(call.command, outcome))
        return outcome.exit
    if call.quiet and outcome.result is not None:
        lines: Iterable[str] = [outcome.result]
    elif call.plain and outcome.records is not None:
        lines = (record(row) for row in outcome.records())
    else:
        lines = outcome.human(call.terminal)
    for line in lines:
        call.terminal.write(line)
    explain(call, outcome)
    return outcome.exit


def explain(call: Call, outcome: Outcome) -> None:
    """Warnings and the error, on stderr, at most three lines for the latter."""
    if not call.quiet:
        for warning in outcome.warnings:
            call.terminal.note(f"note: {clean(str(warning['message']))}", "warn")
    if outcome.error is not None:
        who = call.command or "tmux-builder"
        call.terminal.note(f"{who} failed: {clean(str(outcome.error['message']))}", "bad")
        if outcome.error["fix"]:
            call.terminal.note(f"fix: {clean(str(outcome.error['fix']))}")


def envelope(command: str | None, outcome: Outcome) -> str:
    """The one document, on one line."""
    import json  # noqa: PLC0415 - not for people

    document = {
        "schema": SCHEMA,
        "command": command,
        "ok": outcome.exit == 0,
        "exit": int(outcome.exit),
        "data": outcome.data,
        "error": outcome.error,
        "warnings": list(outcome.warnings),
    }
    return json.dumps(document, ensure_ascii=False)


def failure(error: BuilderError, *, data: Json = None) -> Outcome:
    """The outcome of a verb that raised."""
    return Outcome(
        data=data,
        exit=int(error.exit_code),
        error={
            "code": error.code,
            "message": error.message,
            "fix": error.remedy,
            "retryable": error.retryable,
        },
    )


def plain_data(found: Mapping[str, object]) -> Json:
    """What an error carries, as values of a document."""
    import msgspec  # noqa: PLC0415 - only for an error with data

    data: Json = msgspec.to_builtins(dict(found))
    return data


def record(row: Sequence[object]) -> str:
    """One line of `--plain`: tab separated, nothing cut, no control characters."""
    return "\t".join("" if value is None else clean_line(str(value)) for value in row)
