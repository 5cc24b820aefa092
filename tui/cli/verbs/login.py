"""`login`: keep the token with which every session's Claude starts, look at it, or forget it.

A token comes from stdin, or is typed without being shown; it is never an argument, since every
account of the computer can read those.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Outcome
from tui.cli.parsing import OneOf, option, verb

if TYPE_CHECKING:
    from core.login import Login, LoginKind

LARGEST_INPUT_BYTES = 16_384


@verb(
    "login",
    option("--kind", type=OneOf("api-key", "oauth-token", "auth-token"),
           text="What the token is, where its first letters do not tell."),
    option("--status", is_flag=True, text="Say whether a token is stored; change nothing."),
    option("--remove", is_flag=True, text="Forget the stored token."),
)  # fmt: skip
def login(call: Call, *, kind: str | None, status: bool, remove: bool) -> Outcome:
    if sum((status, remove, kind is not None)) > 1:
        raise click.UsageError("--kind, --status and --remove exclude each other.")
    if status:
        return _status(call)
    return _remove(call) if remove else _store(call, _kind(kind))


def _store(call: Call, kind: LoginKind | None) -> Outcome:
    from core.login import store_login  # noqa: PLC0415 - not for help

    stored = store_login(call.environ, _token(call), kind)
    said = f"The {stored.kind} is stored; sessions that start from now on use it."
    return _told(call, stored, said)


def _status(call: Call) -> Outcome:
    from core.login import MAKE_TOKEN, read_login  # noqa: PLC0415 - not for help

    found = read_login(call.environ)
    if found is None:
        return _told(call, None, f"No token is stored. To make one: {MAKE_TOKEN}.")
    return _told(call, found, f"A token is stored: {found.kind}.")


def _remove(call: Call) -> Outcome:
    from core.login import remove_login  # noqa: PLC0415 - not for help

    was_there = remove_login(call.environ)
    said = "The token is gone; a Claude that runs keeps it until it ends."
    return _told(call, None, said if was_there else "No token was stored.")


def _told(call: Call, found: Login | None, sentence: str) -> Outcome:
    """Everything but the value."""
    from core.login import environment_login, stored_in  # noqa: PLC0415 - not for help

    path, kind = str(stored_in(call.environ)), None if found is None else str(found.kind)
    winner = environment_login(call.environ)
    warnings = []
    if winner is not None:
        message = f"{winner} is set in this environment and wins over the stored token."
        warnings.append({"code": "environment_wins", "message": message})
    return Outcome(
        data={"stored": found is not None, "kind": kind, "path": path},
        human=lambda _terminal: [sentence],
        records=lambda: [[str(found is not None).lower(), kind, path]],
        result=kind or "none", warnings=warnings,
    )  # fmt: skip


def _kind(word: str | None) -> LoginKind | None:
    from core.login import LoginKind  # noqa: PLC0415 - not for help

    if word is None:
        return None
    try:
        return LoginKind(word)
    except ValueError:
        raise click.UsageError(f"--kind is one of: {', '.join(LoginKind)}.") from None


def _token(call: Call) -> str:
    """What is on stdin, or what a person types without its being shown.

    Raises:
        UsageError: Nothing is there, or it is no text.
    """
    if call.may_ask:
        from getpass import getpass  # noqa: PLC0415 - only for a person

        return getpass("Token (not shown): ")
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("The token is read from stdin, and nothing is there.")
    content = sys.stdin.buffer.read(LARGEST_INPUT_BYTES)
    try:
        return content.decode()
    except UnicodeDecodeError:
        # Not chained: the error holds the bytes that it could not read.
        raise click.UsageError("The token is no UTF-8 text.") from None


COMMANDS = {"login": login}
