"""A program as a site: written by Claude, run contained, restarted, changed and rolled back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.models.states import ExecutionStatus
from tests.contract.loop_kit import (
    Loop,
    answers,
    children,
    get,
    marker,
    needs_claude,
    running_loop,
)

pytestmark = [*needs_claude, pytest.mark.browser]


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


def app_pid(loop: Loop) -> int | None:
    """The site's own program, somewhere below the local host."""
    host = loop.host_pid()
    waiting = [] if host is None else children(host)
    while waiting:
        pid = waiting.pop()
        waiting += children(pid)
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"python3\0app.py"):
                return pid
    return None


def test_a_dynamic_site_lives_through_the_whole_pipeline_a_crash_and_a_rollback(loop: Loop) -> None:
    key = loop.session(site_type="dynamic")
    first = loop.run(key, from_step=1)
    url = str(first.result["url"])
    release, style = marker(url), get(url, "/style.css")
    assert b"Guest book" in get(url)
    assert get(url, "/health") == b"ok\n"
    tests = first.result["tests"]
    assert isinstance(tests, dict)
    assert tests["failed"] == 0

    pid = loop.until(lambda: app_pid(loop), "the program's process")
    os.kill(pid, signal.SIGKILL)
    loop.until(lambda: app_pid(loop) not in {None, pid}, "another process of the program")
    loop.until(lambda: answers(url, "/health"), "an answer after the crash")

    loop.ask(key, "Make the header green.")
    second = loop.run(key, to_step=5)
    assert (second.result["url"], marker(url) != release) == (url, True)
    assert get(url, "/style.css") != style

    back = loop.wait(loop.services.deploys.rollback(key).execution_id)
    assert back.status is ExecutionStatus.COMPLETED, loop.told(back.execution_id)
    assert (marker(url), get(url, "/style.css")) == (release, style)

    loop.services.deploys.destroy(key, key.session_id, 30)
    assert app_pid(loop) is None
    assert not answers(url)
