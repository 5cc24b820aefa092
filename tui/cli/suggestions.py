"""Names that the shell completes. Reads folder names and the exported index, never the store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tui.cli.call import Call
from tui.cli.parsing import WordType

if TYPE_CHECKING:
    from core.paths import DataRoot

SUGGESTED = 50
INDEX_LIMIT_BYTES = 8_000_000


class UserName(WordType):
    """A user: e-mail or id."""

    name = "user"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[Any]:
        return _items(ctx, incomplete, emails)


class SessionName(WordType):
    """A session: its id, a prefix, or its user's e-mail."""

    name = "session"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[Any]:
        names = sessions if incomplete.startswith("sess_") else emails
        return _items(ctx, incomplete, names)


def emails(root: DataRoot) -> Iterator[str]:
    """From the exported registry; none where it cannot be read."""
    try:
        with root.registry.open("rb") as stream:
            index = json.loads(stream.read(INDEX_LIMIT_BYTES))
    except (OSError, ValueError):
        return
    if isinstance(index, dict):
        yield from sorted({str(key).rpartition("|")[0] for key in index})


def sessions(root: DataRoot) -> Iterator[str]:
    """Names of session folders."""
    for user in _names(str(root.path)):
        if len(user) == 36:
            yield from _names(str(root.sessions(user)))


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names only, thousands of them
    except OSError:
        return []


def _items(ctx: click.Context, incomplete: str, names: Any) -> list[Any]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - on completion only

    call = ctx.obj
    if not isinstance(call, Call) or call.pane:
        return []
    found: list[Any] = []
    for name in names(call.root):
        if name.startswith(incomplete):
            found.append(CompletionItem(name))
            if len(found) == SUGGESTED:
                break
    return found
