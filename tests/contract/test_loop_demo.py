"""The demo as a newcomer runs it: the installed program, headless, to a page that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.services.sessions import SessionFilter
from tests.contract.loop_kit import Answer, Loop, answers, get, marker, needs_claude, running_loop

pytestmark = [*needs_claude, pytest.mark.browser]


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def first(loop: Loop) -> Answer:
    """One run of the demo, without a screen."""
    return loop.cli("demo", "--no-tui")


def demo_sessions(loop: Loop, *, archived: bool = False) -> list[str]:
    page = loop.services.sessions.list(SessionFilter(archived=archived))
    return sorted(row.key.session_id for row in page.sessions)


def test_the_last_line_is_a_page_that_answers_after_the_command_has_ended(
    loop: Loop, first: Answer
) -> None:
    assert first.exit == 0, first
    assert first.out == f"{first.last_line}\n"
    assert b"Crumb &amp; Ember" in get(first.last_line)
    assert all(f"{n}/7" in first.err for n in range(1, 8))
    assert "scripted" in first.err
    assert len(demo_sessions(loop)) == 1


def test_the_wish_has_changed_the_page(loop: Loop, first: Answer) -> None:
    row = loop.services.sessions.list(SessionFilter()).sessions[0]
    newest, oldest = loop.services.deploys.deploys(row.key)
    assert marker(first.last_line) == newest.release_id != oldest.release_id
    assert newest.files_changed == 1
    assert b"--band: #1d4f91" in get(first.last_line, "/style.css")
    assert (Path(row.path) / "deployment" / "tests" / "screenshot.png").stat().st_size > 1000


def test_the_next_demo_replaces_the_session_and_gives_one_document(
    loop: Loop, first: Answer
) -> None:
    [former] = demo_sessions(loop)
    answer = loop.cli("demo", "--json")
    document = answer.document
    data = document["data"]
    assert (document["schema"], document["ok"], answer.exit) == ("tb/1", True, 0)
    assert data["simulated"] is True
    assert [step["state"] for step in data["steps"]] == ["ok"] * 7
    assert b"Crumb &amp; Ember" in get(data["url"])
    assert demo_sessions(loop) == [data["session_id"]]
    assert demo_sessions(loop, archived=True) == [former]
    assert not answers(first.last_line) or first.last_line == data["url"]


def test_keep_leaves_the_session_of_the_demo_before(loop: Loop, first: Answer) -> None:
    [kept] = demo_sessions(loop)
    url = loop.services.sessions.list(SessionFilter()).sessions[0].session.url
    answer = loop.cli("demo", "--no-tui", "--keep")
    assert answer.exit == 0, answer
    assert answer.last_line != url
    assert url is not None
    assert answers(url)
    assert answers(answer.last_line)
    assert kept in demo_sessions(loop)
    assert len(demo_sessions(loop)) == 2
