"""`session drift`: what somebody changed by hand on the host; exit 6 where there is something."""

from __future__ import annotations

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome, failure
from tui.cli.parsing import argument, verb
from tui.cli.suggestions import SessionName
from tui.cli.tables import clean_line, table
from tui.cli.views import rows_of

DRIFT_TIMEOUT_S = 300.0
_KEYS = ("kind", "id", "what", "expected", "found")


@verb("session drift", argument("session", type=SessionName(), metavar="S", required=False))
def drift(call: Call, *, session: str | None) -> Outcome:
    key = call.session(session).key
    call.say(f"session drift: asking the host of {key.session_id}")
    answer = call.services.deploys.drift(key, call.timeout_s(DRIFT_TIMEOUT_S))
    return _outcome(answer)


def _outcome(answer: Document) -> Outcome:
    from core.errors import AnswerIsNoError  # noqa: PLC0415 - not for help

    rows = [[clean_line(str(row.get(name))) for name in _KEYS] for row in rows_of(answer, "drift")]
    if not rows:
        return Outcome(
            data=dict(answer),
            human=lambda _terminal: ["Everything is as the last deploy left it."],
            records=list,
        )
    session_id = answer.get("session_id")
    changes = f"{len(rows)} things are" if len(rows) > 1 else "1 thing is"
    error = AnswerIsNoError(
        f"{changes} not as the last deploy of {session_id} left it.",
        remedy=f"tmux-builder deploy {session_id}",
        code="drifted",
    )
    failed = failure(error)
    headings = tuple(name.upper() for name in _KEYS)
    return Outcome(
        data=dict(answer),
        human=lambda terminal: table(headings, rows, width=terminal.width),
        records=lambda: rows,
        exit=failed.exit,
        error=failed.error,
    )


COMMANDS = {"session drift": drift}
