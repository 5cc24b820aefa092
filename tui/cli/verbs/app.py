"""`tui`: the full-screen app."""

from __future__ import annotations

import sys

import click

from tui.cli.call import Call
from tui.cli.outcome import Outcome
from tui.cli.parsing import option, verb
from tui.cli.suggestions import SessionName


@verb(
    "tui",
    option("--session", text="Begin with this session.", type=SessionName(), metavar="S"),
)
def tui(call: Call, *, session: str | None) -> Outcome:
    """Open the app; a terminal that cannot draw it gets the list of sessions as plain text."""
    if call.plain or call.environ.get("TERM") == "dumb":
        return _as_text(call)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("The app needs a terminal; the other verbs do not.")
    from tui.opening import open_app  # noqa: PLC0415 - only the app needs it

    key = None if session is None else call.session(session).key
    return Outcome(exit=open_app(lambda: call.services, key), is_printed=True)


def _as_text(call: Call) -> Outcome:
    from tui.cli.views import session_lines, session_records  # noqa: PLC0415 - only without screen

    services = call.services
    page = services.sessions.list()
    rows = [services.status.session_document(row) for row in page.sessions]
    return Outcome(
        human=lambda terminal: [
            *session_lines(rows, terminal.width), "See tmux-builder --help for what can be done.",
        ],
        records=lambda: session_records(rows),
    )  # fmt: skip


COMMANDS = {"tui": tui}
