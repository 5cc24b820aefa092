"""`user create`, `user list`, `user show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome
from tui.cli.parsing import OneOf, argument, option, verb
from tui.cli.suggestions import UserName
from tui.cli.tables import card
from tui.cli.views import session_lines, session_records, user_lines, user_records

if TYPE_CHECKING:
    from core.models.execution import Json
    from core.services.users import CreatedUser

HOSTS = OneOf("aws", "azure", "local")
SITES = OneOf("static", "dynamic")
MODES = OneOf("unattended", "supervised")


@verb(
    "user create",
    option("--email", text="E-mail address.", required=True),
    option("--phone", text="Phone number, in any spelling.", required=True),
    option("--host-provider", "--host", text="Default: local.", type=HOSTS),
    option("--site-type", "--site", text="Default: static.", type=SITES),
    option("--name", text="A name for people."),
    option("--prompt", text="The first wish.", metavar="TEXT"),
    option("--prompt-file", text="The first wish from a file, - is stdin.", metavar="F"),
    option("--mode", text="Of its session; default: the setting claude.mode.", type=MODES),
    option("--start/--no-start", text="Start a session and its run.", default=True),
)
def create(
    call: Call, *, email: str, phone: str, host_provider: str | None, site_type: str | None,
    name: str | None, prompt: str | None, prompt_file: str | None, mode: str | None, start: bool,
) -> Outcome:  # fmt: skip
    """Make the person's user; the same person again is found, whatever the spelling."""
    from tui.cli.texts import one_text  # noqa: PLC0415 - not for help

    text = one_text(prompt, prompt_file)
    if start:
        call.say("user create: queueing the first run")
    created = call.services.users.create(
        email, phone, host_provider=host_provider, site_type=site_type, name=name, prompt=text,
        mode=mode, start=start,
    )  # fmt: skip
    data = _created_document(created)
    return Outcome(
        data=data,
        human=lambda _terminal: _created_lines(data),
        records=lambda: [[name, value] for name, value in data.items() if name != "injected"],
        result=created.user.user_id,
        warnings=[{"code": one.code, "message": one.message} for one in created.warnings],
    )


@verb(
    "user list",
    option("--host-provider", "--host", type=HOSTS, text="Only this host."),
    option("--site-type", "--site", type=SITES, text="Only this type."),
    option("--limit", type=int, text="At most so many.", metavar="N"),
    option("--sort", default="newest", text="newest, oldest, updated, email or sessions."),
)
def list_users(
    call: Call, *, host_provider: str | None, site_type: str | None, limit: int | None, sort: str
) -> Outcome:
    services = call.services
    page = services.users.list(
        host_provider=host_provider, site_type=site_type, sort=sort, limit=limit
    )
    rows = [services.status.user_document(row) for row in page.users]
    return Outcome(
        data={"users": list(rows), "total": page.total, "shown": page.shown},
        human=lambda terminal: [
            *user_lines(rows, terminal.width), *more_line(page.shown, page.total),
        ],
        records=lambda: user_records(rows),
    )  # fmt: skip


@verb("user show", argument("user", type=UserName()))
def show(call: Call, *, user: str) -> Outcome:
    services = call.services
    document = services.status.user_document(services.users.get(user), sessions=True)
    found = document["sessions"]
    rows: list[Document] = [row for row in found if isinstance(row, dict)] if isinstance(
        found, list
    ) else []  # fmt: skip
    about = {name: value for name, value in document.items() if name != "sessions"}
    about["sessions"] = len(rows)
    return Outcome(
        data=document,
        human=lambda terminal: [*card(about), "", *session_lines(rows, terminal.width)],
        records=lambda: [*([k, v] for k, v in about.items()), *session_records(rows)],
        result=str(document["user_id"]),
    )


def more_line(shown: int, total: int) -> list[str]:
    """Says what a limit has left out."""
    return [] if shown == total else [f"{shown} of {total}"]


def injected_document(injected: object) -> Json:
    """Names of what a session was given; empty where no session was made."""
    return {
        "agents": [str(name) for name in getattr(injected, "agents", ())],
        "skills": [str(name) for name in getattr(injected, "skills", ())],
    }


def _created_document(created: CreatedUser) -> dict[str, Json]:
    user = created.user
    return {
        "user_id": user.user_id,
        "is_new": created.is_new,
        "email": user.email,
        "phone": user.phone,
        "host_provider": str(user.host_provider),
        "site_type": str(user.site_type),
        "path": created.path,
        "session_id": None if created.session is None else created.session.key.session_id,
        "execution_id": created.execution_id,
        "injected": injected_document(created.injected),
    }


def _created_lines(data: dict[str, Json]) -> list[str]:
    follow = f"tmux-builder status {data['execution_id']} --watch"
    begin = f"tmux-builder session create {data['user_id']}"
    return card(
        {
            "user": f"{data['user_id']} ({'new' if data['is_new'] else 'existed already'})",
            "folder": data["path"],
            "session": data["session_id"],
            "next": follow if data["execution_id"] else begin,
        }
    )


COMMANDS = {"user create": create, "user list": list_users, "user show": show}
