"""End to end: the built-in suite over the deployed address and the session's own tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from core.checks.browser import Browser
from core.checks.cases import Case, Outcome, Remark
from core.checks.documents import Stopwatch, skipped_document
from core.checks.own_tests import OwnResult, OwnTestsOptions, OwnTestsRun
from core.checks.site_suite import SiteSuite, SuiteLimits, SuiteResult
from core.checks.web import require_web_url
from core.clock import Clock, SystemClock
from core.errors import MissingProgramError
from core.models.checks import CheckDocument
from core.models.execution import Json

_MAX_WARNINGS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class E2eOptions:
    """What is run.

    Attributes:
        grep: Only cases whose name holds this text, in any case.
        list_only: Name the cases and judge nothing.
        contained: The session's own tests run under bubblewrap or are skipped.
        own_limit_s: Over the session's own tests together.
        test_limit_s: For each of them.
    """

    grep: str | None = None
    list_only: bool = False
    contained: bool = True
    own_limit_s: float = 120.0
    test_limit_s: float = 30.0
    suite: SuiteLimits = field(default_factory=SuiteLimits)


def run_e2e(
    url: str,
    *,
    browser: Browser,
    own_tests: Path | None,
    options: E2eOptions | None = None,
    clock: Clock | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> CheckDocument:
    """Test what is served at `url`.

    Args:
        url: The deployed site's home page.
        own_tests: The folder with the session's own tests; hostile, may be missing.

    Returns:
        The result; `skipped` where no Chromium starts. Its details are url, passed, failed,
        skipped, failures, warnings, tests, cases and own.

    Raises:
        UsageError, CancelledError, BrowserError: As their names say.
    """
    options, clock = options or E2eOptions(), clock or SystemClock()
    require_web_url(url)
    watch = Stopwatch(clock)
    try:
        suite, own = _run(url, browser, own_tests, options, cancelled)
    except MissingProgramError as missing:
        details = _details(url, (), (), OwnResult(state="skipped", reason=missing.message))
        return skipped_document("e2e", f"{missing.message} {missing.remedy}", watch, details)
    cases = (*suite.cases, *own.cases)
    error = _error(cases, options)
    return CheckDocument(
        test="e2e",
        timestamp=watch.started_at,
        passed=error is None,
        duration_ms=watch.elapsed_ms,
        attempts=1,
        details=_details(url, cases, (*suite.remarks, *_own_remarks(own)), own),
        error=error,
    )


def _run(
    url: str,
    browser: Browser,
    own_tests: Path | None,
    options: E2eOptions,
    cancelled: Callable[[], bool],
) -> tuple[SuiteResult, OwnResult]:
    """Both at the same time: the own tests have a process and a browser of their own."""
    suite = SiteSuite(
        url,
        limits=options.suite,
        grep=options.grep,
        list_only=options.list_only,
        cancelled=cancelled,
    )
    if own_tests is None:
        return suite.run(browser), OwnResult(state="none")
    own_options = OwnTestsOptions(
        grep=options.grep,
        list_only=options.list_only,
        limit_s=options.own_limit_s,
        test_limit_s=options.test_limit_s,
        contained=options.contained,
    )
    chromium = browser.chromium()
    with closing(
        OwnTestsRun(own_tests, url=url, chromium=chromium, options=own_options)
    ) as own_run:
        skipped = _start(own_run)
        result = suite.run(browser)
        return result, skipped or own_run.finish(cancelled)


def _start(own_run: OwnTestsRun) -> OwnResult | None:
    """Start the own tests, or say why they are skipped."""
    try:
        own_run.start()
    except MissingProgramError as missing:
        reason = f"{missing.message} {missing.remedy}"
        cases = tuple(
            Case(name=f"own: {name}", outcome=Outcome.SKIPPED, message=reason)
            for name in own_run.copied.test_files
        )
        return OwnResult(
            state="skipped", cases=cases, reason=reason, left_out=own_run.copied.left_out
        )
    return None


def _own_remarks(own: OwnResult) -> tuple[Remark, ...]:
    found = [
        Remark(name=f"own: {name}"[:300], message="left out: no regular file within the limits")
        for name in own.left_out
    ]
    if own.state == "skipped" and own.reason:
        found.append(Remark(name="own", message=f"own tests were skipped: {own.reason}"))
    return tuple(found)


def _error(cases: Sequence[Case], options: E2eOptions) -> str | None:
    if not cases:
        return f"No test matches {options.grep!r}."
    failed = [case for case in cases if case.outcome is Outcome.FAILED]
    if not failed:
        return None
    first = f"{failed[0].name}: {failed[0].message}"
    return f"{len(failed)} of {len(cases)} tests failed: {first}"[:1000]


def _details(
    url: str, cases: Sequence[Case], remarks: Sequence[Remark], own: OwnResult
) -> dict[str, Json]:
    by_outcome = {outcome: [c for c in cases if c.outcome is outcome] for outcome in Outcome}
    return {
        "url": url,
        **{outcome.value: len(found) for outcome, found in by_outcome.items()},
        "failures": [case.as_failure() for case in by_outcome[Outcome.FAILED]],
        "warnings": [remark.as_json() for remark in remarks[:_MAX_WARNINGS]],
        "tests": [case.name for case in cases],
        "cases": [
            {"name": case.name, "outcome": case.outcome.value, "message": case.message}
            for case in cases
        ],
        "own": own.as_json(),
    }
