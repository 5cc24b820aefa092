"""Inside a session's pane: requests by file, answers by file, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.clock import wait_for
from core.files import write_atomically
from core.models.pane_request import PaneAnswer, PaneRequest
from core.paths import DataRoot, SessionPaths
from tests.unit.cli_program import Ended, call

USER, SESSION = "7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa", "sess_20260112_142233"

RUN: dict[str, Any] = {
    "execution_id": f"{USER}_{SESSION}", "user_id": USER, "session_id": SESSION, "deploy": 1,
    "url": "http://127.0.0.1:8123", "state": "completed", "steps": [],
}  # fmt: skip


@pytest.fixture
def paths(place: DataRoot) -> SessionPaths:
    found = place.session(USER, SESSION)
    for folder in found.folders():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def asked(
    paths: SessionPaths, line: list[str], answer: Callable[[PaneRequest], PaneAnswer]
) -> tuple[Ended, PaneRequest]:
    """Run the program in the pane with a worker that answers once."""
    taken: list[PaneRequest] = []

    def work() -> None:
        def waiting() -> Path | None:
            return next(iter(paths.requests.glob("*.json")), None)

        file = wait_for(waiting, deadline_s=30)
        assert file is not None
        request = msgspec.json.decode(file.read_bytes(), type=PaneRequest)
        assert file.name == f"{request.id}.json"
        file.unlink()
        taken.append(request)
        content = msgspec.json.encode(answer(request))
        write_atomically(paths.answers / f"{request.id}.json", content)

    worker = threading.Thread(target=work)
    worker.start()
    ended = call(*line, cwd=paths.source, TMUX_BUILDER_SESSION_DIR=str(paths.root))
    worker.join(timeout=30)
    return ended, taken[0]


def in_pane(paths: SessionPaths, *line: str) -> Ended:
    return call(*line, cwd=paths.source, TMUX_BUILDER_SESSION_DIR=str(paths.root))


def test_a_deploy_is_asked_for_and_its_url_is_the_last_line(
    place: DataRoot, paths: SessionPaths
) -> None:
    ended, request = asked(
        paths, ["deploy", "--skip-tests"],
        lambda one: PaneAnswer(id=one.id, ok=True, exit=0, data=RUN),
    )  # fmt: skip
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "http://127.0.0.1:8123")
    assert (request.verb, request.arguments) == ("deploy", {"skip_tests": True})
    assert not place.store.exists(), "the store is out of a pane's reach"


def test_a_deferred_deploy_says_so_and_prints_no_url(paths: SessionPaths) -> None:
    ended, _ = asked(
        paths, ["deploy"],
        lambda one: PaneAnswer(
            id=one.id, ok=True, exit=0, data={**RUN, "state": "running"},
            warnings=[{"code": "deferred", "message": "The pipeline deploys later."}],
        ),
    )  # fmt: skip
    assert (ended.code, ended.out) == (0, "")
    assert "The pipeline deploys later." in ended.err


def test_a_refusal_comes_back_with_its_exit_code_and_words(paths: SessionPaths) -> None:
    error: dict[str, str | bool | None] = {
        "code": "busy", "message": "A run goes on.", "fix": "tmux-builder status",
        "retryable": True,
    }  # fmt: skip
    ended, _ = asked(
        paths, ["rollback", "--to", "2", "--json"],
        lambda one: PaneAnswer(id=one.id, ok=False, exit=5, error=error),
    )  # fmt: skip
    assert ended.code == 5
    assert ended.document["error"] == error
    assert ended.document["command"] == "rollback"


def test_looks_at_the_site_are_printed_as_outside(paths: SessionPaths) -> None:
    seen = {"url": "u", "status": 200, "type": "text/html", "bytes": 18402, "ms": 41, "tries": 1}
    ended, request = asked(
        paths, ["check", "--retries", "1"],
        lambda one: PaneAnswer(id=one.id, ok=True, exit=0, data=seen),
    )  # fmt: skip
    assert ended.out == "ok 200 text/html 18402 B 41 ms\n"
    assert request.arguments == {"retries": 1, "min_bytes": None}
    tested = {"passed": 1, "failed": 1, "skipped": 0,
              "failures": [{"name": "menu", "message": "404", "log": ""}]}  # fmt: skip
    ended, _ = asked(
        paths, ["test"],
        lambda one: PaneAnswer(
            id=one.id, ok=False, exit=6, data=tested,
            error={"code": "e2e_failed", "message": "1 of 2", "fix": "mend", "retryable": True},
        ),
    )  # fmt: skip
    assert ended.code == 6
    assert ended.out.splitlines() == ["1/2", "failed: menu: 404"]


def test_nobody_answers_and_the_request_is_taken_back(paths: SessionPaths) -> None:
    ended = in_pane(paths, "status", "--timeout", "0.3", "--json")
    assert (ended.code, ended.document["error"]["code"]) == (5, "worker_down")
    assert list(paths.requests.iterdir()) == []


@pytest.mark.parametrize(
    "line", ["user list", "session send . hello", "destroy .", "worker", "config show", "report"]
)
def test_other_verbs_are_refused_in_a_pane(paths: SessionPaths, line: str) -> None:
    ended = in_pane(paths, *line.split(), "--json")
    assert ended.code == 2
    assert "from inside a session" in ended.document["error"]["message"]


@pytest.mark.parametrize(
    "line",
    ["deploy sess_20250101_000000", "deploy someone@example.org", "check - ", "deploy -n",
     "check --url http://127.0.0.1:1/"],
)  # fmt: skip
def test_a_pane_acts_on_its_own_session_only(paths: SessionPaths, line: str) -> None:
    ended = in_pane(paths, *line.split(), "--json")
    assert ended.code == 2
    assert list(paths.requests.iterdir()) == []


def test_an_answer_that_is_a_link_is_not_followed(paths: SessionPaths, tmp_path: Path) -> None:
    forged = tmp_path / "forged.json"

    def link(one: PaneRequest) -> PaneAnswer:
        answer = PaneAnswer(id=one.id, ok=True, exit=0, data=RUN)
        forged.write_bytes(msgspec.json.encode(answer))
        (paths.answers / f"{one.id}.json").symlink_to(forged)
        return answer

    def work() -> None:
        file = wait_for(lambda: next(iter(paths.requests.glob("*.json")), None), deadline_s=30)
        assert file is not None
        link(msgspec.json.decode(file.read_bytes(), type=PaneRequest))

    worker = threading.Thread(target=work)
    worker.start()
    ended = in_pane(paths, "deploy", "--timeout", "2", "--json")
    worker.join()
    assert ended.code in {5, 7}
    assert ended.document["data"] is None


def test_help_works_in_a_pane(paths: SessionPaths) -> None:
    assert in_pane(paths, "deploy", "--help").code == 0
