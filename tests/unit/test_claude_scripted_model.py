"""The scripted Messages API over real HTTP on loopback."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.clock import wait_for
from core.paths import library_folder
from tmux_bridge.scripted_model import ScriptedModel, at_pace, load_script
from tmux_bridge.scripted_model.script import (
    Call,
    Choice,
    Fault,
    FaultKind,
    Kind,
    Pace,
    Reply,
    Script,
    ScriptError,
    Turn,
    When,
)

HEADERS = {
    "content-type": "application/json", "x-api-key": "k", "anthropic-version": "2023-06-01",
}  # fmt: skip
TOOLS = [{"name": "Bash"}, {"name": "Write"}]
Serve = Callable[[Script], ScriptedModel]


@pytest.fixture
def serve() -> Iterator[Serve]:
    models: list[ScriptedModel] = []

    def start(script: Script) -> ScriptedModel:
        model = ScriptedModel(script)
        model.start()
        models.append(model)
        return model

    yield start
    for model in models:
        model.stop()


def call(
    model: ScriptedModel, body: object, *, method: str = "POST",
    path: str = "/v1/messages?beta=true", headers: dict[str, str] = HEADERS,
) -> tuple[int, bytes, dict[str, str]]:  # fmt: skip
    host = model.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 10, "messages": list(messages), "tools": TOOLS, **more}


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(model: ScriptedModel, text: str, **more: Any) -> dict[str, Any]:
    _, content, _ = call(model, body(user(text), **more))
    found = json.loads(content)
    assert isinstance(found, dict)
    return found


def test_a_stream_has_the_events_of_the_service_in_order(serve: Serve) -> None:
    tool = Call(name="Write", input={"file_path": "{folder}/a", "content": "x" * 50})
    reply = Reply(text="hello", thinking="hm", calls=(tool,), pace=Pace(chunk_chars=7))
    model = serve(Script(name="s", default=reply))
    system = "Primary working directory: /site\nmore"
    status, content, headers = call(model, body(user("go"), stream=True, system=system))
    events = [block.split("\n", 1) for block in content.decode().strip().split("\n\n")]
    names = [event.removeprefix("event: ") for event, _ in events]
    data = [json.loads(text.removeprefix("data: ")) for _, text in events]
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert names[:2] == ["message_start", "ping"]
    assert names[-2:] == ["message_delta", "message_stop"]
    assert names.count("content_block_start") == names.count("content_block_stop") == 3
    assert [d["type"] for d in data] == names
    pieces = [d["delta"]["partial_json"] for d in data if "partial_json" in d.get("delta", {})]
    assert json.loads("".join(pieces)) == {"file_path": "/site/a", "content": "x" * 50}
    assert data[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_request_without_stream_gets_one_message(serve: Serve) -> None:
    model = serve(Script(name="s", default=Reply(text="hi")))
    found = said(model, "go")
    assert found["content"] == [{"type": "text", "text": "hi"}]
    assert (found["role"], found["model"], found["stop_reason"]) == ("assistant", "m", "end_turn")


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"path": "/v2/messages"}, 404, "not_found_error"),
        ({"method": "GET"}, 405, "invalid_request_error"),
        ({"headers": {**HEADERS, "content-type": "text/plain"}}, 400, "invalid_request_error"),
        ({"headers": {k: v for k, v in HEADERS.items() if k != "x-api-key"}}, 401,
         "authentication_error"),
        ({"headers": {k: v for k, v in HEADERS.items() if "version" not in k}}, 400,
         "invalid_request_error"),
        ({"body": b"{"}, 400, "invalid_request_error"),
        ({"body": b"[]"}, 400, "invalid_request_error"),
        ({"body": {"model": "m", "max_tokens": 1}}, 400, "invalid_request_error"),
        ({"body": body()}, 400, "invalid_request_error"),
        ({"body": body(user(""))}, 400, "invalid_request_error"),
        ({"body": body({"role": "robot", "content": "x"})}, 400, "invalid_request_error"),
        ({"body": body(user([{"type": "tool_result", "tool_use_id": "t"}]))}, 400,
         "invalid_request_error"),
        ({"body": body(user("a"), {"role": "assistant",
                                   "content": [{"type": "tool_use", "id": "t", "name": "Bash"}]},
                       user("b"))}, 400, "invalid_request_error"),
        ({"headers": {**HEADERS, "content-length": "99999999999"}}, 413, "request_too_large"),
    ],
)  # fmt: skip
def test_what_the_service_refuses_is_refused(
    serve: Serve, change: dict[str, Any], status: int, kind: str
) -> None:
    model = serve(Script(name="s"))
    content = change.pop("body", body(user("go")))
    answered, text, _ = call(model, content, **change)
    assert answered == status
    assert json.loads(text)["error"]["type"] == kind
    assert model.requests[-1].outcome == "refused"


def test_replies_of_a_turn_follow_each_other_after_tools(serve: Serve) -> None:
    bash = Call(name="Bash", input={"command": "ls"})
    turn = Turn(name="t", replies=(Reply(text="one", calls=(bash,)), Reply(text="two")))
    model = serve(Script(name="s", turns=(turn,)))
    first = said(model, "go")
    results = [{"type": "tool_result", "tool_use_id": first["content"][1]["id"], "content": "x"}]
    history = [user("go"), {"role": "assistant", "content": first["content"]}, user(results)]
    _, second, _ = call(model, body(*history))
    assert json.loads(second)["content"][0]["text"] == "two"
    assert model.requests[-1].tool_results == ['"x"']
    after = [*history, {"role": "assistant", "content": "two"}, user("again")]
    _, third, _ = call(model, body(*after))
    assert json.loads(third)["content"][0]["text"] == "one"


def test_conditions_choose_the_turn(serve: Serve) -> None:
    turns = (
        Turn(name="once", when=When(text="blue", times=1), replies=(Reply(text="1"),)),
        Turn(name="blue", when=When(text="BLUE"), replies=(Reply(text="2 {c} {c.word}"),)),
        Turn(name="child", when=When(kind=Kind.SUBAGENT), replies=(Reply(text="3"),)),
        Turn(name="sys", when=When(system="secret"), replies=(Reply(text="4"),)),
    )
    choices = {"c": Choice(words={"navy": "#000080", "red": "#ff0000"}, otherwise="red")}
    model = serve(Script(name="s", turns=turns, choices=choices))

    def text(prompt: str, **more: Any) -> str:
        return str(said(model, prompt, **more)["content"][0]["text"])

    assert text("Make it blue") == "1"
    assert text("blue then navy") == "2 #000080 navy"
    assert text("blue") == "2 #ff0000 red"
    assert text("x", system=[{"type": "text", "text": "secret"}]) == "4"
    assert text("x", tools=[]) == "Website"
    child = {**HEADERS, "x-claude-code-agent-id": "a"}
    _, content, _ = call(model, body(user("x")), headers=child)
    assert json.loads(content)["content"][0]["text"] == "3"


def test_reminders_are_not_what_a_person_typed(serve: Serve) -> None:
    model = serve(Script(name="s"))
    blocks = [
        {"type": "text", "text": "<system-reminder>x</system-reminder>"},
        {"type": "text", "text": "my wish"},
    ]
    call(model, body(user(blocks)))
    assert model.requests[-1].text == "my wish"


def test_faults_strike_as_often_as_they_say(serve: Serve) -> None:
    fault = Fault(status=429, retry_after_s=2, times=2)
    model = serve(Script(name="s", default=Reply(text="fine", fault=fault)))
    answers = [call(model, body(user("go"))) for _ in range(3)]
    assert [status for status, _, _ in answers] == [429, 429, 200]
    assert answers[0][2]["retry-after"] == "2"
    assert json.loads(answers[0][1])["error"]["type"] == "rate_limit_error"


def test_a_dropped_connection_is_really_dropped(serve: Serve) -> None:
    model = serve(Script(name="s", default=Reply(fault=Fault(kind=FaultKind.DROP))))
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        call(model, body(user("go")))


def test_a_stream_can_break_in_the_middle(serve: Serve) -> None:
    reply = Reply(text="half", fault=Fault(kind=FaultKind.MID_STREAM))
    model = serve(Script(name="s", default=reply))
    _, content, _ = call(model, body(user("go"), stream=True))
    assert b"event: error" in content
    assert b"message_stop" not in content


def test_silence_ends_with_the_model(serve: Serve) -> None:
    silent = Reply(fault=Fault(kind=FaultKind.SILENCE))
    model = serve(Script(name="s", default=silent))
    host = model.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("POST", "/v1/messages", json.dumps(body(user("go"))), HEADERS)
    assert wait_for(lambda: model.requests, deadline_s=5)
    model.stopping.set()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.getresponse()
    connection.close()


def test_the_log_holds_no_key(tmp_path: Path) -> None:
    log = tmp_path / "log"
    model = ScriptedModel(Script(name="s"), log=log)
    model.start()
    call(model, body(user("go")), headers={**HEADERS, "x-api-key": "very-secret"})
    model.stop()
    assert "very-secret" not in log.read_text()
    assert json.loads(log.read_text())["text"] == "go"


@pytest.mark.parametrize("name", ["bakery", "dynamic"])
def test_the_demo_scripts_can_be_loaded(name: str) -> None:
    script = load_script(library_folder() / "demo" / f"{name}.json")
    written = {c.input["file_path"] for r in script.turns[0].replies for c in r.calls}
    needed = "index.html" if name == "bakery" else "Procfile"
    assert f"{{folder}}/source/{needed}" in written


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"name": "x", "oops": 1}', '{"name": "{file:../secret}"}',
     '{"name": "x", "turns": [{"name": "t", "replies": []}]}',
     '{"name": "x", "turns": [{"name": "t", "replies": [{}], "when": {"text": "("}}]}'],
)  # fmt: skip
def test_a_bad_script_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text("x")
    path = tmp_path / "in" / "s.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ScriptError):
        load_script(path)


def run_module(script: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tmux_bridge.scripted_model", "--script", str(script), *more],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_as_a_process_it_prints_its_url_and_ends_with_its_parent() -> None:
    parent = subprocess.Popen(["sleep", "60"])
    script = library_folder() / "demo" / "bakery.json"
    process = run_module(script, "--parent-pid", str(parent.pid))
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        parent.kill()
        parent.wait(10)
        assert process.wait(15) == 0
    finally:
        for running in (parent, process):
            running.kill()
            running.wait(10)


def test_as_a_process_it_ends_when_idle_or_told() -> None:
    script = library_folder() / "demo" / "bakery.json"
    idle = run_module(script, "--idle-s", "0.5")
    told = run_module(script)
    try:
        assert told.stdout is not None
        told.stdout.readline()
        os.kill(told.pid, signal.SIGTERM)
        assert told.wait(15) == 0
        assert idle.wait(15) == 0
    finally:
        for running in (idle, told):
            running.kill()
            running.wait(10)


def test_only_the_newest_requests_are_remembered() -> None:
    model = ScriptedModel(Script(name="s"), keep=3)
    model.start()
    try:
        for number in range(6):
            said(model, f"number {number}")
        assert [record.text for record in model.requests] == ["number 3", "number 4", "number 5"]
    finally:
        model.stop()


def test_another_pace_changes_no_word_of_an_answer(serve: Serve) -> None:
    own = Reply(text="one two three", pace=Pace(delay_s=30.0), calls=(Call(name="Bash"),))
    script = Script(name="s", turns=(Turn(name="t", replies=(own,)),), default=own)
    paced = at_pace(script, Pace(chunk_chars=4))
    assert paced.turns[0].replies[0].calls == own.calls
    assert paced.default == msgspec.structs.replace(own, pace=Pace(chunk_chars=4))
    _, content, _ = call(serve(paced), body(user("go"), stream=True))
    assert content.count(b"text_delta") == 4
