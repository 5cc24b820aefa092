"""The demo as a newcomer runs it: the installed program, headless, to a page that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.models.session import Session
from core.services.sessions import SessionFilter
from tests.contract.loop_kit import Answer, Loop, answers, get, marker, needs_claude, running_loop
from tui.demo import EMAIL, PHONE

pytestmark = [*needs_claude, pytest.mark.browser]


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def former(loop: Loop) -> Session:
    """A deployed session of the demo's user, as a demo of yesterday has left it."""
    user = loop.services.users.create(EMAIL, PHONE, start=False).user
    created = loop.services.sessions.create(user.user_id, start=False, simulated=True)
    loop.deploy(created.session.key, "Yesterday's bread")
    return loop.services.sessions.row(created.session.key).session


@pytest.fixture(scope="module")
def first(loop: Loop, former: Session) -> Answer:
    """One run of the demo, without a screen."""
    assert answers(str(former.url))
    return loop.cli("demo", "--no-tui")


def demo_sessions(loop: Loop, *, archived: bool = False) -> list[str]:
    page = loop.services.sessions.list(SessionFilter(archived=archived))
    return sorted(row.key.session_id for row in page.sessions)


def test_the_last_line_is_a_page_that_answers_after_the_command_has_ended(first: Answer) -> None:
    assert first.exit == 0, first
    assert first.out == f"{first.last_line}\n"
    assert b"Crumb &amp; Ember" in get(first.last_line)
    assert all(f"{n}/7" in first.err for n in range(1, 8))
    assert "scripted" in first.err


def test_the_wish_has_changed_the_page(loop: Loop, first: Answer) -> None:
    [row] = loop.services.sessions.list(SessionFilter()).sessions
    newest, oldest = loop.services.deploys.deploys(row.key)
    assert marker(first.last_line) == newest.release_id != oldest.release_id
    assert newest.files_changed == 1
    assert b"--band: #1d4f91" in get(first.last_line, "/style.css")
    assert (Path(row.path) / "deployment" / "tests" / "screenshot.png").stat().st_size > 1000


def test_a_demo_replaces_the_session_of_the_demo_before(
    loop: Loop, former: Session, first: Answer
) -> None:
    assert demo_sessions(loop, archived=True) == [former.key.session_id]
    assert former.key.session_id not in demo_sessions(loop)
    assert first.last_line == former.url or not answers(str(former.url))


def test_keep_leaves_it_and_json_gives_exactly_one_document(loop: Loop, first: Answer) -> None:
    [kept] = demo_sessions(loop)
    answer = loop.cli("demo", "--json", "--keep", "--speed", "fast")
    document = answer.document
    data = document["data"]
    assert (document["schema"], document["ok"], answer.exit) == ("tb/1", True, 0)
    assert data["simulated"] is True
    assert [step["state"] for step in data["steps"]] == ["ok"] * 7
    assert data["tests"]["failed"] == 0
    assert b"Crumb &amp; Ember" in get(data["url"])
    assert b"Crumb &amp; Ember" in get(first.last_line)
    assert data["url"] != first.last_line
    assert demo_sessions(loop) == sorted([kept, data["session_id"]])
    models = sorted(path.name for path in loop.runtime.path.glob("model-*.port"))
    assert models == ["model-static-fast.port", "model-static-normal.port"]
