"""`library diff` and `library update`: what sessions have of the library, and bringing it there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome, failure
from tui.cli.parsing import argument, option, verb
from tui.cli.suggestions import SessionName
from tui.cli.tables import clean_line

if TYPE_CHECKING:
    from core.accounts.injections import ComparedSession
    from core.errors import BuilderError
    from core.injection.comparison import ComparedFile
    from core.models.execution import Json
    from core.models.session import SessionKey
    from core.services.library import SessionUpdate

_WORDS = {
    "outdated": "older copy", "changed": "changed by hand", "missing": "not there",
    "added": "added by hand", "removed": "no longer in the library",
}  # fmt: skip


@verb(
    "library diff",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--patch", is_flag=True, text="Also what an update would change, line by line."),
)
def diff(call: Call, *, session: str | None, patch: bool) -> Outcome:
    compared = call.services.library.compare(call.session(session).key)
    key, found = compared.key, compared.comparison
    patches = {one.path: compared.patch(one) for one in found.pending} if patch else {}
    files: list[Json] = [
        {**_file(one), "patch": patches.get(one.path, "") if patch else None} for one in found.files
    ]
    return Outcome(
        data={
            "user_id": key.user_id, "session_id": key.session_id, "files": files,
            "is_current": found.is_current,
        },
        human=lambda _terminal: _diff_lines(compared, patches),
        records=lambda: [
            [one.path, one.state, one.library_sha256, one.session_sha256] for one in found.files
        ],
        result="current" if found.is_current else "differs",
    )  # fmt: skip


@verb(
    "library update",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--all", "everybody", is_flag=True, text="Every session that is not archived."),
)
def update(call: Call, *, session: str | None, everybody: bool) -> Outcome:
    keys = _keys(call, session, everybody=everybody)
    updates = []
    for one in call.services.library.update(
        keys, is_plan=call.dry_run, may_overwrite=lambda compared: _may_overwrite(call, compared)
    ):
        call.say(_update_line(one))
        updates.append(one)
    return _update_outcome(updates, is_single=not everybody)


def _keys(call: Call, session: str | None, *, everybody: bool) -> Sequence[SessionKey]:
    from core.errors import UsageError  # noqa: PLC0415 - not for help

    if everybody and session is not None:
        raise UsageError("A session and --all exclude each other.", remedy="Leave one of them out.")
    return call.services.library.everybody() if everybody else [call.session(session).key]


def _may_overwrite(call: Call, compared: ComparedSession) -> bool:
    """Whether what was changed by hand may go: by -y, or a person's word."""
    if call.yes or not call.may_ask:
        return call.yes
    names = ", ".join(clean_line(one.path) for one in compared.comparison.by_hand)
    call.terminal.note(f"Changed by hand in {compared.key.session_id}: {names}")
    answer = call.terminal.ask("Replace it by what the library gives? [y/N] ")
    return answer.lower() in {"y", "yes"}


def _update_outcome(updates: Sequence[SessionUpdate], *, is_single: bool) -> Outcome:
    sessions: list[Json] = [dict(_session(one)) for one in updates]
    error = _error(updates, is_single=is_single)
    failed = Outcome() if error is None else failure(error)
    return Outcome(
        data={"sessions": sessions},
        human=lambda _terminal: [line for one in updates for line in _update_lines(one)],
        records=lambda: [
            [one.key.session_id, one.state, file.path, file.state]
            for one in updates
            for file in _pending(one)
        ],
        exit=failed.exit,
        error=failed.error,
        warnings=[_restart(one) for one in updates if one.restart_needed],
    )


def _error(updates: Sequence[SessionUpdate], *, is_single: bool) -> BuilderError | None:
    """What the call ends with: a session's own fault, or the sum over all of them."""
    from core.accounts.injections import hand_made  # noqa: PLC0415 - not for help
    from core.errors import ConfirmationNeededError, PartlyDoneError  # noqa: PLC0415

    waiting = [one for one in updates if one.state == "changed_by_hand" and one.compared]
    broken = [one for one in updates if one.error is not None]
    if broken:
        if is_single or len(broken) == len(updates):
            return broken[0].error
        first = broken[0].error
        return PartlyDoneError(
            f"{len(broken)} of {len(updates)} sessions were not updated;"
            f" {broken[0].key.session_id}: {first.message if first else ''}",
            remedy=first.remedy if first else "",
        )
    if not waiting:
        return None
    if is_single and waiting[0].compared is not None:
        return hand_made(waiting[0].compared)
    names = ", ".join(one.key.session_id for one in waiting[:5])
    return ConfirmationNeededError(
        f"In {len(waiting)} sessions files were changed by hand and would be lost: {names}.",
        remedy="tmux-builder library diff SESSION --patch shows them;"
        " tmux-builder library update --all -y takes the library's.",
    )


def _restart(update: SessionUpdate) -> Document:
    session_id = update.key.session_id
    when = "will keep" if update.state == "planned" else "keeps"
    return {
        "code": "restart_needed",
        "message": f"The running Claude of {session_id} {when} what it read at its start until it"
        f" is started again: tmux-builder session kill {session_id} ends it, the next send or run"
        " starts it.",
    }


def _session(update: SessionUpdate) -> Document:
    fault = update.error
    return {
        "user_id": update.key.user_id,
        "session_id": update.key.session_id,
        "state": str(update.state),
        "restart_needed": update.restart_needed,
        "files": [_file(one) for one in _pending(update)],
        "error": None if fault is None else {"code": fault.code, "message": fault.message},
    }


def _pending(update: SessionUpdate) -> Sequence[ComparedFile]:
    return () if update.compared is None else update.compared.comparison.pending


def _file(one: ComparedFile) -> dict[str, Json]:
    return {
        "path": one.path, "state": str(one.state), "library_sha256": one.library_sha256,
        "session_sha256": one.session_sha256,
    }  # fmt: skip


def _file_line(one: ComparedFile) -> str:
    return clean_line(f"  {_WORDS[one.state]:<24}  {one.path}")


def _diff_lines(compared: ComparedSession, patches: dict[str, str]) -> Iterable[str]:
    found = compared.comparison
    if found.is_current:
        yield f"{compared.key.session_id} has what the library gives: {len(found.files)} files."
        return
    for one in found.pending:
        yield _file_line(one)
    for text in patches.values():
        yield ""
        yield from (clean_line(line) for line in text.splitlines())
    yield f"fix: tmux-builder library update {compared.key.session_id}"


def _update_line(update: SessionUpdate) -> str:
    return f"library update: {update.key.session_id} {str(update.state).replace('_', ' ')}"


def _update_lines(update: SessionUpdate) -> Iterable[str]:
    count = len(_pending(update))
    state = {
        "current": "has what the library gives",
        "planned": f"would get {count} changes",
        "updated": f"got {count} changes",
        "changed_by_hand": "was left alone: files were changed by hand",
        "failed": f"failed: {update.error.message if update.error else ''}",
    }[update.state]
    yield clean_line(f"{update.key.session_id} {state}")
    yield from (_file_line(one) for one in _pending(update))


COMMANDS = {"library diff": diff, "library update": update}
