"""The built-in suite: walk the site from its home page and judge every page of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urldefrag, urlsplit

from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Error

from core.checks.browser import Browser
from core.checks.cases import Case, Outcome, Remark, matches
from core.checks.page_cases import (
    KINDS,
    case_name,
    is_icon,
    judge_answer,
    judge_page,
    path_of,
    remarks,
)
from core.checks.page_visit import Tab, Visit, VisitLimits, new_tab
from core.checks.web import FetchLimits, NotReachedError, fetch, origin_of
from core.errors import CancelledError, TimedOutError

_PAGE_ENDINGS = frozenset({"", "html", "htm", "xhtml", "php", "asp", "aspx", "jsp"})
_INDEXES = ("index.html", "index.htm")
_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteLimits:
    """How much of a site is walked.

    Attributes:
        pages: So many are opened in the browser; the links to others are still asked.
        addresses: So many links and files beyond what pages loaded by themselves are asked.
        walk_s: Over opening all pages.
        links_s: Over asking all addresses.
    """

    pages: int = 20
    addresses: int = 500
    walk_s: float = 120.0
    links_s: float = 30.0
    visit: VisitLimits = field(default_factory=VisitLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """Every case of the walk, in the order of the pages, and the remarks."""

    cases: tuple[Case, ...]
    remarks: tuple[Remark, ...]


@dataclass(slots=True)
class _Walk:
    """What is known while pages are opened; it outlives a browser that had to be ended."""

    visits: list[Visit] = field(default_factory=list)
    statuses: dict[str, int | str] = field(default_factory=dict)
    unopened: int = 0


class SiteSuite:
    """One run of the built-in suite over one deployed address."""

    def __init__(
        self,
        url: str,
        *,
        limits: SuiteLimits,
        grep: str | None,
        list_only: bool,
        cancelled: Callable[[], bool],
    ) -> None:
        self._url = urldefrag(url).url
        self._limits = limits
        self._grep = grep
        self._list_only = list_only
        self._cancelled = cancelled
        self._walk = _Walk()

    def run(self, browser: Browser) -> SuiteResult:
        """Open the pages, ask the rest, judge.

        Raises:
            MissingProgramError, CancelledError, BrowserError: From the browser.
        """
        late = None
        self._url = self._home()
        try:
            browser.run(self._open_pages, timeout_s=self._limits.walk_s, cancelled=self._cancelled)
        except TimedOutError as error:
            late = Case(name="answers: in time", outcome=Outcome.FAILED, message=error.message)
        if not self._list_only:
            self._ask_addresses()
        cases = [case for case in self._judge() if matches(case.name, self._grep)]
        return SuiteResult(
            cases=tuple([*cases, late] if late else cases), remarks=tuple(self._remarks())
        )

    def _home(self) -> str:
        """Where the site really is: http may have become https, and example.org www.example.org."""
        try:
            limits = FetchLimits(read_bytes=0)
            final = fetch(self._url, limits=limits, cancelled=self._cancelled).url
        except NotReachedError:
            return self._url
        asked, found = (urlsplit(url).hostname or "" for url in (self._url, final))
        is_same = asked.removeprefix("www.") == found.removeprefix("www.")
        return urldefrag(final).url if is_same else self._url

    def _open_pages(self, warm: PlaywrightBrowser) -> None:
        """The browser's job; begins from nothing, since it is repeated when a browser dies."""
        self._walk = _Walk()
        thorough = not self._list_only
        waiting, known = deque([self._url]), {_page_key(self._url)}
        context, tab = new_tab(warm, origin=origin_of(self._url), limits=self._limits.visit)
        try:
            while waiting and len(self._walk.visits) < self._limits.pages:
                if self._cancelled():
                    raise CancelledError("The tests were cancelled.", remedy="Start them again.")
                visit = self._open_page(tab, waiting.popleft(), thorough=thorough)
                for target in self._next_pages(visit):
                    if _page_key(target) not in known:
                        known.add(_page_key(target))
                        waiting.append(target)
            self._walk.unopened = len(waiting)
        finally:
            with suppress(Error):
                context.close()

    def _open_page(self, tab: Tab, url: str, *, thorough: bool) -> Visit:
        visit = tab.visit(url, thorough=thorough)
        statuses = self._walk.statuses
        statuses.update(visit.answered)
        if visit.status_code is not None and self._is_internal(visit.url):
            statuses[url] = visit.status_code
        elif visit.fault:
            statuses.setdefault(url, "no answer")
        is_home = not self._walk.visits
        seen_before = any(earlier.url == visit.url for earlier in self._walk.visits)
        if is_home or (visit.is_page and not seen_before) or visit.fault:
            self._walk.visits.append(visit)
        return visit

    def _next_pages(self, visit: Visit) -> Iterator[str]:
        for link in visit.reading.links if visit.reading else ():
            url = urldefrag(link.url).url
            if self._is_internal(url) and _looks_like_page(url):
                yield url

    def _ask_addresses(self) -> None:
        """GET every internal address that no page has loaded by itself."""
        unknown = self._unknown_addresses()
        deadline = time.monotonic() + self._limits.links_s
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="check-links") as pool:
            for url, status in pool.map(lambda url: (url, self._ask(url, deadline)), unknown):
                if status is not None:
                    self._walk.statuses[url] = status

    def _unknown_addresses(self) -> list[str]:
        found: dict[str, None] = {}
        for visit in self._walk.visits:
            if visit.reading is None:
                continue
            links = [urldefrag(link.url).url for link in visit.reading.links]
            for url in [*links, *(urldefrag(asset).url for asset in visit.reading.assets)]:
                is_known = url in self._walk.statuses or is_icon(url, visit.reading.icons)
                if not is_known and self._is_internal(url):
                    found[url] = None
        return list(found)[: self._limits.addresses]

    def _ask(self, url: str, deadline: float) -> int | str | None:
        """A status, why there is none, or None when the time for asking is over."""
        left_s = min(10.0, deadline - time.monotonic())
        if left_s <= 0:
            return None
        limits = FetchLimits(timeout_s=left_s, read_bytes=0, within=origin_of(url))
        try:
            return fetch(url, limits=limits, cancelled=self._cancelled).status_code
        except NotReachedError:
            return "no answer"

    def _is_internal(self, url: str) -> bool:
        return urlsplit(url).scheme in {"http", "https"} and origin_of(url) == origin_of(self._url)

    def _judge(self) -> Iterator[Case]:
        for visit in self._walk.visits:
            if not visit.is_page:
                yield judge_answer(visit)
            elif self._list_only:
                yield from (Case(name=case_name(kind, visit.url)) for kind in KINDS)
            else:
                yield from judge_page(visit, self._walk.statuses)

    def _remarks(self) -> Iterator[Remark]:
        anchors = {visit.url: visit.reading.anchors for visit in self._walk.visits if visit.reading}
        for visit in self._walk.visits:
            yield from remarks(visit, anchors)
        if self._walk.unopened:
            text = f"only the first {self._limits.pages} pages were opened"
            yield Remark(name="pages", message=f"{text}, {self._walk.unopened} more were found")


def _looks_like_page(url: str) -> bool:
    last = path_of(url).partition("?")[0].rpartition("/")[2]
    return (last.rpartition(".")[2].lower() if "." in last else "") in _PAGE_ENDINGS


def _page_key(url: str) -> str:
    """`/` and `/index.html` are one page to open; the link to each is asked all the same."""
    head, _, query = url.partition("?")
    for index in _INDEXES:
        head = head.removesuffix(f"/{index}") + "/" if head.endswith(f"/{index}") else head
    return f"{head}?{query}" if query else head
