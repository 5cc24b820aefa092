"""Approvals through the installed program: asked, answered, also by a worker that was killed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.models.session import SessionKey
from core.models.states import AgentState
from tests.contract.loop_kit import (
    Loop,
    bash,
    needs_claude,
    running_loop,
    tool_results,
)
from tmux_bridge.scripted_model import Reply, ScriptedModel, Turn
from tmux_bridge.scripted_model.script import When

pytestmark = needs_claude

TOUCH = "touch source/made"
SENTENCE = "Use the picture that is there."


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def model(loop: Loop) -> ScriptedModel:
    replies = (Reply(text="Now.", calls=(bash(TOUCH),)), Reply(text="Done."))
    return loop.model(Turn(name="make", when=When(text="make"), replies=replies))


@pytest.fixture(scope="module")
def key(loop: Loop, model: ScriptedModel) -> SessionKey:
    return loop.session(model, mode="supervised")


def open_rows(loop: Loop, *arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = loop.cli("session", "approvals", *arguments, "--json").document[
        "data"
    ]["approvals"]
    return rows


def wait_asked(loop: Loop, key: SessionKey) -> dict[str, Any]:
    loop.until(lambda: loop.services.approvals.open(key), "a question")
    [row] = open_rows(loop, key.session_id)
    return row


def wait_idle(loop: Loop, key: SessionKey) -> None:
    store = loop.services.environment.store
    loop.until(lambda: store.agents.get(key).state is AgentState.IDLE, "an idle Claude")


def test_a_question_is_listed_answered_and_gone(
    loop: Loop, key: SessionKey, model: ScriptedModel
) -> None:
    loop.services.chat.send(key, "make 1")
    row = wait_asked(loop, key)
    assert (row["tool"], row["subject"], row["session_id"]) == ("Bash", TOUCH, key.session_id)
    assert row["deadline_at"] > row["created_at"]
    listed = loop.cli("session", "list", "--json").document["data"]["sessions"][0]
    assert (listed["mode"], listed["needs"], listed["state"]) == (
        "supervised", "permission", "needs_you",
    )  # fmt: skip
    assert TOUCH in loop.cli("session", "approvals").out
    denied = loop.cli("session", "deny", key.session_id, "--message", SENTENCE, "--json").document
    assert denied["data"]["decision"] == "deny"
    assert denied["data"]["approval_id"] == row["approval_id"]
    wait_idle(loop, key)
    assert SENTENCE in tool_results(model)
    assert not (loop.paths(key).source / "made").exists()
    late = loop.cli(
        "session", "approve", key.session_id, "--approval", row["approval_id"], "--json"
    ).document
    assert (late["exit"], late["error"]["code"]) == (5, "already_answered")
    nothing = loop.cli("session", "approve", key.session_id, "--json").document
    assert (nothing["exit"], nothing["error"]["code"]) == (5, "nothing_asked")


def test_a_killed_worker_leaves_the_question_open_and_its_successor_answers(
    loop: Loop, key: SessionKey
) -> None:
    loop.services.chat.send(key, "make 2")
    row = wait_asked(loop, key)
    loop.kill_worker()
    assert open_rows(loop) == [row]
    answer = loop.cli("session", "approve", key.session_id, "--for-session", "--json").document
    assert answer["exit"] == 0, answer
    assert answer["data"]["decision"] == "allow_session"
    wait_idle(loop, key)
    assert (loop.paths(key).source / "made").exists()
    rules = loop.cli("session", "approvals", "--rules", "--json").document["data"]["rules"]
    assert [(rule["tool"], rule["subject"]) for rule in rules] == [("Bash", TOUCH)]


def test_a_rule_holds_until_it_is_forgotten(loop: Loop, key: SessionKey) -> None:
    made = loop.paths(key).source / "made"
    made.unlink()
    assert loop.ask(key, "make 3") == "Done."
    assert made.exists()
    gone = loop.cli(
        "session", "forget-rule", key.session_id, "--tool", "Bash", "--subject", TOUCH, "--json"
    ).document
    assert [rule["subject"] for rule in gone["data"]["forgotten"]] == [TOUCH]
    loop.services.chat.send(key, "make 4")
    assert wait_asked(loop, key)["subject"] == TOUCH
    assert loop.cli("session", "send", key.session_id, "--answer", "1", "--json").document["ok"]
    wait_idle(loop, key)


def test_a_mode_is_changed_and_told(loop: Loop, key: SessionKey) -> None:
    wait_idle(loop, key)
    data = loop.cli("session", "mode", key.session_id, "unattended", "--json").document["data"]
    assert data == {
        "user_id": key.user_id, "session_id": key.session_id, "mode": "unattended",
        "restart_needed": True,
    }  # fmt: skip
    store = loop.services.environment.store
    loop.until(lambda: store.agents.get(key).mode == "unattended", "the new mode")
    made = loop.paths(key).source / "made"
    made.unlink()
    loop.ask(key, "make 5")
    assert not made.exists()
    assert open_rows(loop) == []
    assert loop.cli("session", "mode", key.session_id, "wild").exit == 2


def test_usage_errors_change_nothing(loop: Loop, key: SessionKey) -> None:
    for arguments in (
        ("forget-rule", key.session_id),
        ("forget-rule", key.session_id, "--all", "--tool", "Bash"),
        ("deny", key.session_id, "--message", " "),
    ):
        assert loop.cli("session", *arguments, "--json").document["exit"] in {2, 5}
