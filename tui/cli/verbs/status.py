"""`status`: a run as it is recorded, followed with `--watch`, or counts of all sessions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome, failure
from tui.cli.parsing import argument, option, verb
from tui.cli.progress import StepLines
from tui.cli.suggestions import SessionName
from tui.cli.tables import card
from tui.cli.views import STATE_WORDS, part_of, rows_of, run_lines, step_records

if TYPE_CHECKING:
    from core.models.execution import Execution
    from tui.cli.pane import Argument

WATCH_TIMEOUT_S = 86_400.0
PANE_TIMEOUT_S = 30.0
PANE_WATCH_INTERVAL_S = 1.0
OVER = frozenset({"completed", "failed", "cancelled"})


@verb(
    "status",
    argument("name", type=SessionName(), metavar="[EXECUTION_OR_SESSION]", required=False),
    option("--watch", is_flag=True, text="Follow until it ends, then exit as deploy would."),
)
def status(call: Call, *, name: str | None, watch: bool) -> Outcome:
    if call.pane:
        return _in_pane(call, name, watch=watch)
    if name is None and (call.quiet or _outside(call)):
        return _counts(call)
    execution_id = _execution(call, name).execution_id
    if watch:
        return _watched(call, execution_id)
    return _shown(call.services.status.document(execution_id, verbose=call.verbose > 0))


def _execution(call: Call, name: str | None) -> Execution:
    """The run that was named, or the newest one of the session that was."""
    from core.errors import NotFoundError  # noqa: PLC0415 - not for help

    found = None if name is None else call.services.names.execution(name)
    if found is not None:
        call.services.names.remember(found.key)
        return found
    key = call.session(name).key
    newest = call.services.status.newest(key)
    if newest is None:
        raise NotFoundError(
            f"{key.session_id} has no run yet.", remedy=f"tmux-builder deploy {key.session_id}"
        )
    return newest


def _shown(document: Document) -> Outcome:
    if "execution_id" not in document:
        # A session without any run answers with itself.
        facts = {k: document.get(k) for k in ("session_id", "state", "url", "why")}
        return Outcome(data=dict(document), human=lambda _terminal: card(facts))
    return Outcome(
        data=dict(document),
        human=lambda terminal: run_lines(document, terminal),
        records=lambda: _records(document),
        result=str(document.get("status")),
    )


def _watched(call: Call, execution_id: str) -> Outcome:
    """Changed lines until the run is over; then its URL, and the exit code of its record."""
    from core.errors import TimedOutError  # noqa: PLC0415 - not for help

    status = call.services.status
    call.going_on = f"The run goes on: tmux-builder status {execution_id} --watch."
    session_id = call.services.deploys.get(execution_id).key.session_id
    prefix = f"{session_id}\t" if call.plain else ""
    tell = call.say if call.json or call.quiet else call.terminal.write
    try:
        call.services.deploys.wait(
            execution_id, call.timeout_s(WATCH_TIMEOUT_S), StepLines(call, tell, prefix)
        )
    except TimedOutError as error:
        return failure(error, data=status.document(execution_id))
    document = status.document(execution_id, verbose=call.verbose > 0)
    url = part_of(document, "result").get("url")
    exit_code = int(status.exit_code(execution_id))
    last = [f"{prefix}{url}"] if url and exit_code == 0 else []
    return Outcome(
        data=document, human=lambda _terminal: last, exit=exit_code,
        error=status.error(execution_id), warnings=status.warnings(execution_id),
    )  # fmt: skip


def _counts(call: Call) -> Outcome:
    data = call.services.status.counts()
    counts = part_of(data, "counts")
    return Outcome(
        data=data,
        human=lambda _terminal: [
            *(f"{STATE_WORDS.get(state, state):<9}  {number}" for state, number in counts.items()),
            f"{'total':<9}  {data['total']}",
        ],
        records=lambda: [*([state, number] for state, number in counts.items())],
        result=str(counts.get("needs_you", 0)),
    )


def _outside(call: Call) -> bool:
    """Whether the current directory lies in no session's folder."""
    try:
        return call.root.find_session(Path.cwd()) is None
    except OSError:
        return True


def _in_pane(call: Call, name: str | None, *, watch: bool) -> Outcome:
    """The session's newest run; from its pane a session sees no other."""
    from core.clock import SystemClock  # noqa: PLC0415 - only inside a pane
    from tui.cli import pane  # noqa: PLC0415

    own = pane.pane_paths(call).root
    execution_id = f"{own.parents[1].name}_{own.name}"
    is_run = name is not None and (name == execution_id or name.startswith(f"{execution_id}_r"))
    arguments: dict[str, Argument] = {"execution_id": name if is_run else None}
    while True:
        answer = pane.ask(call, "status", None if is_run else name, arguments, PANE_TIMEOUT_S)
        data = pane.document_of(answer)
        if data is None or not watch or data.get("status") in OVER:
            break
        SystemClock().sleep(PANE_WATCH_INTERVAL_S)
    shown = Outcome() if data is None else _shown(data)
    has_failed = watch and data is not None and data.get("status") in {"failed", "cancelled"}
    return Outcome(
        data=shown.data, human=shown.human, records=shown.records, result=shown.result,
        exit=answer.exit or (6 if has_failed else 0), error=pane.error_of(answer),
        warnings=pane.warnings_of(answer),
    )  # fmt: skip


def _records(document: Document) -> list[list[object]]:
    rows = [list(row) for row in step_records(rows_of(document, "steps"))]
    url = part_of(document, "result").get("url")
    return [*rows, ["url", url]] if url else rows


COMMANDS = {"status": status}
