"""`session mode`, `approvals`, `approve`, `deny`, `forget-rule`: who decides, and the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome
from tui.cli.parsing import argument, option, verb
from tui.cli.suggestions import SessionName
from tui.cli.tables import age, clean_line, duration, table
from tui.cli.verbs.user import MODES

if TYPE_CHECKING:
    from core.models.approval import Allowance, Approval, Decision
    from core.models.execution import Json
    from core.models.session import SessionKey

TIMEOUT_S = 30.0


@verb(
    "session mode",
    argument("session", type=SessionName(), metavar="S"),
    argument("mode", type=MODES, metavar="unattended|supervised"),
)
def change_mode(call: Call, *, session: str, mode: str) -> Outcome:
    """Takes effect at Claude's next start, which follows at once where it is idle."""
    from core.services.choices import mode_of  # noqa: PLC0415 - not for help

    wanted = mode_of(mode)
    assert wanted is not None  # noqa: S101 - a word was given
    key = call.session(session).key
    change = call.services.approvals.set_mode(key, wanted)
    data: Document = {
        "user_id": key.user_id, "session_id": key.session_id, "mode": str(change.mode),
        "restart_needed": change.restart_needed,
    }  # fmt: skip
    when = "from its next start on"
    if change.restart_needed:
        when = "as soon as its turn is over" if change.after_turn else "now: Claude is started anew"
    return Outcome(
        data=dict(data), human=lambda _terminal: [f"{key.session_id} is {change.mode}, {when}."],
        records=lambda: [[key.session_id, change.mode, change.restart_needed]],
        result=str(change.mode),
    )  # fmt: skip


@verb(
    "session approvals",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--rules", is_flag=True, text="What was allowed for good, instead of what is asked."),
)
def approvals(call: Call, *, session: str | None, rules: bool) -> Outcome:
    """All sessions without S, also in a session's folder: whoever waits is to be found."""
    key = None if session is None else call.session(session).key
    if rules:
        return _rules(call, key)
    found = [approval_document(one) for one in call.services.approvals.open(key)]
    return Outcome(
        data={"approvals": list(found), "rules": None},
        human=lambda terminal: _approval_lines(found, terminal.width),
        records=lambda: [[row[name] for name in _APPROVAL] for row in found],
    )


@verb(
    "session approve",
    argument("session", type=SessionName(), metavar="S"),
    option("--approval", text="Not the oldest but this one.", metavar="ID"),
    option("--for-session", is_flag=True, text="And do not ask again for exactly this."),
)
def approve(call: Call, *, session: str, approval: str | None, for_session: bool) -> Outcome:
    from core.models.approval import Decision  # noqa: PLC0415 - not for help

    decision = Decision.ALLOW_SESSION if for_session else Decision.ALLOW
    return _decide(call, session, decision, approval, None)


@verb(
    "session deny",
    argument("session", type=SessionName(), metavar="S"),
    option("--approval", text="Not the oldest but this one.", metavar="ID"),
    option("--message", text="What Claude is told, word for word.", metavar="TEXT"),
)
def deny(call: Call, *, session: str, approval: str | None, message: str | None) -> Outcome:
    from core.models.approval import Decision  # noqa: PLC0415 - not for help

    return _decide(call, session, Decision.DENY, approval, message)


@verb(
    "session forget-rule",
    argument("session", type=SessionName(), metavar="S"),
    option("--tool", text="The rule's tool, such as Bash.", metavar="TOOL"),
    option("--subject", text="What it was allowed for, exactly.", metavar="TEXT"),
    option("--all", "every", is_flag=True, text="Every rule of the session."),
)
def forget_rule(
    call: Call, *, session: str, tool: str | None, subject: str | None, every: bool
) -> Outcome:
    if every == (tool is not None and subject is not None) or (every and (tool or subject)):
        raise click.UsageError("Give --tool and --subject of one rule, or --all.")
    key = call.session(session).key
    service = call.services.approvals
    gone = (
        service.forget_rules(key)
        if every
        else [service.forget_rule(key, tool or "", subject or "")]
    )
    rows = [rule_document(rule) for rule in gone]
    data: Document = {
        "user_id": key.user_id, "session_id": key.session_id, "forgotten": list(rows),
    }  # fmt: skip
    count = f"{len(rows)} rule{'' if len(rows) == 1 else 's'}"
    return Outcome(
        data=dict(data),
        human=lambda _terminal: [f"{count} forgotten; Claude asks again for what they covered."],
        records=lambda: [[row[name] for name in _RULE] for row in rows],
        result=str(len(rows)),
    )


_APPROVAL = (
    "approval_id", "session_id", "user_id", "tool", "subject", "created_at", "deadline_at",
)  # fmt: skip
_RULE = ("session_id", "user_id", "tool", "subject", "created_at")


def approval_document(approval: Approval) -> dict[str, Json]:
    """One open question as JSON."""
    from core.clock import to_text  # noqa: PLC0415 - not for help

    return {
        "user_id": approval.key.user_id,
        "session_id": approval.key.session_id,
        "approval_id": approval.approval_id,
        "tool": approval.tool_name,
        "subject": approval.subject,
        "input": approval.tool_input,
        "for_session": approval.rule_subject,
        "created_at": to_text(approval.created_at),
        "deadline_at": to_text(approval.deadline_at),
    }


def rule_document(rule: Allowance) -> dict[str, Json]:
    """One standing permission as JSON."""
    from core.clock import to_text  # noqa: PLC0415 - not for help

    return {
        "user_id": rule.key.user_id,
        "session_id": rule.key.session_id,
        "tool": rule.tool_name,
        "subject": rule.subject,
        "created_at": to_text(rule.created_at),
    }


def _decide(
    call: Call, session: str, decision: Decision, approval: str | None, message: str | None
) -> Outcome:
    key = call.session(session).key
    answer = call.services.approvals.decide(
        key, decision, approval_id=approval, message=message, timeout_s=call.timeout_s(TIMEOUT_S)
    )
    data: dict[str, Json] = {"user_id": key.user_id, "session_id": key.session_id, **answer}
    word = {"allow": "allowed once", "allow_session": "allowed for this session"}
    said = word.get(str(decision), "denied")
    return Outcome(
        data=data,
        human=lambda _terminal: [f"{said}: {answer.get('tool')}  {answer.get('subject')}"],
        records=lambda: [[data[name] for name in ("approval_id", "session_id", "decision")]],
        result=str(answer.get("approval_id")),
    )


def _rules(call: Call, key: SessionKey | None) -> Outcome:
    rows = [rule_document(rule) for rule in call.services.approvals.rules(key)]
    return Outcome(
        data={"approvals": None, "rules": list(rows)},
        human=lambda terminal: _rule_lines(rows, terminal.width),
        records=lambda: [[row[name] for name in _RULE] for row in rows],
    )


def _approval_lines(rows: list[dict[str, Json]], width: int | None) -> list[str]:
    if not rows:
        return ["Nothing is asked."]
    cells = [
        (
            row["approval_id"], row["session_id"], row["tool"], age(row["created_at"]),
            _left(row["deadline_at"]), clean_line(str(row["subject"])),
        )
        for row in rows
    ]  # fmt: skip
    return table(("APPROVAL", "SESSION", "TOOL", "AGE", "LEFT", "WHAT"), cells, width=width)


def _rule_lines(rows: list[dict[str, Json]], width: int | None) -> list[str]:
    if not rows:
        return ["Nothing is allowed beyond the settings."]
    cells = [
        (row["session_id"], row["tool"], age(row["created_at"]), clean_line(str(row["subject"])))
        for row in rows
    ]
    return table(("SESSION", "TOOL", "AGE", "ALLOWED FOR"), cells, width=width)


def _left(deadline_at: Json) -> str:
    """How long it may still be answered."""
    from datetime import UTC, datetime  # noqa: PLC0415 - not for help

    left = datetime.fromisoformat(str(deadline_at)) - datetime.now(UTC)
    return duration(max(0.0, left.total_seconds() * 1000))


COMMANDS = {
    "session mode": change_mode,
    "session approvals": approvals,
    "session approve": approve,
    "session deny": deny,
    "session forget-rule": forget_rule,
}
