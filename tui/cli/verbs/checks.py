"""`check`, `screenshot` and `test`: single looks at a deployed site, done by the worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome
from tui.cli.parsing import argument, option, verb
from tui.cli.suggestions import SessionName
from tui.cli.tables import clean
from tui.cli.views import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.models.session import SessionKey
    from core.paths import SessionPaths
    from tui.cli.pane import Argument
    from tui.cli.terminal import Terminal

CHECK_TIMEOUT_S = 120.0
SCREENSHOT_TIMEOUT_S = 120.0
TEST_TIMEOUT_S = 600.0
PICTURE_LIMIT_BYTES = 200_000_000


@verb(
    "check",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--url", text="Another URL than the site's.", metavar="U"),
    option("--retries", type=click.IntRange(0, 20), text="Tries after the first.", metavar="N"),
    option("--min-bytes", type=click.IntRange(0), text="The least that counts.", metavar="N"),
)
def check(
    call: Call, *, session: str | None, url: str | None, retries: int | None,
    min_bytes: int | None,
) -> Outcome:  # fmt: skip
    if call.pane:
        if url is not None:
            raise click.UsageError("From its pane a session checks its own site only.")
        arguments: dict[str, Argument] = {"retries": retries, "min_bytes": min_bytes}
        return _asked(call, "check", session, arguments, CHECK_TIMEOUT_S, _check_lines)
    key = _target(call, "check", session)
    timeout_s = call.timeout_s(CHECK_TIMEOUT_S)
    data = call.services.deploys.check(
        key, url=url, retries=retries, min_bytes=min_bytes, timeout_s=timeout_s
    )
    keys = ("status", "type", "bytes", "ms")
    return Outcome(
        data=data, human=lambda _terminal: _check_lines(data), result="ok",
        records=lambda: [[data.get(key) for key in keys]],
    )  # fmt: skip


@verb(
    "screenshot",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--out", text="Copy the picture there.", metavar="F"),
    option("--width", type=click.IntRange(200, 4000), text="Width of the page.", metavar="N"),
    option("--full/--viewport", default=True, text="The whole page, or what fits a screen."),
    option("--thumb", is_flag=True, text="The small picture instead."),
)
def screenshot(
    call: Call, *, session: str | None, out: str | None, width: int | None, full: bool,
    thumb: bool,
) -> Outcome:  # fmt: skip
    if call.pane:
        from tui.cli import pane  # noqa: PLC0415 - only inside a pane

        paths = pane.pane_paths(call)
        arguments: dict[str, Argument] = {"width": width, "full_page": full}
        asked = _asked(
            call, "screenshot", session, arguments, SCREENSHOT_TIMEOUT_S, lambda _data: []
        )
        data = asked.data if isinstance(asked.data, dict) else {}
        return asked if asked.exit else _pictured(data, paths, out, thumb=thumb)
    key = _target(call, "screenshot", session)
    found = call.services.deploys.screenshot(
        key, width=width, full_page=full, timeout_s=call.timeout_s(SCREENSHOT_TIMEOUT_S)
    )
    paths = call.root.session(key.user_id, key.session_id)
    return _pictured(found, paths, out, thumb=thumb)


@verb(
    "test",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--grep", text="Only tests whose name holds this.", metavar="TEXT"),
    option("--list", "list_only", is_flag=True, text="Name them, run none."),
    option("--headed", is_flag=True, text="Show the browser (needs a display)."),
    option("--report", text="Write a JUnit report there.", metavar="F.xml"),
)
def test(
    call: Call, *, session: str | None, grep: str | None, list_only: bool, headed: bool,
    report: str | None,
) -> Outcome:  # fmt: skip
    if headed:
        raise click.UsageError("The worker's browser has no window, so --headed cannot be done.")
    if call.pane:
        arguments: dict[str, Argument] = {"grep": grep, "list": list_only}
        lines = _names if list_only else _test_lines
        asked = _asked(call, "test", session, arguments, TEST_TIMEOUT_S, lines)
        if report is not None:
            from tui.cli import pane  # noqa: PLC0415 - only inside a pane

            _report(pane.pane_paths(call), report)
        return asked
    key = _target(call, "test", session)
    tested = _tested(call, key, grep=grep, list_only=list_only)
    if report is not None:
        _report(call.root.session(key.user_id, key.session_id), report)
    return tested


def _target(call: Call, name: str, session: str | None) -> SessionKey:
    call.say(f"{name}: asking the worker")
    return call.session(session).key


def _asked(
    call: Call, name: str, session: str | None, arguments: dict[str, Argument], wait_s: float,
    lines: Callable[[Document], Iterable[str]],
) -> Outcome:  # fmt: skip
    """The same verb from inside a pane."""
    from tui.cli import pane  # noqa: PLC0415 - only inside a pane

    answer = pane.ask(call, name, session, arguments, wait_s)
    data = pane.document_of(answer)

    def human(_terminal: Terminal) -> Iterable[str]:
        return () if data is None or (answer.exit and name != "test") else lines(data)

    return Outcome(
        data=None if data is None else dict(data), human=human, exit=answer.exit,
        error=pane.error_of(answer), warnings=pane.warnings_of(answer),
    )  # fmt: skip


def _check_lines(data: Document) -> list[str]:
    kind = str(data["type"]).partition(";")[0]
    return [f"ok {data['status']} {kind} {data['bytes']} B {data['ms']} ms"]


def _pictured(data: Document, paths: SessionPaths, out: str | None, *, thumb: bool) -> Outcome:
    from core.errors import StorageError  # noqa: PLC0415 - not for help
    from core.files import read_regular, write_atomically  # noqa: PLC0415

    name = str(data.get("thumb" if thumb else "full") or data.get("full"))
    shown = str(paths.root / name)
    if out is not None:
        content = read_regular(paths.root, name, limit=PICTURE_LIMIT_BYTES)
        if content is None:
            raise StorageError(f"The picture {shown} cannot be read.", remedy="Take it again.")
        target = Path(out).expanduser().absolute()
        write_atomically(target, content, mode=0o644)
        shown = str(target)
    return Outcome(data=dict(data), human=lambda _terminal: [shown], result=shown)


def _tested(call: Call, key: SessionKey, *, grep: str | None, list_only: bool) -> Outcome:
    """Exit 6 where a test failed, with the same document as for a suite that went well."""
    from core.errors import AnswerIsNoError  # noqa: PLC0415 - not for help
    from tui.cli.outcome import failure, plain_data  # noqa: PLC0415

    ended = Outcome()
    try:
        data = call.services.deploys.test(
            key, grep=grep, list_only=list_only, timeout_s=call.timeout_s(TEST_TIMEOUT_S)
        )
    except AnswerIsNoError as error:
        found = plain_data(error.data or {})
        if not isinstance(found, dict) or not found:
            raise
        data, ended = found, failure(error)
    return Outcome(
        data=data, human=lambda _terminal: _names(data) if list_only else _test_lines(data),
        records=lambda: [[one] for one in _names(data)] if list_only else _test_records(data),
        exit=ended.exit, error=ended.error,
    )  # fmt: skip


def _test_records(data: Document) -> list[list[object]]:
    counts: list[list[object]] = [[k, data.get(k)] for k in ("passed", "failed", "skipped")]
    for row in rows_of(data, "failures"):
        counts.append(["failure", row.get("name"), row.get("message")])
    return counts


def _test_lines(data: Document) -> list[str]:
    """`11/12` and the failures."""
    lines = [f"{data.get('passed') or 0}/{_total(data)}"]
    if data.get("skipped"):
        lines[0] += f", {data['skipped']} skipped"
    for row in rows_of(data, "failures"):
        lines.append(clean(f"failed: {row.get('name')}: {row.get('message')}"))
    return lines


def _report(paths: SessionPaths, target: str) -> None:
    from tui.cli.junit_report import write_report  # noqa: PLC0415 - only for a report

    write_report(paths, target)


def _names(data: Document) -> list[str]:
    """Of the tests that there are."""
    names = data.get("tests")
    return [clean(str(name)) for name in names] if isinstance(names, list) else []


def _total(data: Document) -> int:
    counts = (data.get("passed"), data.get("failed"))
    return sum(count for count in counts if isinstance(count, int))


COMMANDS = {"check": check, "screenshot": screenshot, "test": test}
