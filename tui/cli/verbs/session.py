"""`session create`, `session list`, `session kill`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Outcome
from tui.cli.parsing import OneOf, argument, option, verb
from tui.cli.suggestions import SessionName, UserName
from tui.cli.tables import card
from tui.cli.verbs.user import HOSTS, MODES, SITES, injected_document, more_line
from tui.cli.views import session_lines, session_records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.models.execution import Json
    from core.models.states import SessionState
    from core.services.sessions import SessionFilter

KILL_TIMEOUT_S = 60.0

_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


UNCONTAINED: Mapping[str, Json] = {
    "code": "isolation_off",
    "message": "isolation is off: what Claude runs has your own rights, in every session.",
}


@verb(
    "session create",
    argument("user", type=UserName()),
    option("--host-provider", "--host", text="Default: the user's.", type=HOSTS),
    option("--site-type", "--site", text="Default: the user's.", type=SITES),
    option("--prompt", text="The first wish.", metavar="TEXT"),
    option("--prompt-file", text="The first wish from a file, - is stdin.", metavar="F"),
    option("--mode", text="Default: the setting claude.mode.", type=MODES),
    option("--start/--no-start", text="Queue its first run.", default=True),
    option("--from", "copy_from", text="Begin with the site of this session.",
           type=SessionName(), metavar="SESSION"),
)  # fmt: skip
def create(
    call: Call, *, user: str, host_provider: str | None, site_type: str | None,
    prompt: str | None, prompt_file: str | None, mode: str | None, start: bool,
    copy_from: str | None,
) -> Outcome:  # fmt: skip
    from pathlib import Path  # noqa: PLC0415 - not for help

    from tui.cli.texts import one_text  # noqa: PLC0415

    text = one_text(prompt, prompt_file)
    services = call.services
    source = None if copy_from is None else services.names.session(copy_from, Path.cwd()).key
    owner = services.names.user(user)
    if start:
        call.say("session create: queueing the first run")
    created = services.sessions.create(
        owner.user_id, host_provider=host_provider, site_type=site_type, prompt=text, mode=mode,
        start=start, copy_source_from=source,
    )  # fmt: skip
    session = created.session
    data: dict[str, Json] = {
        "user_id": session.key.user_id,
        "session_id": session.key.session_id,
        "execution_id": created.execution_id,
        "host_provider": str(session.host_provider),
        "site_type": str(session.site_type),
        "mode": str(session.mode),
        "path": created.path,
        "injected": injected_document(created.injected),
    }
    return Outcome(
        data=data,
        human=lambda _terminal: [session.key.session_id],
        records=lambda: [[name, value] for name, value in data.items() if name != "injected"],
        result=session.key.session_id,
    )


@verb(
    "session list",
    option("--user", type=UserName(), text="Only this user's."),
    option("--state", text="Only these, joined by commas.",
           type=OneOf("needs_you", "failed", "working", "live", "idle", "parked", "ended")),
    option("--host-provider", "--host", type=HOSTS, text="Only this host."),
    option("--site-type", "--site", type=SITES, text="Only this type."),
    option("--since", text="Changed since then: 2h, 3d, or an RFC 3339 time."),
    option("--limit", type=int, text="At most so many.", metavar="N"),
    option("--sort", default="attention", text="attention, newest, oldest, updated or email."),
    option("--archived", is_flag=True, text="The archived ones instead."),
)  # fmt: skip
def list_sessions(
    call: Call, *, user: str | None, state: str | None, host_provider: str | None,
    site_type: str | None, since: str | None, limit: int | None, sort: str, archived: bool,
) -> Outcome:  # fmt: skip
    wanted = _filter(
        user=user, state=state, host_provider=host_provider, site_type=site_type, since=since,
        limit=limit, sort=sort, archived=archived,
    )  # fmt: skip
    services = call.services
    page = services.sessions.list(wanted)
    rows = [services.status.session_document(row) for row in page.sessions]
    return Outcome(
        data={"sessions": list(rows), "total": page.total, "shown": page.shown},
        human=lambda terminal: [
            *session_lines(rows, terminal.width), *more_line(page.shown, page.total),
        ],
        records=lambda: session_records(rows),
        warnings=[UNCONTAINED] if services.sessions.is_uncontained else [],
    )  # fmt: skip


@verb("session kill", argument("session", type=SessionName(), metavar="S", required=False))
def kill(call: Call, *, session: str | None) -> Outcome:
    """End the Claude process. Only a person in a terminal is asked first: nothing is lost."""
    key = call.session(session).key
    if call.may_ask and not call.yes:
        answer = call.terminal.ask(f"End Claude in {key.session_id}? Files stay. [y/N] ")
        if answer.lower() not in {"y", "yes"}:
            return Outcome(human=lambda _terminal: ["Nothing was ended."])
    call.say(f"session kill: ending Claude in {key.session_id}")
    call.services.chat.stop(key, call.timeout_s(KILL_TIMEOUT_S))
    data: Json = {"user_id": key.user_id, "session_id": key.session_id, "state": "ended"}
    return Outcome(
        data=data,
        human=lambda _terminal: card({"session": key.session_id, "state": "ended"}),
        records=lambda: [[key.session_id, "ended"]],
        result="ended",
    )


def instant_of(text: str | None) -> datetime | None:
    """`2h` ago, or an RFC 3339 time; without a zone it is UTC.

    Raises:
        UsageError: It is neither.
    """
    from core.errors import UsageError  # noqa: PLC0415 - not for help

    if text is None:
        return None
    match = _AGO.fullmatch(text.strip())
    try:
        if match is not None:
            return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text[:40]!r} is no time.", remedy="Use for example 2h, 3d or 2026-01-31T12:00:00Z."
        ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _filter(
    *, user: str | None, state: str | None, host_provider: str | None, site_type: str | None,
    since: str | None, limit: int | None, sort: str, archived: bool,
) -> SessionFilter:  # fmt: skip
    from core.services.choices import host_provider_of, site_type_of  # noqa: PLC0415 - not for help
    from core.services.sessions import SessionFilter  # noqa: PLC0415

    return SessionFilter(
        user=user,
        states=_states(state),
        host_provider=host_provider_of(host_provider),
        site_type=site_type_of(site_type),
        since=instant_of(since),
        limit=limit,
        sort=sort,
        archived=archived,
    )


def _states(text: str | None) -> frozenset[SessionState] | None:
    from core.services.choices import state_of  # noqa: PLC0415 - not for help

    if text is None:
        return None
    return frozenset(state_of(word.strip()) for word in text.split(","))


COMMANDS = {
    "session create": create,
    "session list": list_sessions,
    "session kill": kill,
}
