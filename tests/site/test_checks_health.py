"""The health check against real HTTP on loopback."""

from __future__ import annotations

import socket
import threading

import pytest

from core.checks.health import HealthOptions, check_health
from core.errors import CancelledError, UsageError
from core.models.checks import CheckDocument
from core.models.release import MARKER_PATH
from tests.site.checks_sites import QuickClock, Reply, Route, Site, page

MARKER = f"/{MARKER_PATH}"
QUICK = HealthOptions(timeout_s=0.6, tries=2)


def look(
    site: Site, expected: str | None = None, options: HealthOptions | None = None
) -> CheckDocument:
    return check_health(site.url, expected_release=expected, options=options, clock=QuickClock())


def test_a_good_page_with_its_marker_passes_at_the_first_try() -> None:
    with Site() as site:
        site.routes[MARKER] = Reply("rel-2", kind="text/plain")
        document = look(site, "rel-2")
    assert (document.passed, document.attempts, document.error) == (True, 1, None)
    assert document.details["status_code"] == 200
    assert document.details["content_type"] == "text/html; charset=utf-8"
    assert document.details["release"] == "rel-2"
    size = document.details["response_size_bytes"]
    assert isinstance(size, int)
    assert size > 100


def test_no_expected_release_asks_for_no_marker() -> None:
    with Site() as site:
        assert look(site).passed
        assert MARKER not in site.hits


def test_the_old_marker_is_asked_again_until_it_is_the_new_one() -> None:
    def marker(before: int) -> Reply:
        return Reply("new" if before == 1 else "old", kind="text/plain")

    with Site() as site:
        site.routes[MARKER] = marker
        document = look(site, "new")
    assert (document.passed, document.attempts) == (True, 2)


def test_a_marker_that_stays_old_fails_after_three_tries_two_seconds_apart() -> None:
    clock = QuickClock()
    with Site() as site:
        site.routes[MARKER] = Reply("old", kind="text/plain")
        document = check_health(site.url, expected_release="new", clock=clock)
    assert (document.passed, document.attempts) == (False, 3)
    assert clock.slept_s == pytest.approx(4.0)
    assert "still serves release 'old', expected 'new'" in (document.error or "")


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_cdn_that_has_not_caught_up_is_asked_again(status: int) -> None:
    def home(before: int) -> Reply:
        return page() if before else Reply("wait", status=status)

    with Site({"/": home}) as site:
        document = look(site)
    assert (document.passed, document.attempts) == (True, 2)


def test_a_status_that_will_not_change_is_not_asked_again() -> None:
    with Site({"/": Reply("gone", status=410)}) as site:
        document = look(site)
    assert (document.passed, document.attempts) == (False, 1)
    assert document.error == f"{site.url} answered 410, expected 200."


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply("{}" * 100, kind="application/json"), "is application/json, expected text/html"),
        (Reply("<p>little</p>"), "has 13 bytes, expected more than 100"),
        (Reply("x" * 100), "has 100 bytes, expected more than 100"),
        (Reply(""), "has 0 bytes"),
    ],
)
def test_a_wrong_page_fails_and_says_what_it_is(reply: Reply, words: str) -> None:
    with Site({"/": reply}) as site:
        document = look(site)
    assert (document.passed, document.attempts) == (False, 1)
    assert words in (document.error or "")


def test_a_redirect_is_followed_and_told() -> None:
    routes: dict[str, Route] = {
        "/": Reply(status=302, headers={"Location": "/en/"}),
        "/en/": page(),
    }
    with Site(routes) as site:
        document = look(site)
    assert document.passed
    assert document.details["final_url"] == f"{site.url}en/"


@pytest.mark.parametrize("target", ["/", "file:///etc/passwd", "http://[broken/"])
def test_a_redirect_to_nowhere_fails_with_a_sentence(target: str) -> None:
    with Site({"/": Reply(status=302, headers={"Location": target})}) as site:
        document = look(site, options=QUICK)
    assert not document.passed
    assert "redirects" in (document.error or "")


@pytest.mark.parametrize("reply", [Reply(hangs=True), Reply(drips=True)])
def test_an_endless_answer_is_cut_at_the_limit_and_tried_again(reply: Reply) -> None:
    with Site({"/": reply}) as site:
        document = look(site, options=QUICK)
    assert (document.passed, document.attempts) == (False, 2)
    assert document.error == f"{site.url} did not answer within 0.6 s."
    assert document.duration_ms < 10_000


def test_a_cut_answer_leaves_no_thread_behind() -> None:
    with Site({"/": Reply(drips=True)}) as site:
        look(site, options=QUICK)
        left = [thread for thread in threading.enumerate() if thread.name == "check-get"]
        for thread in left:
            thread.join(5)
        assert not any(thread.is_alive() for thread in left)


def test_a_closed_port_is_a_failed_document_with_no_status() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        document = check_health(url, expected_release=None, clock=QuickClock())
    assert (document.passed, document.attempts) == (False, 3)
    assert document.error == f"{url} refused the connection."
    assert document.details["status_code"] is None


def test_reading_stops_at_the_limit() -> None:
    with Site({"/": Reply(b"x" * 5_000_000)}) as site:
        document = look(site, options=HealthOptions(max_bytes=200_000))
    assert document.passed
    size = document.details["response_size_bytes"]
    assert isinstance(size, int)
    assert 200_000 <= size < 1_000_000


def test_cancelling_ends_the_wait_between_tries() -> None:
    with Site({"/": Reply(status=500)}) as site, pytest.raises(CancelledError):
        check_health(site.url, expected_release=None, cancelled=lambda: bool(site.hits))


def test_cancelling_ends_a_get_that_hangs() -> None:
    with Site({"/": Reply(hangs=True)}) as site, pytest.raises(CancelledError):
        check_health(site.url, expected_release=None, cancelled=lambda: bool(site.hits))


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://x", "http://", "http://[x"])
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        check_health(url, expected_release=None)


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Site() as site:
        assert look(site).passed
