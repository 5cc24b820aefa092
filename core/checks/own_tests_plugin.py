"""A pytest plugin that goes into the sandbox with a session's own tests and imports nothing else.

It starts the browser that the product chose, limits each test's time, and writes one line of JSON
per event, so that a run that is cut off still tells which tests ended and which one hung.
`settings.json` beside it says how.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

_LOG_CHARACTERS = 8000


@cache
def _settings() -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(Path(__file__).with_name("settings.json").read_text())
    return settings


def _tell(event: str, name: str, message: str = "", log: str = "") -> None:
    line = {"event": event, "name": _plain(name), "message": message[:500]}
    line["log"] = log[-_LOG_CHARACTERS:]
    with Path(_settings()["results"]).open("a", encoding="utf-8", errors="replace") as results:
        results.write(json.dumps(line) + "\n")


def _plain(name: str) -> str:
    return name.replace("[chromium]", "").replace("[chromium-", "[")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """The product's browser; the sandbox around the whole process replaces the browser's own."""
    return {
        "executable_path": _settings()["executable"],
        "args": _settings()["arguments"],
        "chromium_sandbox": False,
    }


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests whose name holds the text asked for."""
    wanted = (_settings()["grep"] or "").lower()
    left_out = [item for item in items if wanted not in f"own: {_plain(item.nodeid)}".lower()]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        _tell("collected", item.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _tell("failed", report.nodeid or "collection", "cannot be collected", report.longreprtext)


def pytest_runtest_logstart(nodeid: str) -> None:
    _tell("started", nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _tell("failed", report.nodeid, _message(report), report.longreprtext)
    elif report.skipped:
        _tell("skipped", report.nodeid, _message(report))
    elif report.when == "call":
        _tell("passed", report.nodeid)


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Interrupt a test at its limit, wherever its own code is."""

    def late(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"took longer than {_settings()['test_limit_s']:g} s")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, _settings()["test_limit_s"])
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
