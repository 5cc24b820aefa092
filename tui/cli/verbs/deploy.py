"""`deploy` and `rollback`: queue a run, follow it, and end as it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome, failure
from tui.cli.parsing import argument, option, verb
from tui.cli.progress import StepLines, background_work
from tui.cli.suggestions import SessionName
from tui.cli.views import plan_lines, plan_records, rows_of, step_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.models.execution import Execution
    from tui.cli.pane import Argument

FOLLOW_TIMEOUT_S = 3600.0
PANE_TIMEOUT_S = 600.0
MOST_DELETES = "Refuse to delete more stale files than this; 256 without it."


@verb(
    "deploy",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--from", "from_step", text="First step, by number or name.", metavar="STEP"),
    option("--to", "to_step", text="Last step, by number or name.", metavar="STEP"),
    option("--skip-tests", is_flag=True, text="Leave the end-to-end tests out."),
    option("--suffix", text="Put into the names of what a cloud host makes, where one is taken.",
           metavar="TEXT"),
    option("--max-delete", type=click.IntRange(min=0), metavar="N", text=MOST_DELETES),
    option("--no-wait", is_flag=True, text="Return once it is queued; prints the execution."),
)  # fmt: skip
def deploy(
    call: Call, *, session: str | None, from_step: str | None, to_step: str | None,
    skip_tests: bool, suffix: str | None, max_delete: int | None, no_wait: bool,
) -> Outcome:  # fmt: skip
    first, last = step_number(from_step, 4), step_number(to_step, 7)
    if call.pane:
        chosen = (suffix, max_delete) != (None, None) or (first, last) != (4, 7)
        if call.dry_run or no_wait or chosen:
            raise click.UsageError("From its pane a session deploys whole: only --skip-tests.")
        return _asked(call, "deploy", session, {"skip_tests": skip_tests})
    call.say("deploy: looking at the session")
    key = call.session(session).key
    if call.dry_run:
        plan = call.services.deploys.plan(key, suffix=suffix, max_delete=max_delete)
        return plan_outcome(plan)
    execution = call.services.deploys.start(
        key, from_step=first, to_step=last, skip_tests=skip_tests, suffix=suffix,
        max_delete=max_delete,
    )  # fmt: skip
    return followed(call, execution, wait=not no_wait)


@verb(
    "rollback",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--to", type=click.IntRange(min=1), metavar="N",
           text="The deploy to bring back; default: the one before with other content."),
    option("--max-delete", type=click.IntRange(min=0), metavar="N", text=MOST_DELETES),
)  # fmt: skip
def rollback(call: Call, *, session: str | None, to: int | None, max_delete: int | None) -> Outcome:
    """Only a person in a terminal is asked first: a rollback can be rolled back."""
    if call.pane:
        if call.dry_run or max_delete is not None:
            raise click.UsageError("From its pane a session rolls back whole: only --to.")
        return _asked(call, "rollback", session, {"to": to})
    key = call.session(session).key
    if call.dry_run:
        return plan_outcome(call.services.deploys.plan_rollback(key, to, max_delete))
    if call.may_ask and not call.yes:
        target = f"deploy {to}" if to is not None else "the deploy before"
        answer = call.terminal.ask(f"Bring {target} of {key.session_id} back? [y/N] ")
        if answer.lower() not in {"y", "yes"}:
            return Outcome(human=lambda _terminal: ["Nothing was changed."])
    call.say(f"rollback: {key.session_id}")
    execution = call.services.deploys.rollback(key, to, max_delete)
    return followed(call, execution, wait=True)


def followed(call: Call, execution: Execution, *, wait: bool) -> Outcome:
    """Follow a run to its end; the exit code is the one of its record."""
    from core.errors import TimedOutError  # noqa: PLC0415 - not for help

    execution_id = execution.execution_id
    queued = f"run {execution.run} queued: {execution_id}"
    if not wait:
        call.say(queued)
        data = call.services.status.deploy_document(execution_id)
        return Outcome(
            data=data, human=lambda _terminal: [execution_id], result=execution_id,
            warnings=call.services.status.warnings(execution_id),
        )  # fmt: skip
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
    """What a plan warns of goes where every warning goes."""
    said = plan.get("warnings")
    return Outcome(
        data={key: value for key, value in plan.items() if key != "warnings"},
        human=lambda _terminal: plan_lines(plan),
        records=lambda: plan_records(plan),
        warnings=[one for one in said if isinstance(one, dict)] if isinstance(said, list) else (),
    )


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


COMMANDS = {"deploy": deploy, "rollback": rollback}
