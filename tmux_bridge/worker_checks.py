"""The three checks for pipeline and verbs: one warm browser, results on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.checks.browser import Browser
from core.checks.documents import write_document
from core.checks.e2e import E2eOptions, run_e2e
from core.checks.health import HealthOptions, check_health
from core.checks.screenshot import ScreenshotOptions, take_screenshots
from core.clock import Clock
from core.models.checks import CheckDocument
from core.paths import SessionPaths

Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserChecks:
    """Implements the pipeline's port `SiteChecks`; each result is written before it is returned.

    Attributes:
        isolation: A session's own tests run contained or are skipped.
    """

    browser: Browser
    clock: Clock
    isolation: bool

    def health(
        self, url: str, *, paths: SessionPaths, expected_release: str | None,
        cancelled: Cancelled, options: HealthOptions | None = None,
    ) -> CheckDocument:  # fmt: skip
        document = check_health(
            url, expected_release=expected_release, options=options, clock=self.clock,
            cancelled=cancelled,
        )  # fmt: skip
        write_document(document, paths.tests)
        return document

    def screenshot(
        self, url: str, *, paths: SessionPaths, cancelled: Cancelled,
        options: ScreenshotOptions | None = None,
    ) -> CheckDocument:  # fmt: skip
        document = take_screenshots(
            url, browser=self.browser, folder=paths.tests, options=options, clock=self.clock,
            cancelled=cancelled,
        )  # fmt: skip
        write_document(document, paths.tests)
        return document

    def e2e(
        self, url: str, *, paths: SessionPaths, cancelled: Cancelled,
        options: E2eOptions | None = None,
    ) -> CheckDocument:  # fmt: skip
        document = run_e2e(
            url, browser=self.browser, own_tests=paths.own_tests,
            options=options or E2eOptions(contained=self.isolation), clock=self.clock,
            cancelled=cancelled,
        )  # fmt: skip
        if not (options and options.list_only):
            write_document(document, paths.tests)
        return document
