"""`cost`: what Claude and the clouds cost, by day, user, host or session, and the ceilings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome
from tui.cli.parsing import OneOf, argument, option, verb
from tui.cli.suggestions import SessionName, UserName
from tui.cli.tables import table
from tui.cli.views import part_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = {"day": "day", "user": "email", "host": "host_provider", "session": "session_id"}
_IDS = {"day": "day", "user": "user_id", "host": "host_provider", "session": "session_id"}
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


@verb(
    "cost",
    argument("session", type=SessionName(), metavar="[S]", required=False),
    option("--user", type=UserName(), text="Only this user's."),
    option("--by", type=OneOf("day", "user", "host", "session"), default="day",
           text="What a row is; a day is one in UTC."),
    option("--since", default="7d", metavar="TIME",
           text="From then on: 7d (today is the last of them), or a date."),
)  # fmt: skip
def cost(call: Call, *, session: str | None, user: str | None, by: str, since: str) -> Outcome:
    if session is not None and user is not None:
        raise click.UsageError("Give a session or --user, not both.")
    key = None if session is None else call.session(session).key
    user_id = None if user is None else call.services.names.user(user).user_id
    data = call.services.costs.document(by, since=_day(since), user_id=user_id, key=key)
    total = part_of(data, "total").get("claude_usd")
    return Outcome(
        data=data,
        human=lambda terminal: cost_lines(data, terminal.width),
        records=lambda: _records(data),
        result="unknown" if total is None else f"{total:.6f}",
    )


def cost_lines(document: Document, width: int | None) -> list[str]:
    """The rows, their sum, and what the ceilings say."""
    by = str(document["by"])
    rows = [_cells(row, str(row.get(_NAMES[by]) or row[_IDS[by]])) for row in _rows(document)]
    total = _cells(part_of(document, "total"), "total")
    headings = (by.upper(), "CLAUDE", "CLOUD/DAY", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE")
    lines = table(headings, [*rows, total], width=width)
    lines.append(f"since {document['since']}; estimates from list prices, days in UTC")
    return [*lines, *_limit_lines(part_of(document, "limits"))]


def dollars(amount: object) -> str:
    """`$1.02`; `unknown` where nothing has a price, rather than nothing."""
    if not isinstance(amount, (int, float)):
        return "unknown"
    return "<$0.01" if 0 < amount < 0.005 else f"${amount:,.2f}"


def _rows(document: Document) -> list[Document]:
    return rows_of(document, "rows")


def _cells(row: Document, name: str) -> Sequence[object]:
    claude = dollars(row.get("claude_usd"))
    if row.get("claude_usd") is not None and row.get("complete") is False:
        claude = f">{claude}"
    cloud = row.get("cloud_usd_day")
    is_day = row.get("day") is not None
    return (name, claude, "" if is_day else dollars(cloud), *(f"{row[n]:,}" for n in _TOKENS))


def _limit_lines(limits: Document) -> list[str]:
    found = []
    for name, used, whose in (
        ("usd_per_user_day", "user_used_today_usd", "this user"),
        ("usd_per_day", "used_today_usd", "all users"),
    ):
        limit = limits.get(name)
        if limit is None:
            continue
        spent = limits.get(used)
        told = "" if spent is None else f": {dollars(spent)} used today"
        found.append(f"ceiling {dollars(limit)} a day for {whose}{told}  (limits.{name})")
    return found or ["no ceiling is set: tmux-builder config set limits.usd_per_user_day 5"]


def _records(document: Document) -> list[Sequence[object]]:
    by = str(document["by"])
    keys = ("claude_usd", "cloud_usd_day", *_TOKENS)
    return [[row[_IDS[by]], *(row[key] for key in keys)] for row in _rows(document)]


def _day(text: str) -> str:
    """The first day that counts, in UTC."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - not for help

    from tui.cli.verbs.session import instant_of  # noqa: PLC0415

    found = instant_of(text)
    assert found is not None  # noqa: S101 - a text was given
    is_days = text.strip().endswith("d") and text.strip()[:-1].isdigit()
    first = found + timedelta(days=1) if is_days and text.strip() != "0d" else found
    return min(first, datetime.now(UTC)).astimezone(UTC).date().isoformat()


COMMANDS = {"cost": cost}
