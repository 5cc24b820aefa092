"""One visit of one page in the warm browser: everything that the cases need, as data.

A page is a customer's program: every question to it has a deadline, every answer is decoded.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import urldefrag

import msgspec
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
)
from playwright.sync_api import TimeoutError as PageTimeoutError

from core.checks.page_scripts import READ_AXE, READ_PAGE, READ_WIDTH
from core.checks.web import origin_of

T = TypeVar("T")

DESK = (1280, 800)
PHONE = (390, 844)
_MAX_EVENTS = 50
_QUIET_S = 0.1
_STEP_MS = 25


class Link(msgspec.Struct, frozen=True):
    """A link as the browser resolves it."""

    url: str
    label: str


class PageReading(msgspec.Struct, frozen=True):
    """What the document says about itself."""

    url: str
    title: str
    lang: str
    viewport: str
    links: list[Link]
    assets: list[str]
    icons: list[str]
    anchors: list[str]


class PhoneReading(msgspec.Struct, frozen=True):
    """Widths on a phone. `cut` says that the page hides what sticks out."""

    width: int
    scroll_width: int
    cut: bool
    wide: list[str]


class Violation(msgspec.Struct, frozen=True):
    """One finding of axe."""

    rule: str
    impact: str
    help: str
    count: int
    targets: list[str]


class _AxeReading(msgspec.Struct, frozen=True):
    violations: list[Violation]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleError:
    """An error in the page's console, or an exception nobody caught."""

    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRequest:
    """A request that was answered with 400 or more, or not at all."""

    url: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What one visit showed. `fault` says why there is no reading."""

    url: str
    status_code: int | None = None
    content_type: str = ""
    fault: str | None = None
    is_download: bool = False
    reading: PageReading | None = None
    phone: PhoneReading | None = None
    violations: tuple[Violation, ...] = ()
    console: tuple[ConsoleError, ...] = ()
    failed: tuple[FailedRequest, ...] = ()
    answered: dict[str, int] = field(default_factory=dict)
    """Every address that the page itself loaded, and its status."""

    @property
    def is_page(self) -> bool:
        return self.reading is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitLimits:
    """Seconds: for the load event, for each question afterwards, and for a quiet network."""

    load_s: float = 10.0
    question_s: float = 10.0
    quiet_s: float = 1.0


class _Recorder:
    """The browser's events since the last `reset`."""

    def __init__(self, page: Page) -> None:
        self.reset()
        page.on("console", self._on_console)
        page.on("pageerror", self._on_page_error)
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.on("requestfinished", self._on_finished)
        page.on("requestfailed", self._on_failed)

    def reset(self) -> None:
        self.console: list[ConsoleError] = []
        self.failed: list[FailedRequest] = []
        self.answered: dict[str, int] = {}
        self.open: dict[Request, str] = {}
        self.last_event = time.monotonic()

    def is_quiet(self) -> bool:
        return not self.open and time.monotonic() - self.last_event >= _QUIET_S

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and len(self.console) < _MAX_EVENTS:
            source = str(message.location.get("url", ""))
            self.console.append(ConsoleError(text=message.text[:1000], source=source))

    def _on_page_error(self, error: Error) -> None:
        if len(self.console) < _MAX_EVENTS:
            text = f"uncaught {error.name or 'error'}: {error.message}"
            self.console.append(ConsoleError(text=text[:1000], source=""))

    def _on_request(self, request: Request) -> None:
        self.last_event = time.monotonic()
        if len(self.open) < 1000:
            self.open[request] = request.url

    def _on_response(self, response: Response) -> None:
        self.answered[_bare(response.url)] = response.status
        if response.status >= 400 and len(self.failed) < _MAX_EVENTS:
            self.failed.append(FailedRequest(url=response.url, reason=str(response.status)))

    def _on_finished(self, request: Request) -> None:
        self.last_event = time.monotonic()
        self.open.pop(request, None)

    def _on_failed(self, request: Request) -> None:
        self._on_finished(request)
        reason = request.failure or "no answer"
        # A page may give up a request of its own, and a player stops loading what it has enough of.
        if "ERR_ABORTED" not in reason and len(self.failed) < _MAX_EVENTS:
            self.failed.append(FailedRequest(url=request.url, reason=reason))


class Tab:
    """A tab that goes from page to page; a page that hangs costs only its own tab."""

    def __init__(self, context: BrowserContext, *, origin: str, limits: VisitLimits) -> None:
        self._context = context
        self._origin = origin
        self._limits = limits
        self._page = self._open()

    def visit(self, url: str, *, thorough: bool) -> Visit:
        """Load `url` (without a fragment) and read it; `thorough` asks axe and a phone too."""
        self._recorder.reset()
        try:
            response = self._page.goto(url, wait_until="load", timeout=self._limits.load_s * 1000)
        except PageTimeoutError:
            return self._gave_up(url, self._why_late())
        except Error as error:
            return self._not_opened(url, error)
        status = response.status if response else None
        kind = response.headers.get("content-type", "") if response else ""
        seen = Visit(url=_bare(self._page.url), status_code=status, content_type=kind)
        if (status or 200) >= 400 or "html" not in kind or origin_of(seen.url) != self._origin:
            return replace(seen, answered=self._recorder.answered)
        try:
            return self._read(seen, thorough=thorough)
        except (Error, msgspec.ValidationError):
            self._require_browser()
            return self._gave_up(url, "does not react: its own scripts keep it busy or break it")

    def _read(self, seen: Visit, *, thorough: bool) -> Visit:
        reading = self._ask(READ_PAGE, PageReading)
        phone: PhoneReading | None = None
        violations: tuple[Violation, ...] = ()
        if thorough:
            violations = tuple(self._ask(READ_AXE, _AxeReading).violations)
            self._resize(PHONE)
            phone = self._ask(READ_WIDTH, PhoneReading)
            self._resize(DESK)
        self._wait_quiet()
        return replace(
            seen,
            reading=reading,
            phone=phone,
            violations=violations,
            console=tuple(self._recorder.console),
            failed=tuple(self._recorder.failed),
            answered=self._recorder.answered,
        )

    def _ask(self, script: str, kind: type[T]) -> T:
        """Waiting for a function is the one question to a page that Playwright gives up on."""
        handle = self._page.wait_for_function(script, timeout=self._limits.question_s * 1000)
        return msgspec.convert(handle.json_value(), type=kind)

    def _resize(self, size: tuple[int, int]) -> None:
        self._page.set_viewport_size({"width": size[0], "height": size[1]})

    def _wait_quiet(self) -> None:
        end = time.monotonic() + self._limits.quiet_s
        while not self._recorder.is_quiet() and time.monotonic() < end:
            self._page.wait_for_timeout(_STEP_MS)

    def _why_late(self) -> str:
        waiting = ", ".join(list(self._recorder.open.values())[:3])
        text = f"did not finish loading within {self._limits.load_s:g} s"
        return f"{text}, still waiting for {waiting[:300]}" if waiting else text

    def _not_opened(self, url: str, error: Error) -> Visit:
        self._require_browser()
        if "Download is starting" in error.message:
            return Visit(url=url, is_download=True)
        return self._gave_up(url, f"cannot be opened: {error.message.splitlines()[0][:200]}")

    def _gave_up(self, url: str, fault: str) -> Visit:
        """Leave the page as it is and go on in a tab of its own."""
        visit = Visit(
            url=url,
            fault=fault,
            console=tuple(self._recorder.console),
            failed=tuple(self._recorder.failed),
            answered=self._recorder.answered,
        )
        with suppress(Error):
            self._page.close()
        self._page = self._open()
        return visit

    def _open(self) -> Page:
        page = self._context.new_page()
        page.on("popup", lambda popup: popup.close())
        self._recorder = _Recorder(page)
        return page

    def _require_browser(self) -> None:
        """Re-raise what is being handled where it is the browser that failed, not the page."""
        browser = self._context.browser
        if browser is None or not browser.is_connected():
            raise  # noqa: PLE0704 - called from except blocks only


def new_tab(browser: Browser, *, origin: str, limits: VisitLimits) -> tuple[BrowserContext, Tab]:
    """A tab in a fresh context, without anything of earlier runs; the caller closes the context."""
    context = browser.new_context(
        viewport={"width": DESK[0], "height": DESK[1]},
        service_workers="block",
        accept_downloads=False,
    )
    return context, Tab(context, origin=origin, limits=limits)


def _bare(url: str) -> str:
    return urldefrag(url).url
