"""`doctor`: every check at once; exit 6 where something that was asked for is missing."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Outcome, failure
from tui.cli.parsing import OneOf, option, verb
from tui.cli.tables import STATE_COLOURS, clean_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.errors import BuilderError
    from core.services.doctor import DoctorCheck, DoctorReport
    from tui.cli.terminal import Terminal

FIX_TIMEOUT_S = 1800
UNASKED = "not looked at: tmux-builder doctor"
_SHELL = frozenset("|&;<>()$`\\\"'*?[]{}~!\n")


@verb(
    "doctor",
    option("--for", "purposes", multiple=True, text="What this computer shall be ready for.",
           type=OneOf("demo", "local", "aws", "azure", "claude")),
    option("--fix", is_flag=True, text="Show each fix and ask before running it."),
    option("--policy", type=OneOf("aws", "azure"),
           text="Print the rights that sites need there, and check nothing."),
)  # fmt: skip
def doctor(call: Call, *, purposes: Sequence[str], fix: bool, policy: str | None) -> Outcome:
    if policy is not None:
        return _policy(call, policy)
    call.say("doctor: looking at this computer")
    wanted = {word.strip() for text in purposes for word in text.split(",")}
    report = call.services.doctor.run(wanted)
    if fix and call.may_ask and _mend(call, report):
        report = call.services.doctor.run(wanted)
    ended = Outcome()
    if not report.is_well:
        ended = failure(_verdict(report))
    return Outcome(
        data={
            "ready": dict(report.ready),
            "checks": [
                {
                    "id": one.id, "state": str(one.state), "found": one.found, "need": one.need,
                    "fix": one.fix, "ms": one.ms,
                }
                for one in report.checks
            ],
        },
        human=lambda terminal: _lines(report, terminal, all_of_them=not call.quiet),
        records=lambda: [
            [one.id, one.state, one.found, one.need, one.fix, one.ms] for one in report.checks
        ],
        exit=ended.exit,
        error=ended.error,
    )  # fmt: skip


def _policy(call: Call, cloud: str) -> Outcome:
    """The document as the cloud's own tools take it, so that it can go straight into a file."""
    import json  # noqa: PLC0415 - not for the checks

    found = call.services.doctor.policy(cloud)
    lines = json.dumps(found, indent=2).splitlines()
    return Outcome(data={"policy": found}, human=lambda _terminal: lines)


def _verdict(report: DoctorReport) -> BuilderError:
    from core.errors import AnswerIsNoError  # noqa: PLC0415 - not for help

    missing = ", ".join(sorted(one for one in report.purposes if not report.ready[one]))
    faults = [one for one in report.checks if one.state == "fail" and one.fix]
    return AnswerIsNoError(
        f"This computer is not ready for: {missing}.",
        remedy=(faults[0].fix or "") if faults else "tmux-builder doctor",
        code="not_ready",
    )


def _lines(report: DoctorReport, terminal: Terminal, *, all_of_them: bool) -> list[str]:
    lines = []
    for one in report.checks:
        if one.found.startswith(UNASKED) or (not all_of_them and one.state == "ok"):
            continue
        word = terminal.paint(f"{one.state:<4}", STATE_COLOURS.get(str(one.state), ""))
        fix = f": fix: {one.fix}" if one.fix and one.state != "ok" else ""
        lines.append(f"{word}  {one.id:<15} {clean_line(one.found)}{clean_line(fix)}")
    ready = ", ".join(name for name, is_ready in report.ready.items() if is_ready) or "nothing"
    return [*lines, f"ready for: {ready}"]


def _mend(call: Call, report: DoctorReport) -> bool:
    """Whether anything was run. What needs a shell or another account is only shown."""
    was_run = False
    for one in report.checks:
        if one.state not in {"fail", "warn"} or not one.fix:
            continue
        command = _command(one)
        if command is None:
            call.terminal.note(f"{one.id}: do this yourself: {one.fix}")
            continue
        answer = call.terminal.ask(f"{one.id}: run `{shlex.join(command)}`? [y/N] ")
        if answer.lower() in {"y", "yes"}:
            was_run = True
            subprocess.run(command, check=False, timeout=FIX_TIMEOUT_S)
    return was_run


def _command(check: DoctorCheck) -> list[str] | None:
    """The fix as an argument list; None for a sentence, a shell line, or a rise in rights."""
    import shutil  # noqa: PLC0415 - only with --fix

    fix = check.fix or ""
    words = [] if _SHELL & set(fix) else fix.split()
    if not words or words[0] in {"sudo", "export"} or shutil.which(words[0]) is None:
        return None
    return words


COMMANDS = {"doctor": doctor}
