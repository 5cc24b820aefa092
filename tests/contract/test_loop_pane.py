"""What the real Claude can do from its pane: ask for six verbs, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from core.models.states import StepState
from core.paths import CHECKOUT
from tests.contract.loop_kit import (
    Loop,
    bash,
    get,
    needs_claude,
    page,
    running_loop,
    site_turn,
    tool_results,
    wish_turn,
    write,
)
from tests.injected import allow

pytestmark = needs_claude

PROBE = """
try() {
    if sh -c "$2" > /dev/null 2>&1; then echo "$1 REACHED"; else echo "$1 closed"; fi
}
try own-folder 'test -r CLAUDE.md || test -r .claude/CLAUDE.md'
try own-source 'touch source/x && rm source/x'
try settings 'echo >> .claude/settings.json'
try git-config 'echo >> .git/config'
try results 'touch deployment/tests/health.json'
try answers 'touch state/answers/x.json'
try store 'test -e @ROOT@/state.sqlite'
try registry 'test -e @ROOT@/registry.json'
try engine 'test -e @ROOT@/engine.sqlite'
try other-user 'ls @OTHER@'
try releases 'ls @RELEASES@'
try sites 'ls @ROOT@/sites'
try home 'ls @HOME@'
try aws 'cat @HOME@/.aws/credentials'
try runtime 'ls @RUNTIME@'
try worker-environment 'cat /proc/@WORKER@/environ'
try worker-signal 'kill -0 @WORKER@'
try shadow 'grep -q : /etc/shadow'
try checkout-users 'ls @CHECKOUT@/users'
try tests 'ls @CHECKOUT@/tests'
try product 'echo >> @CHECKOUT@/core/errors.py'
echo "probe ended"
"""


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


def documents(text: str) -> list[dict[str, object]]:
    """The JSON documents among the lines of the tools' results."""
    lines = [line for line in text.splitlines() if line.startswith('{"schema"')]
    return [json.loads(line) for line in lines]


@pytest.mark.deep
@pytest.mark.browser
def test_claude_asks_for_its_own_verbs_from_its_pane(loop: Loop) -> None:
    verbs = ("status", "check", "deploy", "test", "screenshot")
    model = loop.model(
        site_turn("Fresh bread"),
        wish_turn(
            "use the verbs",
            write("source/index.html", page("Newer bread")),
            *(bash(f"tmux-builder {verb} --json") for verb in verbs),
        ),
    )
    key = loop.session(model)
    first = loop.run(key, from_step=1, to_step=5)
    assert loop.ask(key, "now use the verbs") == "Done."
    answered = {one["command"]: one for one in documents(tool_results(model))}
    assert list(answered) == list(verbs), tool_results(model)
    assert [one["exit"] for one in answered.values()] == [0] * 5, tool_results(model)
    status, deploy = answered["status"]["data"], answered["deploy"]["data"]
    assert isinstance(status, dict)
    assert isinstance(deploy, dict)
    assert status["execution_id"] == first.execution_id
    assert (deploy["deploy"], deploy["url"]) == (2, first.result["url"])
    assert b"Newer bread" in get(str(deploy["url"]))
    assert deploy["tests"]["failed"] == 0
    newest = loop.services.status.newest(key)
    assert newest is not None
    assert newest.execution_id == deploy["execution_id"]


def test_a_deploy_asked_for_during_the_first_turn_is_left_to_the_pipeline(loop: Loop) -> None:
    model = loop.model(
        site_turn("Fresh bread", bash("tmux-builder deploy"), bash("tmux-builder deploy --json"))
    )
    key = loop.session(model)
    execution = loop.run(key, from_step=1, to_step=5)
    said = tool_results(model)
    assert said.count("pipeline deploys") == 2, said
    assert "Exit code" not in said
    [document] = documents(said)
    assert (document["exit"], document["ok"]) == (0, True)
    [deploy] = loop.services.deploys.deploys(key)
    assert deploy.execution_id == execution.execution_id
    assert loop.step(execution.execution_id, 3).state is StepState.OK


def test_a_pane_reaches_no_other_customer_no_store_no_home_and_no_process(loop: Loop) -> None:
    other = loop.services.users.create("bob@example.org", "+15550100200", start=False)
    (loop.folder / "home" / ".aws").mkdir()
    (loop.folder / "home" / ".aws" / "credentials").write_text("[default]\nkey = secret\n")
    model = loop.model(site_turn("Bread", bash("sh source/probe.sh")))
    key = loop.session(model)
    allow(loop.services.environment.store, key, "Bash(sh:*)")
    values = {
        "ROOT": loop.root.path, "OTHER": other.path, "HOME": loop.folder / "home",
        "RUNTIME": loop.runtime.path, "WORKER": loop.wake(), "CHECKOUT": CHECKOUT,
        "RELEASES": loop.paths(key).repository.parent,
    }  # fmt: skip
    probe = PROBE
    for name, value in values.items():
        probe = probe.replace(f"@{name}@", str(value))
    (loop.paths(key).source / "probe.sh").write_text(probe)
    loop.ask(key, "Look around")
    said = tool_results(model)
    assert "probe ended" in said, said
    assert sorted(line.split()[0] for line in said.splitlines() if "REACHED" in line) == [
        "own-folder", "own-source",
    ]  # fmt: skip
    assert said.count("closed") == PROBE.count("\ntry ") - 2


def test_forged_requests_harm_nobody_and_the_next_one_is_answered(loop: Loop) -> None:
    model = loop.model(site_turn(), wish_turn("status", bash("tmux-builder status --json")))
    key = loop.session(model)
    loop.run(key, from_step=1, to_step=4)
    requests, answers = loop.paths(key).requests, loop.paths(key).answers
    secret = loop.folder / "home" / "secret.json"
    secret.write_text('{"id": "00000001", "verb": "deploy"}')
    forge = {
        "00000002.json": b'{"id": "00000009", "verb": "deploy"}',
        "00000003.json": b'{"id": "00000003", "verb": "deploy", "user_id": "other"}',
        "00000004.json": b'{"id": "00000004", "verb": "destroy"}',
        "00000005.json": b"\x00" * 10_000_000,
        "00000006.json": b"not json",
        "..json": b"{}",
        "00000007 $(touch x).json": b"{}",
    }
    for name, content in forge.items():
        (requests / name).write_bytes(content)
    (requests / "00000001.json").symlink_to(secret)
    (requests / "00000008.json").mkdir()
    os.mkfifo(requests / "0000000a.json")
    worker = loop.worker_pid()
    loop.ask(key, "the status please")
    [document] = documents(tool_results(model))
    assert document["exit"] == 0
    assert loop.worker_pid() == worker
    assert len(loop.services.deploys.deploys(key)) == 1
    assert secret.is_file()
    refused = json.loads((answers / "00000004.json").read_text())
    assert (refused["ok"], refused["exit"]) == (False, 2)
    told = [path.name[:8] for path in answers.iterdir() if path.name.startswith("000000")]
    assert told == ["00000004"]
    loop.until(lambda: not _files(requests), "the forged files are gone")


def _files(folder: os.PathLike[str]) -> list[str]:
    """What is no folder and no file that is still being written."""
    entries = [entry for entry in os.scandir(folder) if not entry.is_dir()]
    return [entry.name for entry in entries if not entry.name.startswith(".")]
