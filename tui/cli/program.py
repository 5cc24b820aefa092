"""The edge of the command line: from arguments to an exit code, whatever happens between."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.parsing import WordGroup, root
from tui.cli.version import PROGRAM, VERSION

if TYPE_CHECKING:
    from core.models.execution import Json
    from tui.cli.outcome import Outcome

COMPLETION_VARIABLE = "_TMUX_BUILDER_COMPLETE"
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143

_SHORT_FLAGS = re.compile(r"-[hqvny]+")
_TAKES_VALUE = frozenset({"--data-dir", "--config", "--timeout"})


class Terminated(BaseException):
    """SIGTERM came; not an Exception, so that no verb swallows it."""


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """One call of the program; returns its exit code."""
    if environ.get(COMPLETION_VARIABLE):
        return _complete(environ)
    call = Call(environ)
    words = _before_separator(arguments)
    call.json = "--json" in words
    if any(_asks_for_help(word) for word in words):
        return _help(call, words)
    if "--version" in words:
        return _version(call)
    call.json = False
    wants_document = "--json" in words
    return _guarded(call, lambda: _invoke(call, list(arguments)), wants_document=wants_document)


def end_with(error: BaseException, environ: Mapping[str, str]) -> int:
    """Say how the app ended that was opened without a parser; returns the exit code."""
    call = Call(environ)
    call.command = "tui"

    def fail() -> Outcome:
        raise error

    return _guarded(call, fail, wants_document=False)


def _guarded(call: Call, act: Callable[[], Outcome], *, wants_document: bool) -> int:
    """Run the verb; every way in which it can end becomes an outcome."""
    from core.errors import BuilderError  # noqa: PLC0415 - not for help
    from core.process_log import guard_last_resort  # noqa: PLC0415
    from tui.cli.outcome import emit, failure, plain_data  # noqa: PLC0415

    guard_last_resort()
    _watch_sigterm()
    try:
        outcome = act()
    except click.UsageError as error:
        call.json = call.json or wants_document
        outcome = _usage(error)
    except BuilderError as error:
        outcome = failure(error, data=None if error.data is None else plain_data(error.data))
    except (KeyboardInterrupt, click.Abort):
        outcome = _stopped(call, "interrupted", EXIT_INTERRUPTED)
    except Terminated:
        outcome = _stopped(call, "terminated", EXIT_TERMINATED)
    except Exception as error:  # noqa: BLE001 - the edge: written to the log and shown
        outcome = _unexpected(call, error)
    try:
        return emit(call, outcome)
    except Exception as error:  # noqa: BLE001 - the same edge
        return emit(call, _unexpected(call, error))


def _invoke(call: Call, arguments: list[str]) -> Outcome:
    with root().make_context(PROGRAM, arguments, obj=call) as context:
        outcome: Outcome | None = context.command.invoke(context)
    return outcome if outcome is not None else _without_verb(call)


def _without_verb(call: Call) -> Outcome:
    """The app where a person sits in front of it, otherwise a short help."""
    from tui.cli.outcome import Outcome  # noqa: PLC0415
    from tui.cli.parsing import load  # noqa: PLC0415

    is_terminal = all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))
    if call.json or call.pane or not is_terminal:
        if not call.json:
            call.terminal.note(_short_help())
        fix = "tmux-builder --help"
        return _error(EXIT_USAGE, "usage", "No verb was given, and this is no terminal.", fix)
    command = load("tui")
    call.command = "tui"
    done = command.run(call, session=None)
    assert isinstance(done, Outcome)  # noqa: S101 - what every verb answers
    return done


def _help(call: Call, words: Sequence[str]) -> int:
    """The help of the deepest verb that the line names."""
    call.json, wants_document = False, call.json
    group: click.Command = root()
    context = click.Context(group, info_name=PROGRAM)
    for word in _words_only(words):
        found = group.get_command(context, word) if isinstance(group, WordGroup) else None
        if found is None:
            break
        group = found
        context = click.Context(group, info_name=word, parent=context)
    text = group.get_help(context)
    if wants_document:
        from tui.cli.outcome import Outcome, envelope  # noqa: PLC0415

        text = envelope(context.command_path.removeprefix(PROGRAM).strip() or None,
                        Outcome(data={"help": text}))  # fmt: skip
    call.terminal.write(text)
    return 0


def _version(call: Call) -> int:
    text = f"{PROGRAM} {VERSION}"
    if call.json:
        from tui.cli.outcome import Outcome, envelope  # noqa: PLC0415

        text = envelope(None, Outcome(data={"version": VERSION}))
    call.terminal.write(text)
    return 0


def _complete(environ: Mapping[str, str]) -> int:
    from click.shell_completion import shell_complete  # noqa: PLC0415 - on completion only

    instruction = environ[COMPLETION_VARIABLE]
    context_args = {"obj": Call(environ)}
    return shell_complete(root(), context_args, PROGRAM, COMPLETION_VARIABLE, instruction)


def _usage(error: click.UsageError) -> Outcome:
    path = error.ctx.command_path if error.ctx is not None else PROGRAM
    code = "unknown_option" if isinstance(error, click.NoSuchOption) else "usage"
    return _error(EXIT_USAGE, code, error.format_message(), f"{path} --help")


def _stopped(call: Call, code: str, exit_code: int) -> Outcome:
    where = "tmux-builder status"
    going_on = call.going_on or "What was queued goes on in the background."
    return _error(exit_code, code, f"{code.capitalize()}. {going_on}", where)


def _unexpected(call: Call, error: Exception) -> Outcome:
    from tui.cli.faults import write_trace  # noqa: PLC0415 - only after a fault

    place = write_trace(error, call.command, call.environ)
    message = f"unexpected {type(error).__name__}; the trace is in {place}"
    return _error(EXIT_FAILED, "unexpected", message, "tmux-builder report")


def _error(exit_code: int, code: str, message: str, fix: str) -> Outcome:
    from tui.cli.outcome import Outcome  # noqa: PLC0415

    error: dict[str, Json] = {"code": code, "message": message, "fix": fix, "retryable": False}
    return Outcome(exit=exit_code, error=error)


def _short_help() -> str:
    from tui.cli.catalog import first_words  # noqa: PLC0415

    return f"usage: {PROGRAM} VERB ...\nverbs: {', '.join(first_words())}"


def _watch_sigterm() -> None:
    import signal  # noqa: PLC0415 - not for help

    def end(_number: int, _frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)


def _before_separator(arguments: Sequence[str]) -> list[str]:
    words = list(arguments)
    return words[: words.index("--")] if "--" in words else words


def _asks_for_help(word: str) -> bool:
    return word == "--help" or ("h" in word and _SHORT_FLAGS.fullmatch(word) is not None)


def _words_only(words: Sequence[str]) -> list[str]:
    """What is neither a flag nor the value of a common one."""
    found, is_value = [], False
    for word in words:
        if not is_value and not word.startswith("-"):
            found.append(word)
        is_value = word in _TAKES_VALUE
    return found
