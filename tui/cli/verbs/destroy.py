"""`destroy`: takes a site off the net. Severe, so the session's name has to be given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome, failure
from tui.cli.parsing import argument, option, verb
from tui.cli.progress import background_work
from tui.cli.suggestions import SessionName
from tui.cli.verbs.deploy import plan_outcome
from tui.cli.views import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.models.release import Resource

DESTROY_TIMEOUT_S = 3600.0


@verb(
    "destroy",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--confirm", metavar="NAME", text="The session's name, instead of typing it."),
)
def destroy(call: Call, *, session: str | None, confirm: str | None) -> Outcome:
    key = call.session(session).key
    if call.dry_run:
        return plan_outcome(call.services.deploys.destroy_plan(key))
    if confirm is None and call.may_ask:
        call.terminal.note(f"This takes the site of {key.session_id} off the net; files stay.")
        confirm = call.terminal.ask("Type the session's name to go on: ") or None
    call.say(f"destroy: {key.session_id}")
    with background_work(call, "What was begun goes on; the same command again follows it."):
        answer = call.services.deploys.destroy(
            key, confirm, call.timeout_s(DESTROY_TIMEOUT_S), DeletedLines(call)
        )
    return _outcome(answer)


class DeletedLines:
    """Tells each resource once, when it is no longer recorded."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._known: dict[tuple[str, str], None] = {}

    def __call__(self, left: Sequence[Resource]) -> None:
        now = dict.fromkeys((one.kind, one.resource_id) for one in left)
        for kind, name in self._known:
            if (kind, name) not in now:
                self._call.say(f"deleted  {kind}  {name}  ({len(now)} left)")
        self._known = now


def _outcome(answer: Document) -> Outcome:
    from core.errors import PartlyDoneError  # noqa: PLC0415 - not for help

    deleted, left = rows_of(answer, "deleted"), rows_of(answer, "left")
    done = Outcome(
        data=dict(answer),
        human=lambda _terminal: [
            *(f"deleted  {row.get('kind')}  {row.get('id')}" for row in deleted),
            *(f"left     {row.get('kind')}  {row.get('id')}  {row.get('reason')}" for row in left),
        ] or ["Nothing was there to delete."],
        records=lambda: [
            *(["deleted", row.get("kind"), row.get("id"), ""] for row in deleted),
            *(["left", row.get("kind"), row.get("id"), row.get("reason")] for row in left),
        ],
    )  # fmt: skip
    if not left:
        return done
    error = PartlyDoneError(
        f"{len(left)} of {len(left) + len(deleted)} resources are left.",
        remedy=f"tmux-builder destroy {answer.get('session_id')}"
        f" --confirm {answer.get('session_id')}",
    )
    failed = failure(error, data=done.data)
    return Outcome(
        data=done.data, human=done.human, records=done.records, exit=failed.exit,
        error=failed.error,
    )  # fmt: skip


COMMANDS = {"destroy": destroy}
