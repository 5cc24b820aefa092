"""`session send` and `session command`: what is typed into Claude's pane, by its worker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome, failure
from tui.cli.parsing import OneOf, argument, option, verb
from tui.cli.progress import background_work
from tui.cli.suggestions import SessionName

if TYPE_CHECKING:
    from core.models.execution import Json
    from core.models.prompt import Prompt, Turn
    from core.models.session import SessionKey

RECEIPT_TIMEOUT_S = 20.0
REPLY_TIMEOUT_S = 3600.0
ACT_TIMEOUT_S = 30.0


@verb(
    "session send",
    argument("session", type=SessionName(), metavar="S"),
    argument("text", required=False),
    option("--file", text="The message from a file, - is stdin.", metavar="F"),
    option("--wait", type=OneOf("idle", "needs_you"), metavar="[=idle|needs_you]",
           text="Until Claude is done or needs you; prints what it said."),
    option("--answer", type=int, text="Answer Claude's question by its number.", metavar="N"),
    option("--key", type=OneOf("escape"), text="Press Escape: end the turn."),
)  # fmt: skip
def send(
    call: Call, *, session: str, text: str | None, file: str | None, wait: str | None,
    answer: int | None, key: str | None,
) -> Outcome:  # fmt: skip
    given = [one for one in (text, file, answer, key) if one is not None]
    if len(given) != 1:
        raise click.UsageError("Give one of: a message, --file, --answer or --key.")
    if key not in {None, "escape"}:
        raise click.UsageError("The only key is escape.")
    if wait not in {None, "idle", "needs_you"}:
        raise click.UsageError("--wait takes idle or needs_you.")
    if answer is not None or key is not None:
        return _act(call, call.session(session).key, answer)
    from tui.cli.texts import one_text  # noqa: PLC0415 - not for help

    message = one_text(text, file) or ""
    target = call.session(session).key
    call.say(f"session send: queueing it for {target.session_id}")
    prompt = call.services.chat.send(target, message)
    return _follow(call, prompt, wait)


@verb(
    "session command",
    argument("session", type=SessionName(), metavar="S"),
    argument("command", metavar="/COMMAND"),
)
def command(call: Call, *, session: str, command: str) -> Outcome:
    target = call.session(session).key
    call.say(f"session command: queueing it for {target.session_id}")
    prompt = call.services.chat.command(target, command)
    return _follow(call, prompt, None)


def _act(call: Call, key: SessionKey, answer: int | None) -> Outcome:
    """An answer to a question, or Escape; done when the worker says so."""
    timeout_s = call.timeout_s(ACT_TIMEOUT_S)
    if answer is not None:
        call.services.chat.answer(key, answer, timeout_s)
    else:
        call.services.chat.interrupt(key, timeout_s)
    return Outcome(data=_document(key, "accepted", None))


def _follow(call: Call, prompt: Prompt, wait: str | None) -> Outcome:
    """How it went, with what the ceilings over today's spending say by then."""
    outcome = _followed(call, prompt, wait)
    told = call.services.costs.warnings(prompt.key)
    return replace(outcome, warnings=[*outcome.warnings, *told])


def _followed(call: Call, prompt: Prompt, wait: str | None) -> Outcome:
    """Until the receipt is known, or with `wait` until Claude is done or needs somebody."""
    key = prompt.key
    chat = f"tmux-builder session logs {key.session_id} --chat"
    with background_work(call, f"The message is queued and goes on: {chat}."):
        if wait is None:
            limit = call.timeout_s(RECEIPT_TIMEOUT_S)
            return _sent(call.services.chat.wait_receipt(prompt.prompt_id, limit))
        limit = call.timeout_s(REPLY_TIMEOUT_S)
        turn = call.services.chat.wait_reply(prompt.prompt_id, limit, wait)
    return _replied(key, turn)


def _sent(prompt: Prompt) -> Outcome:
    """How far it came. Waiting its turn is no failure; unknown and refused are."""
    receipt = "queued" if prompt.receipt == "buffered" else str(prompt.receipt)
    data = _document(prompt.key, receipt, None)
    if receipt in {"unknown", "refused"}:
        from core.services.chat import not_delivered  # noqa: PLC0415 - not for help

        return failure(not_delivered(prompt), data=data)
    waits = [
        {"code": "queued", "message": "Claude is not ready for it yet; the message waits its turn."}
    ]
    return Outcome(data=data, warnings=waits if receipt == "queued" else ())


def _replied(key: SessionKey, turn: Turn) -> Outcome:
    from tui.cli.tables import clean  # noqa: PLC0415 - only with --wait

    data = _document(key, "accepted", turn.message)
    message = clean(turn.message or "")
    if turn.ended_at is None:
        note = f"Claude asks for something: tmux-builder session attach {key.session_id}"
        return Outcome(
            data=data, human=lambda _terminal: [message] if message else [], result=message,
            warnings=[{"code": "needs_you", "message": note}],
        )  # fmt: skip
    if turn.outcome in {"failed", "interrupted"}:
        reason = turn.message or "no reason was recorded"
        error = _error(f"turn_{turn.outcome}", f"The turn {turn.outcome}: {reason}", _look(key))
        return Outcome(data=data, exit=6, error=error)
    return Outcome(data=data, human=lambda _terminal: [message], result=message)


def _document(key: SessionKey, receipt: str, reply: str | None) -> dict[str, Json]:
    return {
        "user_id": key.user_id,
        "session_id": key.session_id,
        "receipt": receipt,
        "delivered": receipt == "accepted",
        "reply": reply,
    }


def _error(code: str, message: str, fix: str) -> Document:
    return {"code": code, "message": message, "fix": fix, "retryable": True}


def _look(key: SessionKey) -> str:
    return f"tmux-builder session logs {key.session_id} --chat"


COMMANDS = {"session send": send, "session command": command}
