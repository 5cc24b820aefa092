"""Finding a Chromium, and the warm browser's survival."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import playwright
import pytest
from playwright.sync_api import Browser as PlaywrightBrowser

from core.checks.browser import Browser, BrowserError
from core.checks.chromium import chromium_candidates, find_chromium
from core.errors import CancelledError, MissingProgramError, TimedOutError
from tests.site.checks_sites import Site, shared_browser

pytestmark = pytest.mark.browser


@pytest.fixture
def fresh() -> Iterator[Browser]:
    """One that a test may break."""
    browser = Browser()
    yield browser
    browser.close()


def version(warm: PlaywrightBrowser) -> str:
    return warm.version


def pid_of(warm: PlaywrightBrowser) -> int:
    answer = warm.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    return int(next(one["id"] for one in answer["processInfo"] if one["type"] == "browser"))


def hang(warm: PlaywrightBrowser) -> None:
    warm.new_page().evaluate("() => { while (true); }")


def program(folder: Path, name: str, text: str = "#!/bin/sh\nexit 3\n") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_programs_are_found_in_their_order_and_a_configured_one_comes_first(tmp_path: Path) -> None:
    for name in ("google-chrome", "chromium", "mine"):
        program(tmp_path, name)
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    environ["TMUX_BUILDER_CHROMIUM"] = str(tmp_path / "mine")
    found = [one.executable and one.executable.name for one in chromium_candidates(environ)]
    assert found == ["mine", "chromium", "google-chrome"]


def test_playwrights_own_build_is_preferred_when_it_is_complete(tmp_path: Path) -> None:
    program(tmp_path, "chromium")
    environ = {"PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "builds")}
    assert own_revision() and find_chromium(environ) is not None  # noqa: PT018 - one precondition
    build = tmp_path / "builds" / f"chromium_headless_shell-{own_revision()}"
    build.mkdir(parents=True)
    first = find_chromium(environ)
    assert first is not None
    assert first.executable is not None
    (build / "INSTALLATION_COMPLETE").touch()
    first = find_chromium(environ)
    assert first is not None
    assert (first.executable, first.own_builds) == (None, tmp_path / "builds")


def own_revision() -> str:
    listing = Path(playwright.__file__).parent / "driver" / "package" / "browsers.json"
    rows = json.loads(listing.read_text())["browsers"]
    return str(next(row["revision"] for row in rows if row["name"] == "chromium-headless-shell"))


def test_without_any_chromium_a_run_says_how_to_get_one(tmp_path: Path) -> None:
    browser = Browser(environ={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    with pytest.raises(MissingProgramError) as raised:
        browser.run(version, timeout_s=5)
    assert "playwright install chromium" in raised.value.remedy
    browser.close()


def test_a_chromium_that_does_not_start_gives_way_to_the_next(tmp_path: Path) -> None:
    broken = program(tmp_path, "broken")
    browser = Browser(environ={**os.environ, "TMUX_BUILDER_CHROMIUM": str(broken)})
    assert browser.run(version, timeout_s=5)
    assert browser.chromium().executable != broken
    browser.close()


def test_nothing_but_a_broken_chromium_is_named_in_the_error(tmp_path: Path) -> None:
    program(tmp_path, "chromium")
    browser = Browser(environ={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    with pytest.raises(MissingProgramError, match="chromium"):
        browser.run(version, timeout_s=5)
    browser.close()


def test_a_killed_browser_is_replaced_for_the_next_run(fresh: Browser) -> None:
    first = fresh.run(pid_of, timeout_s=10)
    os.kill(first, signal.SIGKILL)
    second = fresh.run(pid_of, timeout_s=10)
    assert second != first


def test_a_browser_killed_under_a_job_is_replaced_and_the_job_repeated(fresh: Browser) -> None:
    pids: list[int] = []

    def job(warm: PlaywrightBrowser) -> str:
        pids.append(pid_of(warm))
        if len(pids) == 1:
            os.kill(pids[0], signal.SIGKILL)
        page = warm.new_page()
        page.set_content("<title>alive</title>")
        return page.title()

    assert fresh.run(job, timeout_s=10) == "alive"
    assert len(set(pids)) == 2


def test_a_browser_that_dies_every_time_is_an_error_and_not_a_loop(fresh: Browser) -> None:
    def job(warm: PlaywrightBrowser) -> None:
        os.kill(pid_of(warm), signal.SIGKILL)
        warm.new_page()

    with pytest.raises(BrowserError, match="died"):
        fresh.run(job, timeout_s=10)
    assert fresh.run(version, timeout_s=10)


def test_a_killed_driver_is_replaced_for_the_next_run(fresh: Browser) -> None:
    before = children()
    fresh.run(version, timeout_s=10)
    (driver,) = children() - before
    os.kill(driver, signal.SIGKILL)
    assert fresh.run(version, timeout_s=10)


def children() -> set[int]:
    listing = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "node"],
        capture_output=True, text=True, check=False, timeout=10,
    )  # fmt: skip
    return {int(pid) for pid in listing.stdout.split()}


def test_a_job_that_hangs_is_ended_at_its_limit_and_the_next_one_runs(fresh: Browser) -> None:
    fresh.run(version, timeout_s=10)
    with pytest.raises(TimedOutError):
        fresh.run(hang, timeout_s=0.5)
    assert fresh.run(version, timeout_s=10)


def test_a_cancelled_job_is_ended(fresh: Browser) -> None:
    fresh.run(version, timeout_s=10)
    with pytest.raises(CancelledError):
        fresh.run(hang, timeout_s=20, cancelled=lambda: True)


def test_a_jobs_own_error_comes_back_and_a_playwright_error_is_translated() -> None:
    def own(_warm: PlaywrightBrowser) -> None:
        raise KeyError("mine")

    def theirs(warm: PlaywrightBrowser) -> None:
        warm.new_page().goto("http://127.0.0.1:1/")

    with pytest.raises(KeyError, match="mine"):
        shared_browser().run(own, timeout_s=10)
    with pytest.raises(BrowserError, match="The browser failed"):
        shared_browser().run(theirs, timeout_s=10)


def test_threads_share_the_browser_one_job_at_a_time() -> None:
    inside: list[int] = []
    titles: list[str] = []

    def job(warm: PlaywrightBrowser) -> str:
        inside.append(1)
        assert len(inside) == 1
        page = warm.new_page()
        page.goto(site.url)
        title = page.title()
        page.close()
        inside.pop()
        return title

    with Site() as site:
        threads = [
            threading.Thread(target=lambda: titles.append(shared_browser().run(job, timeout_s=20)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert titles == ["A site"] * 4


def test_a_closed_browser_starts_again_when_it_is_asked(fresh: Browser) -> None:
    fresh.warm_up()
    first = fresh.run(pid_of, timeout_s=10)
    fresh.close()
    assert fresh.run(pid_of, timeout_s=10) != first


def test_the_browser_gets_no_secret_of_the_environment() -> None:
    browser = Browser(environ={**os.environ, "ANTHROPIC_API_KEY": "sk-secret"})
    pid = browser.run(pid_of, timeout_s=10)
    environment = Path(f"/proc/{pid}/environ")
    if not environment.exists():
        pytest.skip("no /proc here")
    assert b"sk-secret" not in environment.read_bytes()
    browser.close()
