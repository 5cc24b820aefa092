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
    from xml.etree.ElementTree import Element

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
    arguments: dict[str, Argument] = {"url": url, "retries": retries, "min_bytes": min_bytes}
    if call.pane:
        return _asked(call, "check", session, arguments, CHECK_TIMEOUT_S, _check_lines)
    key = _target(call, "check", session)
    timeout_s = call.timeout_s(CHECK_TIMEOUT_S)
    data = call.services.deploys.check(
        key, url=url, retries=retries, min_bytes=min_bytes, timeout_s=timeout_s
    )
    return Outcome(data=data, human=lambda _terminal: _check_lines(data), result="ok",
                   records=lambda: [[data.get(k) for k in ("status", "type", "bytes", "ms")]])  # fmt: skip


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
        asked = _asked(call, "test", session, arguments, TEST_TIMEOUT_S, _test_lines)
        if report is not None and isinstance(asked.data, dict):
            _write_junit(Path(report), asked.data)
        return asked
    key = _target(call, "test", session)
    data = call.services.deploys.test(
        key, grep=grep, list_only=list_only, timeout_s=call.timeout_s(TEST_TIMEOUT_S)
    )
    if report is not None:
        _write_junit(Path(report), data)
    return _tested(data)


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
    return [f"ok {data['status']} {data['type']} {data['bytes']} B {data['ms']} ms"]


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


def _tested(data: Document) -> Outcome:
    """Exit 6 where a test failed; a suite that ran is a result, not an error of ours."""
    from core.errors import AnswerIsNoError  # noqa: PLC0415 - not for help
    from tui.cli.outcome import failure  # noqa: PLC0415

    failed = data.get("failed")
    records: list[list[object]] = [
        [row.get("name"), row.get("message"), row.get("log")] for row in rows_of(data, "failures")
    ]
    ended = Outcome()
    if isinstance(failed, int) and failed > 0:
        error = AnswerIsNoError(
            f"{failed} of {_total(data)} tests failed.",
            remedy="Mend what the failures name, then: tmux-builder deploy", code="e2e_failed",
        )  # fmt: skip
        ended = failure(error)
    return Outcome(
        data=dict(data), human=lambda _terminal: _test_lines(data), records=lambda: records,
        exit=ended.exit, error=ended.error,
    )  # fmt: skip


def _test_lines(data: Document) -> list[str]:
    """Listed names, or `11/12` and the failures."""
    names = data.get("tests")
    if isinstance(names, list):
        return [clean(str(name)) for name in names]
    lines = [f"{data.get('passed') or 0}/{_total(data)}"]
    if data.get("skipped"):
        lines[0] += f", {data['skipped']} skipped"
    for row in rows_of(data, "failures"):
        lines.append(clean(f"failed: {row.get('name')}: {row.get('message')}"))
    return lines


def _total(data: Document) -> int:
    counts = (data.get("passed"), data.get("failed"))
    return sum(count for count in counts if isinstance(count, int))


def _write_junit(path: Path, data: Document) -> None:
    """Counts and failures in the form that build servers read."""
    from xml.etree import ElementTree  # noqa: PLC0415 - only for a report

    from core.files import write_atomically  # noqa: PLC0415

    suite = ElementTree.Element(
        "testsuite", name="tmux-builder", tests=str(_total(data) + _number(data, "skipped")),
        failures=str(_number(data, "failed")), skipped=str(_number(data, "skipped")),
    )  # fmt: skip
    for row in rows_of(data, "failures"):
        _add_failure(suite, str(row.get("name")), str(row.get("message")))
    for number in range(_number(data, "passed")):
        ElementTree.SubElement(suite, "testcase", classname="site", name=f"passed {number + 1}")
    content = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    write_atomically(path.expanduser().absolute(), content, mode=0o644)


def _add_failure(suite: Element, name: str, message: str) -> None:
    from xml.etree import ElementTree  # noqa: PLC0415 - only for a report

    case = ElementTree.SubElement(suite, "testcase", classname="site", name=clean(name))
    ElementTree.SubElement(case, "failure", message=clean(message)[:200]).text = clean(message)


def _number(data: Document, key: str) -> int:
    value = data.get(key)
    return value if isinstance(value, int) else 0


COMMANDS = {"check": check, "screenshot": screenshot, "test": test}
