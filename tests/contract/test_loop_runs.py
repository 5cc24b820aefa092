"""Runs as an operator handles them: refuse, cancel, retry, roll back, destroy, change nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from core.errors import ConfirmationNeededError, ConflictError
from core.hosts.local_server.layout import SiteFolder
from core.models.states import AgentState, ExecutionStatus, StepState, TurnOutcome
from tests.contract.loop_kit import (
    BRIEF,
    Loop,
    answers,
    get,
    main_prompts,
    marker,
    needs_claude,
    running_loop,
    site_turn,
)

pytestmark = needs_claude


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


def test_a_cancelled_run_interrupts_claude_and_later_deploys_work(loop: Loop) -> None:
    model = loop.model(site_turn(delay_s=30.0))
    key = loop.session(model)
    execution_id = loop.start(key, from_step=1)
    loop.until(lambda: main_prompts(model, BRIEF), "the brief at the model")

    with pytest.raises(ConflictError):
        loop.start(key, from_step=1)
    second = loop.cli("deploy", key.session_id, "--from", "1", "--json")
    assert (second.exit, second.document["error"]["code"]) == (5, "busy")

    loop.services.deploys.cancel(execution_id)
    execution = loop.wait(execution_id, 20)
    assert execution.status is ExecutionStatus.CANCELLED, loop.told(execution_id)
    states = [step.state for step in loop.services.deploys.steps(execution_id)]
    assert states == [StepState.OK] * 2 + [StepState.CANCELLED] * 5
    agents = loop.services.environment.store.agents
    loop.until(lambda: agents.get(key).state is AgentState.IDLE, "Claude at its prompt")
    [prompt] = loop.services.chat.prompts(key)
    turn = loop.until(lambda: loop.services.chat.turn(prompt.prompt_id), "the turn")
    assert turn.outcome is TurnOutcome.INTERRUPTED
    assert not (loop.paths(key).source / "index.html").exists()

    later = loop.deploy(key, "Made by hand")
    assert b"Made by hand" in get(str(later.result["url"]))


def test_a_retry_goes_on_at_the_step_that_failed(loop: Loop) -> None:
    key = loop.session()
    source = loop.paths(key).source
    (source / "index.html").write_text("<html>tiny</html>")
    failed = loop.wait(loop.start(key, to_step=5))
    assert failed.status is ExecutionStatus.FAILED
    assert failed.error_code == "health_failed"
    assert int(loop.services.status.exit_code(failed.execution_id)) == 6

    loop.put_page(key)
    loop.run(key, to_step=4)
    retried = loop.wait(loop.services.deploys.retry(failed.execution_id).execution_id)
    assert retried.status is ExecutionStatus.COMPLETED, loop.told(retried.execution_id)
    assert (retried.from_step, retried.to_step) == (5, 5)
    tries = [step.tries for step in loop.services.deploys.steps(retried.execution_id)]
    assert tries == [0, 0, 0, 0, 1, 0, 0]
    assert len(loop.services.deploys.deploys(key)) == 2


def test_a_rollback_brings_the_first_version_back_byte_for_byte(loop: Loop) -> None:
    key = loop.session()
    odd = bytes(range(256)) * 40 + b"\r\n$Id$\n"
    (loop.paths(key).source / "odd.bin").write_bytes(odd)
    url = str(loop.deploy(key, "First bread").result["url"])
    first, release = get(url), marker(url)
    (loop.paths(key).source / "odd.bin").write_bytes(b"other")
    loop.deploy(key, "Second bread")
    assert b"Second bread" in get(url)

    answer = loop.cli("rollback", key.session_id, "--json")
    assert answer.exit == 0, answer
    data = answer.document["data"]
    assert (get(url), get(url, "/odd.bin"), marker(url)) == (first, odd, release)
    assert (data["from_deploy"], data["deploy"], data["url"]) == (2, 3, url)
    assert [step["state"] for step in data["steps"][3:5]] == ["ok", "ok"]
    assert data["check"]["status"] == 200


def test_an_unchanged_site_is_the_same_release_and_no_file_is_written(loop: Loop) -> None:
    key = loop.session()
    first = loop.deploy(key)
    again = loop.run(key, to_step=5)
    assert again.result["files"] == {**_files(first.result), "changed": 0}
    assert again.result["release_id"] == first.result["release_id"]
    assert again.result["url"] == first.result["url"]


def _files(result: object) -> dict[str, object]:
    assert isinstance(result, dict)
    files = result["files"]
    assert isinstance(files, dict)
    return files


def test_destroy_asks_for_the_name_and_frees_the_port(loop: Loop) -> None:
    key = loop.session()
    url = str(loop.deploy(key).result["url"])
    unnamed = loop.cli("destroy", key.session_id, "--json", "-y")
    assert unnamed.exit == 9
    with pytest.raises(ConfirmationNeededError):
        loop.services.deploys.destroy(key, "another", 20)
    assert answers(url)

    named = loop.cli("destroy", key.session_id, "--confirm", key.session_id, "--json")
    assert named.exit == 0, named
    assert [one["kind"] for one in named.document["data"]["deleted"]] == ["local_site"]
    assert named.document["data"]["left"] == []
    assert not answers(url)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(urlsplit(url).port or 0)))
    assert (loop.paths(key).source / "index.html").is_file()
    session = loop.services.sessions.row(key).session
    assert (session.url, session.port) == (None, None)
    again = loop.deploy(key)
    assert answers(str(again.result["url"]))


def test_two_deploys_at_once_become_one_run_and_one_conflict(loop: Loop) -> None:
    key = loop.session()
    loop.put_page(key)
    # Whoever comes first cannot end before the other one has asked.
    with SiteFolder(loop.root, key).publishing():
        calls = [loop.spawn("deploy", key.session_id, "--to", "5", "--json") for _ in range(2)]
        loop.until(lambda: any(call.poll() is not None for call in calls), "one refusal")
    ends = sorted(call.wait(60) for call in calls)
    assert ends == [0, 5], [call.communicate() for call in calls]
    assert len(loop.services.deploys.deploys(key)) == 1
    for call in calls:
        call.communicate()
