"""The built-in end-to-end suite over real sites with planted faults, in the real browser."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser

from core.checks.browser import Browser
from core.checks.e2e import E2eOptions, run_e2e
from core.checks.page_visit import VisitLimits
from core.checks.site_suite import SuiteLimits
from core.errors import CancelledError, UsageError
from core.models.checks import CheckDocument
from core.models.execution import Json
from tests.site.checks_sites import Reply, Route, Site, page, shared_browser

pytestmark = pytest.mark.browser
PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
QUICK = E2eOptions(
    suite=SuiteLimits(visit=VisitLimits(load_s=3.0, question_s=3.0, quiet_s=0.3), walk_s=20)
)


def run(site: Site, options: E2eOptions | None = None) -> CheckDocument:
    return run_e2e(site.url, browser=shared_browser(), own_tests=None, options=options)


def rows(document: CheckDocument, key: str) -> dict[str, str]:
    """Failures or warnings, their messages by name."""
    found = document.details[key]
    assert isinstance(found, list)
    return {str(row["name"]): str(row["message"]) for row in found if isinstance(row, dict)}


def names(document: CheckDocument) -> list[Json]:
    found = document.details["tests"]
    assert isinstance(found, list)
    return found


def failures_of(home: Route, **more: Route) -> dict[str, str]:
    """What fails of a site with this home page and a good menu."""
    routes: dict[str, Route] = {"/menu.html": page("<h1>Menu</h1>"), "/": home}
    with Site(
        routes | {f"/{name.replace('_', '.')}": route for name, route in more.items()}
    ) as site:
        document = run(site, QUICK)
    failures = rows(document, "failures")
    assert document.passed == (not failures)
    return failures


def test_a_good_site_passes_every_case_on_every_page() -> None:
    with Site() as site:
        document = run(site)
    assert (document.passed, document.error) == (True, None)
    assert (document.details["passed"], document.details["failed"]) == (18, 0)
    assert {"links: /", "phone: /menu.html", "accessibility: /menu.html"} <= set(
        map(str, names(document))
    )
    assert document.details["warnings"] == []


def test_each_page_is_loaded_once() -> None:
    with Site() as site:
        site.routes["/"] = page('<h1>x</h1><a href="/index.html">home again</a>', menu=True)
        site.routes["/index.html"] = page()
        run(site)
        assert site.hits.count("/menu.html") == 1
        assert site.hits.count("/index.html") == 1


def test_a_broken_link_is_named_with_its_text_status_and_page() -> None:
    failures = failures_of(page('<h1>x</h1><a href="/contact.html">Contact us</a>'))
    assert failures == {
        "links: /": "expected every internal link to answer, "
        "got 404 for /contact.html (Contact us); page /"
    }


def test_a_link_to_a_file_that_is_no_page_is_asked_too() -> None:
    home = page('<h1>x</h1><a href="/list.pdf">List</a> <a href="/gone.pdf">Old list</a>')
    failures = failures_of(home, list_pdf=Reply(b"%PDF", kind="application/pdf"))
    assert list(failures) == ["links: /"]
    assert "404 for /gone.pdf (Old list)" in failures["links: /"]
    assert "/list.pdf" not in failures["links: /"]


@pytest.mark.parametrize(
    "html",
    [
        '<img src="/gone.png" alt="gone">',
        '<img loading="lazy" style="margin-top:9000px" src="/gone.png" alt="gone">',
        '<script src="/gone.png"></script>',
        f'<img src="{PICTURE}" srcset="{PICTURE} 1x, /gone.png 3x" alt="x">',
    ],
)
def test_a_missing_file_of_the_page_fails_once_as_an_asset(html: str) -> None:
    failures = failures_of(page(f"<h1>x</h1>{html}"))
    assert failures == {
        "assets: /": "expected every file of the page to answer, got 404 for /gone.png; page /"
    }


def test_a_request_that_gets_no_answer_fails() -> None:
    failures = failures_of(page('<h1>x</h1><img src="http://127.0.0.1:1/x.png" alt="x">'))
    assert list(failures) == ["assets: /"]
    assert "ERR_" in failures["assets: /"]


def test_a_missing_favicon_is_never_a_fault() -> None:
    icons = (
        '<link rel="icon" href="/icons/mine.png"><link rel="apple-touch-icon" href="/touch.png">'
    )
    script = "for (const path of ['/favicon.ico', '/icons/mine.png']) new Image().src = path"
    loads = f"<script>{script}</script>"
    assert failures_of(page(f"<h1>x</h1>{loads}", head=icons)) == {}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("console.error('the basket is empty')", "the basket is empty"),
        ("throw new TypeError('no such thing')", "uncaught TypeError: no such thing"),
        ("Promise.reject(new Error('late'))", "uncaught Error: late"),
        ("setTimeout(() => { missing(); }, 60)", "missing is not defined"),
    ],
)
def test_an_error_of_a_script_fails(script: str, words: str) -> None:
    failures = failures_of(page(f"<h1>x</h1><script>{script}</script>"))
    assert list(failures) == ["console: /"]
    assert words in failures["console: /"]


def test_a_warning_in_the_console_is_no_fault() -> None:
    assert failures_of(page("<h1>x</h1><script>console.warn('hm')</script>")) == {}


@pytest.mark.parametrize(
    ("home", "case"),
    [
        (page(title=" "), "title: /"),
        (page(lang=""), "lang: /"),
        (page(viewport=""), "viewport: /"),
    ],
)
def test_a_missing_head_entry_fails_as_its_own_case_only(home: Reply, case: str) -> None:
    assert list(failures_of(home)) == [case]


def test_sideways_scroll_on_a_phone_fails_and_names_the_element() -> None:
    wide = '<h1>x</h1><div id="banner" style="width:700px">wide</div>'
    failures = failures_of(page(wide))
    assert list(failures) == ["phone: /"]
    assert "no sideways scroll at 390 pixels" in failures["phone: /"]
    assert "div#banner" in failures["phone: /"]


def test_what_is_wide_only_on_a_desk_is_no_fault() -> None:
    css = "<style>.w{width:700px}@media(max-width:600px){.w{width:auto}}</style>"
    assert failures_of(page('<h1>x</h1><div class="w">fine</div>', head=css)) == {}


def test_a_picture_without_alt_is_a_critical_finding() -> None:
    failures = failures_of(page(f'<h1>x</h1><img src="{PICTURE}">'))
    assert list(failures) == ["accessibility: /"]
    assert "image-alt (critical, 1x) on img" in failures["accessibility: /"]


def test_a_lesser_finding_and_a_missing_anchor_are_warnings() -> None:
    home = page('<h1>x</h1><h4>skipped levels</h4><a href="/menu.html#soup">Soup</a>')
    with Site() as site:
        site.routes["/"] = home
        document = run(site)
    assert document.passed
    warnings = rows(document, "warnings")
    assert "heading-order" in warnings["accessibility: /"]
    assert "nothing on /menu.html is called #soup" in warnings["links: /"]


def test_links_elsewhere_are_left_alone() -> None:
    home = page(
        '<h1>x</h1><a href="http://127.0.0.1:1/x">Other</a> <a href="mailto:a@b.io">Mail</a> '
        '<a href="tel:+48123456789">Call</a> <a href="javascript:void 0">Do</a> '
        '<a href="#top">Up</a>'
    )
    assert failures_of(home) == {}


def test_a_redirect_of_the_home_page_is_followed() -> None:
    failures = failures_of(Reply(status=302, headers={"Location": "/menu.html"}))
    assert failures == {}


@pytest.mark.parametrize(
    ("home", "words"),
    [
        (Reply("<h1>Sorry</h1>", status=500), "status 500"),
        (Reply("{}", kind="application/json"), "no page but application/json"),
    ],
)
def test_a_home_page_that_is_none_is_the_one_failure(home: Reply, words: str) -> None:
    failures = failures_of(home)
    assert list(failures) == ["answers: /"]
    assert words in failures["answers: /"]


def test_a_linked_page_that_breaks_is_the_fault_of_the_link() -> None:
    failures = failures_of(page(menu=True), menu_html=Reply("<h1>x</h1>", status=500))
    assert list(failures) == ["links: /"]
    assert "500 for /menu.html (Menu)" in failures["links: /"]


def test_a_page_that_polls_forever_passes() -> None:
    polls = page("<h1>x</h1><script>setInterval(() => fetch('/poll.json'), 30)</script>")
    assert failures_of(polls, poll_json=Reply("{}", kind="application/json")) == {}


def test_a_file_that_never_comes_fails_its_page_and_the_others_are_tested() -> None:
    menu = page('<h1>Menu</h1><img src="/slow.png" alt="slow">')
    failures = failures_of(page(menu=True), menu_html=menu, slow_png=Reply(hangs=True))
    assert "still waiting for" in failures["answers: /menu.html"]
    assert "/slow.png" in failures["answers: /menu.html"]


def test_a_page_whose_script_never_ends_fails_and_the_others_are_tested() -> None:
    busy = "<script>setTimeout(() => { while (true); }, 20)</script>"
    home = page('<h1>x</h1><a href="/last.html">Last</a>', menu=True)
    failures = failures_of(home, menu_html=page(busy), last_html=page(title=""))
    assert set(failures) == {"answers: /menu.html", "title: /last.html"}


def test_a_page_that_lies_to_the_questions_fails_only_itself() -> None:
    liar = page("<script>Array.from = () => 7; Promise.prototype.then = null;</script>")
    failures = failures_of(page(menu=True), menu_html=liar)
    assert "answers: /menu.html" in failures


def test_a_big_site_is_walked_up_to_a_bound_and_says_so() -> None:
    links = "".join(f'<a href="/p{n}.html">Page {n}</a> ' for n in range(9))
    routes: dict[str, Route] = {f"/p{n}.html": page() for n in range(8)}
    routes |= {"/": page(f"<h1>x</h1>{links}"), "/menu.html": page()}
    with Site(routes) as site:
        document = run(site, E2eOptions(suite=SuiteLimits(pages=3)))
    assert "only the first 3 pages were opened" in rows(document, "warnings")["pages"]
    assert "404 for /p8.html" in rows(document, "failures")["links: /"]


def test_only_the_cases_asked_for_are_run_and_listed() -> None:
    with Site() as site:
        document = run(site, E2eOptions(grep="TITLE"))
        nothing = run(site, E2eOptions(grep="no such case"))
        listed = run(site, E2eOptions(list_only=True, grep="menu"))
    assert names(document) == ["title: /", "title: /menu.html"]
    assert (nothing.passed, nothing.error) == (False, "No test matches 'no such case'.")
    assert len(names(listed)) == 9


def test_the_error_counts_and_names_the_first_failure() -> None:
    with Site({"/": page(title="", lang="", menu=True), "/menu.html": page()}) as site:
        document = run(site)
    assert (document.error or "").startswith("2 of 18 tests failed: title: /: expected a title")


def test_a_browser_killed_between_two_runs_is_no_failure() -> None:
    def kill(warm: PlaywrightBrowser) -> None:
        answer = warm.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
        pid = next(one["id"] for one in answer["processInfo"] if one["type"] == "browser")
        os.kill(int(pid), signal.SIGKILL)

    with Site() as site:
        assert run(site).passed
        shared_browser().run(kill, timeout_s=10)
        assert run(site).passed


def test_without_chromium_the_document_is_skipped_with_the_remedy(tmp_path: Path) -> None:
    browser = Browser(environ={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    document = run_e2e("http://127.0.0.1:1/", browser=browser, own_tests=tmp_path)
    assert (document.passed, document.error) == (False, None)
    assert "playwright install chromium" in (document.skipped or "")
    browser.close()


def test_cancelling_is_raised() -> None:
    with Site() as site, pytest.raises(CancelledError):
        run_e2e(
            site.url,
            browser=shared_browser(),
            own_tests=None,
            cancelled=lambda: "/menu.html" in site.hits,
        )


def test_what_is_no_web_address_is_refused() -> None:
    with pytest.raises(UsageError):
        run_e2e("javascript:alert(1)", browser=shared_browser(), own_tests=None)
