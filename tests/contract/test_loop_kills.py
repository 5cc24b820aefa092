"""kill -9 of the worker in the steps of a real run: it goes on, and nothing happens twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from core.models.session import SessionKey
from core.models.states import AgentState, ExecutionStatus, StepState
from tests.contract.loop_kit import (
    BRIEF,
    Loop,
    answers,
    get,
    is_alive,
    main_prompts,
    marker,
    needs_claude,
    page,
    running_loop,
    site_turn,
    wish_turn,
    write,
)

pytestmark = needs_claude


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


def kill_in(loop: Loop, execution_id: str, n: int) -> None:
    """kill -9 the worker while it is in step `n`, then start its successor."""
    loop.wait_step(execution_id, n)
    loop.kill_worker()
    assert loop.step(execution_id, n).state is StepState.RUNNING, "the kill came too late"
    loop.wake()


@pytest.mark.browser
def test_a_run_survives_kills_in_generate_deploy_screenshot_and_tests(loop: Loop) -> None:
    model = loop.model(site_turn(delay_s=2.0))
    key = loop.session(model)
    for number in range(400):
        (loop.paths(key).source / f"loaf-{number:03d}.txt").write_text(f"loaf {number}\n" * 200)
    execution_id = loop.start(key, from_step=1)
    kill_in(loop, execution_id, 3)
    loop.until(lambda: main_prompts(model, BRIEF), "the brief at the model")
    for n in (3, 4, 6, 7):
        kill_in(loop, execution_id, n)
    execution = loop.wait(execution_id)
    assert execution.status is ExecutionStatus.COMPLETED, loop.told(execution_id)
    tries = {n: loop.step(execution_id, n).tries for n in range(1, 8)}
    assert tries.pop(3) >= 2
    assert tries == {1: 1, 2: 1, 4: 2, 5: 1, 6: 2, 7: 2}
    assert len(main_prompts(model, BRIEF)) == 1
    assert len(loop.services.chat.prompts(key)) == 1
    [deploy] = loop.services.deploys.deploys(key)
    assert marker(deploy.url) == deploy.release_id
    assert b"Fresh bread" in get(deploy.url)
    assert get(deploy.url, "/loaf-399.txt").startswith(b"loaf 399")


def test_a_kill_in_the_health_check_leaves_the_page_up_and_the_run_goes_on(loop: Loop) -> None:
    key = loop.session()
    url = str(loop.deploy(key).result["url"])
    host = loop.host_pid()
    assert host is not None
    os.kill(host, signal.SIGSTOP)
    try:
        execution_id = loop.start(key, from_step=5, to_step=5)
        loop.wait_step(execution_id, 5)
        worker = loop.kill_worker()
    finally:
        os.kill(host, signal.SIGCONT)
    assert not is_alive(worker)
    assert b"Fresh bread" in get(url)
    assert loop.host_pid() == host
    loop.wake()
    execution = loop.wait(execution_id)
    assert execution.status is ExecutionStatus.COMPLETED, loop.told(execution_id)
    assert loop.step(execution_id, 5).tries == 2
    assert len(loop.services.deploys.deploys(key)) == 1


def test_whoever_waits_for_a_run_brings_a_killed_worker_back(loop: Loop) -> None:
    key = loop.session()
    loop.put_page(key)
    execution_id = loop.start(key, to_step=5)
    killed = loop.kill_worker()
    execution = loop.wait(execution_id)
    assert execution.status is ExecutionStatus.COMPLETED, loop.told(execution_id)
    assert loop.worker_pid() not in {None, killed}
    assert len(loop.services.deploys.deploys(key)) == 1


def test_a_reboot_brings_back_site_port_and_conversation(loop: Loop) -> None:
    blue = write("source/blue.html", page("Blue bread"))
    model = loop.model(site_turn(), wish_turn("blue", blue, said="It is blue."))
    key = loop.session(model)
    url = str(loop.run(key, from_step=1, to_step=5).result["url"])
    claude_id = loop.services.environment.store.agents.get(key).claude_session_id
    kill_everything(loop, key)
    assert not answers(url)

    assert loop.ask(key, "Make it blue") == "It is blue."
    agent = loop.services.environment.store.agents.get(key)
    assert (agent.state, agent.claude_session_id) == (AgentState.IDLE, claude_id)
    assert any(BRIEF in item.text for item in loop.services.chat.items(key))
    loop.until(lambda: answers(url), "the page on its old port")
    again = loop.run(key, to_step=5)
    assert again.result["url"] == url
    assert b"Blue bread" in get(url, "/blue.html")


def kill_everything(loop: Loop, key: SessionKey) -> None:
    """What a power cut ends: worker, tmux with its Claude, and the local host."""
    agent = loop.services.environment.store.agents.get(key)
    pids = [loop.worker_pid(), loop.host_pid(), agent.server_pid, agent.pane_pid]
    for pid in pids:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        loop.until(lambda pid=pid: not is_alive(pid), f"the end of {pid}")  # type: ignore[misc]
