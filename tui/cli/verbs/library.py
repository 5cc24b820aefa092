"""`library list` and `library validate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Outcome, failure
from tui.cli.parsing import OneOf, argument, option, verb
from tui.cli.tables import clean_line
from tui.cli.verbs.user import HOSTS, SITES

if TYPE_CHECKING:
    from core.models.execution import Json


@verb(
    "library list",
    option("--host-provider", "--host", type=HOSTS, text="Only rules for this host."),
    option("--site-type", "--site", type=SITES, text="Only rules for this type."),
    option("--kind", type=OneOf("agent", "skill"), text="Only these."),
    option("--why", is_flag=True, text="Say which line of which rule injects it."),
)
def list_items(
    call: Call, *, host_provider: str | None, site_type: str | None, kind: str | None, why: bool
) -> Outcome:
    rows = call.services.library.list(host_provider=host_provider, site_type=site_type, kind=kind)

    def human() -> list[str]:
        lines: list[str] = []
        rule: str | None = ""
        for row in rows:
            if row.rule != rule:
                rule = row.rule
                lines.append(f"{rule or 'no rule'} ->")
            reason = f"  {row.why}" if why else ""
            own = "" if row.layer == "shipped" else f"  ({row.layer})"
            lines.append(clean_line(f"  {row.kind:<5} {row.name}{own}{reason}"))
        return lines or ["Nothing is injected."]

    items: list[Json] = [
        {
            "kind": str(row.kind), "name": row.name, "rule": row.rule, "path": row.path,
            "bytes": row.bytes, "sha": row.sha, "why": row.why, "layer": str(row.layer),
        }
        for row in rows
    ]  # fmt: skip
    return Outcome(
        data={"items": items},
        human=lambda _terminal: human(),
        records=lambda: [list(item.values()) for item in items if isinstance(item, dict)],
    )


@verb(
    "library validate",
    argument("path", required=False),
    option("--strict", is_flag=True, text="Also what is only untidy."),
)
def validate(call: Call, *, path: str | None, strict: bool) -> Outcome:
    from core.errors import AnswerIsNoError  # noqa: PLC0415 - not for help

    report = call.services.library.validate(
        None if path is None else Path(path).expanduser().absolute(), strict=strict
    )
    problems: list[Json] = [
        {"file": one.place, "line": one.line, "text": one.text} for one in report.problems
    ]
    ended = Outcome()
    if problems:
        ended = failure(
            AnswerIsNoError(
                f"The library has {len(problems)} problems.",
                remedy="Mend the lines named above.", code="library_invalid",
            )
        )  # fmt: skip
    good = f"ok: {report.agents} agents, {report.skills} skills"
    return Outcome(
        data={"agents": report.agents, "skills": report.skills, "problems": problems},
        human=lambda _terminal: [clean_line(str(one)) for one in report.problems] or [good],
        records=lambda: [[one.place, one.line, one.text] for one in report.problems],
        exit=ended.exit,
        error=ended.error,
    )


COMMANDS = {"library list": list_items, "library validate": validate}
