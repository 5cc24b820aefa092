"""`deploy` and `rollback`: queue a run, follow it, and end as it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome, failure
from tui.cli.parsing import argument, option, verb
from tui.cli.progress import StepLines, background_work
from tui.cli.suggestions import SessionName
from tui.cli.views import part_of, plan_lines, plan_records, rows_of, step_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.models.execution import Execution
    from core.models.release import Deploy
    from core.models.session import SessionKey
    from tui.cli.pane import Argument

FOLLOW_TIMEOUT_S = 3600.0
PANE_TIMEOUT_S = 600.0


@verb(
    "deploy",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--from", "from_step", text="First step, by number or name.", metavar="STEP"),
    option("--to", "to_step", text="Last step, by number or name.", metavar="STEP"),
    option("--skip-tests", is_flag=True, text="Leave the end-to-end tests out."),
    option("--suffix", text="For a name that is taken (cloud hosts only).", metavar="TEXT"),
    option("--no-wait", is_flag=True, text="Return once it is queued; prints the execution."),
)
def deploy(
    call: Call, *, session: str | None, from_step: str | None, to_step: str | None,
    skip_tests: bool, suffix: str | None, no_wait: bool,
) -> Outcome:  # fmt: skip
    first, last = step_number(from_step, 4), step_number(to_step, 7)
    if suffix is not None:
        raise click.UsageError("--suffix is for cloud hosts; the local host needs none.")
    if call.pane:
        if call.dry_run or no_wait or (first, last) != (4, 7):
            raise click.UsageError("From its pane a session deploys whole: only --skip-tests.")
        return _asked(call, "deploy", session, {"skip_tests": skip_tests})
    call.say("deploy: looking at the session")
    key = call.session(session).key
    if call.dry_run:
        return plan_outcome(call.services.deploys.plan(key))
    execution = call.services.deploys.start(
        key, from_step=first, to_step=last, skip_tests=skip_tests
    )
    return followed(call, execution, wait=not no_wait)


@verb(
    "rollback",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--to", type=click.IntRange(min=1), metavar="N",
           text="The deploy to bring back; default: the one before with other content."),
)  # fmt: skip
def rollback(call: Call, *, session: str | None, to: int | None) -> Outcome:
    """Only a person in a terminal is asked first: a rollback can be rolled back."""
    if call.pane:
        if call.dry_run:
            raise click.UsageError("From its pane a session has no --dry-run.")
        return _asked(call, "rollback", session, {"to": to})
    key = call.session(session).key
    if call.dry_run:
        return plan_outcome(_rollback_plan(call, key, to))
    if call.may_ask and not call.yes:
        target = f"deploy {to}" if to is not None else "the deploy before"
        answer = call.terminal.ask(f"Bring {target} of {key.session_id} back? [y/N] ")
        if answer.lower() not in {"y", "yes"}:
            return Outcome(human=lambda _terminal: ["Nothing was changed."])
    call.say(f"rollback: {key.session_id}")
    execution = call.services.deploys.rollback(key, to)
    return followed(call, execution, wait=True)


def followed(call: Call, execution: Execution, *, wait: bool) -> Outcome:
    """Follow a run to its end; the exit code is the one of its record."""
    from core.errors import TimedOutError  # noqa: PLC0415 - not for help

    execution_id = execution.execution_id
    queued = f"run {execution.run} queued: {execution_id}"
    if not wait:
        call.say(queued)
        data = call.services.status.deploy_document(execution_id)
        return Outcome(data=data, human=lambda _terminal: [execution_id], result=execution_id)
    sentence = f"The run goes on: tmux-builder status {execution_id} --watch."
    with background_work(call, sentence):
        call.say(queued)
        try:
            call.services.deploys.wait(
                execution_id, call.timeout_s(FOLLOW_TIMEOUT_S), StepLines(call, call.say)
            )
        except TimedOutError as error:
            return failure(error, data=call.services.status.deploy_document(execution_id))
    return run_outcome(call, execution_id)


def run_outcome(call: Call, execution_id: str, **extra: bool) -> Outcome:
    """How a verb ends that has followed a run."""
    status = call.services.status
    data = {**status.deploy_document(execution_id), **extra}
    return deploy_outcome(
        data, exit_code=int(status.exit_code(execution_id)), error=status.error(execution_id),
        warnings=status.warnings(execution_id),
    )  # fmt: skip


def deploy_outcome(
    data: Document | None, *, exit_code: int, error: Document | None, warnings: Sequence[Document]
) -> Outcome:
    """The URL last; none where this run has not brought the site there."""
    is_done = data is not None and exit_code == 0 and data.get("state") == "completed"
    url = str(data.get("url") or "") if is_done and data is not None else ""
    return Outcome(
        data=None if data is None else dict(data),
        human=lambda _terminal: [line for line in (_summary(data), url) if line],
        records=lambda: _records(data, url),
        result=url or None,
        exit=exit_code,
        error=error,
        warnings=warnings,
    )


def plan_outcome(plan: Document) -> Outcome:
    return Outcome(
        data=dict(plan), human=lambda _terminal: plan_lines(plan),
        records=lambda: plan_records(plan),
    )  # fmt: skip


def step_number(text: str | None, otherwise: int) -> int:
    """A step by its number or name."""
    from core.models.execution import STEPS  # noqa: PLC0415 - not for help

    if text is None:
        return otherwise
    for step in STEPS:
        if text.strip().lower() in {str(step.n), step.name}:
            return step.n
    names = ", ".join(f"{step.n} {step.name}" for step in STEPS)
    raise click.UsageError(f"There is no step {text[:40]!r}. Use one of: {names}.")


def _asked(call: Call, name: str, session: str | None, arguments: dict[str, Argument]) -> Outcome:
    from tui.cli import pane  # noqa: PLC0415 - only inside a pane

    answer = pane.ask(call, name, session, arguments, PANE_TIMEOUT_S)
    data = pane.document_of(answer)
    return deploy_outcome(
        data, exit_code=answer.exit, error=pane.error_of(answer),
        warnings=pane.warnings_of(answer),
    )  # fmt: skip


def _summary(data: Document | None) -> str:
    """What went well but was not done; empty where there is nothing to tell."""
    if data is None:
        return ""
    skipped = sum(
        step["state"] == "skipped" and int(str(step["n"])) > 3 for step in rows_of(data, "steps")
    )
    is_done = data.get("state") == "completed"
    return f"ok, {skipped} skipped" if is_done and skipped else ""


def _records(data: Document | None, url: str) -> list[list[object]]:
    if data is None:
        return []
    rows = [list(row) for row in step_records(rows_of(data, "steps"))]
    return [*rows, [url]] if url else rows


def _rollback_plan(call: Call, key: SessionKey, to: int | None) -> Document:
    """What a rollback would publish; changes nothing."""
    from core.errors import AnswerIsNoError, NotFoundError  # noqa: PLC0415 - not for help

    deploys = call.services.deploys.deploys(key)
    target = _target(deploys, to)
    if target is None and to is not None:
        raise NotFoundError(
            f"{key.session_id} has no deploy {to}.", remedy=f"It has {len(deploys)} deploys."
        )
    if target is None:
        raise AnswerIsNoError(
            f"{key.session_id} has no earlier deploy to roll back to.",
            remedy=f"tmux-builder status {key.session_id}", code="no_earlier_deploy",
        )  # fmt: skip
    newest = call.services.status.deploy_document(deploys[0].execution_id)
    return {
        "plan": [
            {"action": "update", "kind": row.get("kind"), "id": row.get("id"),
             "tags": dict(part_of(row, "tags")), "est_usd_day": None}
            for row in rows_of(newest, "resources")
        ],
        "files": {"total": target.files_total, "changed": None, "deleted": None,
                  "bytes": target.size_bytes},
    }  # fmt: skip


def _target(deploys: list[Deploy], to: int | None) -> Deploy | None:
    if to is not None:
        return next((one for one in deploys if one.deploy == to), None)
    return next((one for one in deploys if one.release_id != deploys[0].release_id), None)


COMMANDS = {"deploy": deploy, "rollback": rollback}
