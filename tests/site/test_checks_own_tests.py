"""A session's own tests: run by the real pytest and browser, contained, and hostile ones too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.checks.chromium import find_chromium
from core.checks.e2e import E2eOptions, run_e2e
from core.checks.own_test_files import copy_own_tests
from core.checks.own_tests import OwnResult, OwnTestsOptions, OwnTestsRun
from core.errors import CancelledError
from core.sandbox import has_bubblewrap
from tests.site.checks_sites import Site, shared_browser

pytestmark = pytest.mark.browser
contained = pytest.mark.skipif(not has_bubblewrap(), reason="no bubblewrap here")


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "e2e" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "e2e"


def run(
    folder: Path, url: str = "http://127.0.0.1:1/", options: OwnTestsOptions | None = None
) -> OwnResult:
    chromium = find_chromium(os.environ)
    assert chromium is not None
    own = OwnTestsRun(folder, url=url, chromium=chromium, options=options or OwnTestsOptions())
    try:
        own.start()
        return own.finish(lambda: False)
    finally:
        own.close()


def outcomes(result: OwnResult) -> dict[str, str]:
    return {case.name: case.outcome.value for case in result.cases}


def log_of(result: OwnResult) -> str:
    return "\n".join(f"{case.message}\n{case.log}" for case in result.cases)


@contained
def test_own_tests_drive_the_deployed_site_and_every_failure_has_its_text(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "helper.py": "WORDS = 'Welcome'\n",
            "test_site.py": (
                "import pytest\n"
                "from helper import WORDS\n"
                "from playwright.sync_api import Page, expect\n"
                "def test_welcome(page: Page):\n"
                "    page.goto('/'); expect(page.locator('h1')).to_have_text(WORDS)\n"
                "def test_price(page: Page):\n"
                "    page.goto('/menu.html')\n"
                "    assert page.title() == 'Prices', 'the menu has no prices'\n"
                "@pytest.mark.skip(reason='later')\n"
                "def test_later(): pass\n"
            ),
        },
    )
    with Site() as site:
        document = run_e2e(site.url, browser=shared_browser(), own_tests=folder)
    assert (document.details["passed"], document.details["failed"]) == (19, 1)
    assert document.details["skipped"] == 1
    failures = document.details["failures"]
    assert isinstance(failures, list)
    (failure,) = failures
    assert isinstance(failure, dict)
    assert failure["name"] == "own: test_site.py::test_price"
    assert "the menu has no prices" in str(failure["message"])
    assert "test_site.py:8" in str(failure["log"])
    assert "test_price" in (document.error or "")


@contained
def test_own_tests_can_be_listed_and_chosen(tmp_path: Path) -> None:
    folder = write(tmp_path, {"test_a.py": "def test_one(): pass\ndef test_two(): assert 0\n"})
    with Site() as site:
        listed = run(folder, site.url, OwnTestsOptions(list_only=True))
        chosen = run(folder, site.url, OwnTestsOptions(grep="ONE"))
    assert list(outcomes(listed)) == ["own: test_a.py::test_one", "own: test_a.py::test_two"]
    assert outcomes(chosen) == {"own: test_a.py::test_one": "passed"}


@contained
def test_a_test_that_never_ends_is_cut_off_and_the_next_one_runs(tmp_path: Path) -> None:
    folder = write(
        tmp_path, {"test_a.py": "def test_loop():\n    while True: pass\ndef test_next(): pass\n"}
    )
    result = run(folder, options=OwnTestsOptions(test_limit_s=0.5))
    assert outcomes(result) == {
        "own: test_a.py::test_loop": "failed",
        "own: test_a.py::test_next": "passed",
    }
    assert "took longer than 0.5 s" in log_of(result)


@contained
def test_a_test_that_ignores_its_limit_is_ended_with_the_whole_run(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "test_a.py": "def test_good(): pass\n",
            "test_b.py": (
                "import signal\n"
                "def test_stubborn():\n"
                "    signal.setitimer(signal.ITIMER_REAL, 0)\n"
                "    while True: pass\n"
                "def test_last(): pass\n"
            ),
        },
    )
    result = run(folder, options=OwnTestsOptions(limit_s=4, test_limit_s=1))
    assert result.state == "stopped"
    found = {case.name: (case.outcome.value, case.message) for case in result.cases}
    assert found == {
        "own: test_a.py::test_good": ("passed", ""),
        "own: test_b.py::test_stubborn": ("failed", "did not end"),
        "own: test_b.py::test_last": ("failed", "was not run"),
    }


@contained
def test_a_test_that_leaves_the_process_early_is_a_failure(tmp_path: Path) -> None:
    folder = write(tmp_path, {"test_a.py": "import os\ndef test_exit(): os._exit(0)\n"})
    assert outcomes(run(folder)) == {"own: test_a.py::test_exit": "failed"}


@contained
def test_a_test_that_cannot_be_imported_is_a_failure_with_its_text(tmp_path: Path) -> None:
    result = run(write(tmp_path, {"test_a.py": "import nothing_of_that_name\n"}))
    assert set(outcomes(result).values()) == {"failed"}
    assert "nothing_of_that_name" in log_of(result)


@contained
def test_a_test_sees_no_other_file_no_variable_and_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    secret = tmp_path / "state.sqlite"
    secret.write_text("secret")
    folder = write(
        tmp_path,
        {
            "test_a.py": (
                "import os, pathlib\n"
                f"def test_file(): pathlib.Path({str(secret)!r}).read_text()\n"
                f"def test_parent(): assert {secret.name!r} in os.listdir({str(tmp_path)!r})\n"
                "def test_variable(): assert 'ANTHROPIC_API_KEY' in os.environ\n"
                f"def test_process(): os.kill({os.getpid()}, 0)\n"
                "def test_write(): pathlib.Path(__file__).write_text('changed')\n"
                f"def test_home(): os.listdir({str(Path.home())!r} + '/.ssh')\n"
            )
        },
    )
    result = run(folder)
    assert set(outcomes(result).values()) == {"failed"}
    assert len(result.cases) == 6


@contained
def test_a_flood_of_output_is_kept_bounded(tmp_path: Path) -> None:
    text = "import os\ndef test_flood():\n    for _ in range(3000): os.write(2, b'x' * 10000)\n"
    folder = write(tmp_path, {"test_a.py": text, "pytest.ini": "[pytest]\naddopts = -s\n"})
    result = run(folder)
    assert len(result.output) < 40_000


def test_a_folder_without_tests_starts_nothing(tmp_path: Path) -> None:
    assert run(tmp_path / "e2e").state == "none"
    assert run(write(tmp_path, {"notes.txt": "later"})).state == "none"


def test_links_and_devices_are_left_out_and_told(tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("SECRET = 1\n")
    folder = write(tmp_path, {"test_a.py": "def test_a(): pass\n", "deep/test_b.py": ""})
    (folder / "test_link.py").symlink_to(secret)
    (folder / "outside").symlink_to(tmp_path)
    os.mkfifo(folder / "test_pipe.py")
    private = tmp_path / "copy"
    private.mkdir()
    copied = copy_own_tests(folder, private)
    assert copied.files == ("deep/test_b.py", "test_a.py")
    assert set(copied.left_out) == {"outside", "test_link.py", "test_pipe.py"}
    assert not list(private.rglob("secret*"))


def test_a_test_folder_that_is_a_link_has_no_tests(tmp_path: Path) -> None:
    write(tmp_path / "other", {"test_a.py": "def test_a(): pass\n"})
    (tmp_path / "e2e").symlink_to(tmp_path / "other" / "e2e")
    private = tmp_path / "copy"
    private.mkdir()
    assert copy_own_tests(tmp_path / "e2e", private).files == ()


def test_too_many_and_too_large_files_are_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path, {f"test_{n:03}.py": "" for n in range(205)})
    (folder / "big.bin").write_bytes(b"x" * (3 * 1024 * 1024))
    private = tmp_path / "copy"
    private.mkdir()
    copied = copy_own_tests(folder, private)
    assert len(copied.files) == 200
    assert "big.bin" in copied.left_out
    assert len(copied.left_out) == 6


def test_without_bubblewrap_own_tests_are_skipped_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, {"test_a.py": "def test_a(): assert 0\n"})
    browser = shared_browser()
    browser.chromium()
    monkeypatch.setenv("PATH", str(tmp_path))
    with Site() as site:
        document = run_e2e(site.url, browser=browser, own_tests=folder)
    assert document.passed
    assert document.details["skipped"] == 1
    assert "apt-get install bubblewrap" in str(document.details["warnings"])


def test_the_operators_word_runs_them_uncontained(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "test_a.py": "def test_a(page):\n"
            "    page.goto('/')\n    assert page.title() == 'A site'\n"
        },
    )
    options = E2eOptions(contained=False, grep="own:")
    with Site() as site:
        document = run_e2e(site.url, browser=shared_browser(), own_tests=folder, options=options)
    assert document.details["tests"] == ["own: test_a.py::test_a"]
    assert document.passed, document.error


@contained
def test_cancelling_ends_the_process_and_leaves_no_copy(tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("tmux-builder-e2e-*"))
    folder = write(tmp_path, {"test_a.py": "def test_loop():\n    while True: pass\n"})
    chromium = find_chromium(os.environ)
    assert chromium is not None
    own = OwnTestsRun(
        folder, url="http://127.0.0.1:1/", chromium=chromium, options=OwnTestsOptions()
    )
    own.start()
    with pytest.raises(CancelledError):
        own.finish(lambda: True)
    assert set(Path(tempfile.gettempdir()).glob("tmux-builder-e2e-*")) == before
