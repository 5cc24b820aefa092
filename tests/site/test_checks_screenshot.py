"""Screenshots of real pages with the real browser."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from PIL import Image

from core.checks.browser import Browser
from core.checks.screenshot import ScreenshotOptions, take_screenshots
from core.errors import CancelledError, StorageError
from core.models.checks import CheckDocument
from tests.site.checks_sites import Reply, Route, Site, page, shared_browser

pytestmark = pytest.mark.browser
QUICK = ScreenshotOptions(load_limit_s=1.0, idle_limit_s=0.8)


def shoot(site: Site, folder: Path, options: ScreenshotOptions | None = None) -> CheckDocument:
    return take_screenshots(site.url, browser=shared_browser(), folder=folder, options=options)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_a_page_gives_three_private_pictures_of_the_right_sizes(tmp_path: Path) -> None:
    with Site() as site:
        document = shoot(site, tmp_path)
    assert document.passed
    assert document.details["waited_for"] == "networkidle"
    assert document.details["viewport"] == {"width": 1920, "height": 1080}
    assert document.details["path"] == str(tmp_path / "screenshot.png")
    assert size(tmp_path / "screenshot.png") == (1920, 1080)
    assert size(tmp_path / "screenshot_thumb.png") == (400, 225)
    assert size(tmp_path / "screenshot_phone.png") == (390, 844)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3, "no temporary file is left"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_picture_shows_the_page(tmp_path: Path) -> None:
    red = "<style>body{margin:0;background:#ff0000}</style>"
    with Site({"/": page("<h1>Red</h1>", head=red)}) as site:
        shoot(site, tmp_path)
    for name in ("screenshot.png", "screenshot_thumb.png", "screenshot_phone.png"):
        with Image.open(tmp_path / name) as picture:
            corner = (picture.width - 2, picture.height - 2)
            assert picture.convert("RGB").getpixel(corner) == (255, 0, 0)


def test_a_long_page_is_taken_whole_and_its_thumbnail_shows_the_top(tmp_path: Path) -> None:
    tall = page('<div style="height:5000px">long</div>')
    with Site({"/": tall}) as site:
        document = shoot(site, tmp_path)
    assert size(tmp_path / "screenshot.png")[1] > 5000
    assert document.details["cut"] is False
    assert size(tmp_path / "screenshot_thumb.png") == (400, 225)


def test_a_giant_page_is_cut(tmp_path: Path) -> None:
    giant = page('<div style="height:300000px;width:90000px">big</div>')
    with Site({"/": giant}) as site:
        document = shoot(site, tmp_path)
    assert document.passed
    assert document.details["cut"] is True
    assert size(tmp_path / "screenshot.png") == (1920, 16384)


def test_pictures_below_the_fold_are_loaded(tmp_path: Path) -> None:
    below = '<div style="height:9000px"></div><img loading="lazy" src="/late.png" alt="late">'
    with Site({"/": page(below)}) as site:
        shoot(site, tmp_path)
        assert "/late.png" in site.hits


def test_the_first_screen_alone_can_be_asked_for(tmp_path: Path) -> None:
    tall = page('<div style="height:5000px">long</div>')
    with Site({"/": tall}) as site:
        shoot(site, tmp_path, ScreenshotOptions(width=800, height=600, full_page=False))
    assert size(tmp_path / "screenshot.png") == (800, 600)


def test_a_page_that_polls_forever_is_taken_after_load(tmp_path: Path) -> None:
    polls = page("<h1>x</h1><script>setInterval(() => fetch('/poll'), 50)</script>")
    with Site({"/": polls, "/poll": Reply("{}", kind="application/json")}) as site:
        document = shoot(site, tmp_path, QUICK)
    assert (document.passed, document.details["waited_for"]) == (True, "load")


def test_a_page_that_never_finishes_loading_fails_but_leaves_its_picture(tmp_path: Path) -> None:
    routes: dict[str, Route] = {
        "/": page('<h1>x</h1><img src="/never.png" alt="never">'),
        "/never.png": Reply(hangs=True),
    }
    with Site(routes) as site:
        document = shoot(site, tmp_path, QUICK)
    assert not document.passed
    assert "did not finish loading within 1 s" in (document.error or "")
    assert (tmp_path / "screenshot.png").exists()


def test_a_page_whose_script_hangs_is_given_up_and_the_next_page_works(tmp_path: Path) -> None:
    with Site({"/": page("<script>while (true);</script>")}) as site:
        document = shoot(site, tmp_path, ScreenshotOptions(timeout_s=3, load_limit_s=1))
    assert not document.passed
    assert document.error
    assert not list(tmp_path.iterdir())
    with Site() as site:
        assert shoot(site, tmp_path).passed


def test_an_error_page_is_no_proof(tmp_path: Path) -> None:
    with Site({"/": Reply("<h1>Sorry</h1>", status=500)}) as site:
        document = shoot(site, tmp_path)
    assert not document.passed
    assert "answered 500" in (document.error or "")


def test_an_address_that_refuses_is_a_failed_document(tmp_path: Path) -> None:
    with Site() as site:
        url = site.url
    document = take_screenshots(url, browser=shared_browser(), folder=tmp_path)
    assert not document.passed
    assert "ERR_CONNECTION_REFUSED" in (document.error or "")


def test_without_chromium_the_document_is_skipped_with_the_remedy(tmp_path: Path) -> None:
    browser = Browser(environ={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    document = take_screenshots("http://127.0.0.1:1/", browser=browser, folder=tmp_path)
    assert not document.passed
    assert document.error is None
    assert "playwright install chromium" in (document.skipped or "")
    browser.close()


def test_a_cancelled_screenshot_is_raised(tmp_path: Path) -> None:
    with Site({"/": Reply(hangs=True)}) as site, pytest.raises(CancelledError):
        take_screenshots(
            site.url,
            browser=shared_browser(),
            folder=tmp_path,
            cancelled=lambda: bool(site.hits),
        )


def test_a_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with Site() as site, pytest.raises(StorageError):
        shoot(site, tmp_path / "gone")
