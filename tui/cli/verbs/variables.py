"""`session env set`, `unset` and `list`: the variables of a dynamic site's program.

A value comes from stdin, or is typed without being shown; it is never an argument, since every
account of the computer can read those.
"""

from __future__ import annotations

import sys

import click

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome
from tui.cli.parsing import argument, verb
from tui.cli.suggestions import SessionName

TIMEOUT_S = 300.0


@verb(
    "session env set",
    argument("session", type=SessionName(), metavar="S"),
    argument("key", metavar="KEY"),
)
def set_variable(call: Call, *, session: str, key: str) -> Outcome:
    site = call.session(session).key
    call.services.apps.check_name(site, key)
    value = _value(call, key)
    call.say(f"session env set: handing {key} to the host of {site.session_id}")
    answer = call.services.apps.set_variable(site, key, value, call.timeout_s(TIMEOUT_S))
    return _named(answer, f"{key} is set; its value is not shown again.")


@verb(
    "session env unset",
    argument("session", type=SessionName(), metavar="S"),
    argument("key", metavar="KEY"),
)
def unset_variable(call: Call, *, session: str, key: str) -> Outcome:
    site = call.session(session).key
    answer = call.services.apps.unset_variable(site, key, call.timeout_s(TIMEOUT_S))
    return _named(answer, f"{key} is not set any more.")


@verb("session env list", argument("session", type=SessionName(), metavar="S", required=False))
def list_variables(call: Call, *, session: str | None) -> Outcome:
    site = call.session(session).key
    answer = call.services.apps.variables(site, call.timeout_s(TIMEOUT_S))
    found = answer.get("names")
    names = [str(name) for name in found] if isinstance(found, list) else []
    return Outcome(
        data=answer, human=lambda _terminal: names or ["No variables are set."],
        records=lambda: [[name] for name in names],
    )  # fmt: skip


def _value(call: Call, key: str) -> str:
    """What is on stdin without its last line break; typed without being shown at a terminal.

    Raises:
        UsageError: There is nothing, or it is no text.
    """
    if call.may_ask:
        from getpass import getpass  # noqa: PLC0415 - only for a person

        return getpass(f"Value of {key} (not shown): ")
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("The value is read from stdin, and nothing is there.")
    from core.services.apps import LARGEST_VALUE_BYTES  # noqa: PLC0415 - not for help

    # A longer one is refused by its size, for which its first part is enough.
    content = sys.stdin.buffer.read(LARGEST_VALUE_BYTES + 3)
    content = content[:-2] if content.endswith(b"\r\n") else content.removesuffix(b"\n")
    try:
        return content.decode()
    except UnicodeDecodeError:
        # Not chained: the error holds the bytes that it could not read.
        raise click.UsageError("The value is no UTF-8 text.") from None


def _named(answer: Document, sentence: str) -> Outcome:
    return Outcome(
        data=dict(answer), human=lambda _terminal: [sentence],
        records=lambda: [[answer.get("name")]], result=str(answer.get("name")),
    )  # fmt: skip


COMMANDS = {
    "session env set": set_variable,
    "session env unset": unset_variable,
    "session env list": list_variables,
}
