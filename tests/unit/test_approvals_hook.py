"""`approve.sh` by itself: what it hands on, what it refuses to, and that it never allows alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import wait_for
from core.files import read_regular
from core.injection.templates import SESSION_TEMPLATES, session_templates
from core.models.states import SessionMode
from core.paths import library_folder
from tmux_bridge.claude.hooks import decode_event
from tmux_bridge.claude.inbox import HookInbox

EVENT = {
    "hook_event_name": "PermissionRequest",
    "session_id": "c1",
    "tool_name": "Bash",
    "tool_input": {"command": "printf '%s\\n' \"$HOME\" é\u2028 `x`"},
}
ALLOW = '{"hookSpecificOutput": {"decision": {"behavior": "allow"}}}'
LIBRARY = library_folder() / "templates"


class Hook:
    """One run of the script for one event."""

    def __init__(self, folder: Path, event: bytes, timeout_s: str | None) -> None:
        self.folder = folder
        self.hooks, self.answers = folder / "state" / "hooks", folder / "state" / "approvals"
        for made in (self.hooks, self.answers):
            made.mkdir(parents=True, exist_ok=True)
        if timeout_s is not None:
            (self.answers / "timeout").write_text(timeout_s)
        self.process = subprocess.Popen(
            ["sh", str(LIBRARY / "hooks" / "approve.sh")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "CLAUDE_PROJECT_DIR": str(folder)},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(event)
        self.process.stdin.close()
        self.process.stdin = None

    def dropped(self) -> str:
        """The name of its event, as soon as that is there."""

        def names() -> list[str]:
            return [path.name for path in self.hooks.iterdir() if not path.name.startswith(".")]

        found = wait_for(names, deadline_s=20, interval_s=0.02)
        assert found
        return found[0]

    def answer(self, name: str, *lines: str) -> None:
        part = self.answers / f".{name}"
        part.write_text("".join(f"{line}\n" for line in lines))
        part.rename(self.answers / name)

    def printed(self) -> str:
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return out.decode()

    def bound(self, name: str) -> str:
        content = read_regular(self.hooks, name, limit=2_000_000) or b""
        return f'{{"event_sha256": "{hashlib.sha256(content).hexdigest()}"}}'


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Hook]]:
    hooks: list[Hook] = []
    yield hooks
    for hook in hooks:
        hook.process.kill()
        hook.process.communicate(timeout=20)


def receipts(hook: Hook) -> list[str | None]:
    """Which answers the hook says that it has handed on."""
    events = HookInbox(hook.hooks).pending()
    return [one.prompt_id for one in events if one.event == "ApprovalTaken"]


def start(
    started: list[Hook], folder: Path, event: bytes | None = None, timeout_s: str | None = "60\n"
) -> Hook:
    content = json.dumps(EVENT).encode() if event is None else event
    started.append(Hook(folder, content, timeout_s))
    return started[-1]


def test_the_answer_for_this_event_is_handed_on(started: list[Hook], tmp_path: Path) -> None:
    hook = start(started, tmp_path)
    name = hook.dropped()
    event = decode_event(name, (hook.hooks / name).read_bytes())
    assert event.permission is not None
    assert json.loads(event.permission.tool_input) == EVENT["tool_input"]
    assert hook.bound(name) == f'{{"event_sha256": "{event.permission.sha256}"}}'
    hook.answer(name, hook.bound(name), ALLOW)
    assert hook.printed() == f"{ALLOW}\n"
    assert wait_for(lambda: receipts(hook), deadline_s=20) == [name.removesuffix(".json")]


def test_an_answer_for_another_event_decides_nothing(started: list[Hook], tmp_path: Path) -> None:
    """A pane may exchange its event's file before it is read: that answer is for what it showed."""
    hook = start(started, tmp_path)
    name = hook.dropped()
    (hook.hooks / name).write_text(json.dumps({**EVENT, "tool_input": {"command": "ls"}}))
    hook.answer(name, hook.bound(name), ALLOW)
    assert hook.printed() == ""


@pytest.mark.parametrize("lines", [(), ("x",), ("", ALLOW), (ALLOW, ALLOW)])
def test_a_strange_answer_decides_nothing(
    started: list[Hook], tmp_path: Path, lines: tuple[str, ...]
) -> None:
    hook = start(started, tmp_path)
    hook.answer(hook.dropped(), *lines)
    assert hook.printed() == ""


def test_a_withdrawn_question_ends_without_a_decision(started: list[Hook], tmp_path: Path) -> None:
    hook = start(started, tmp_path)
    name = hook.dropped()
    hook.answer(name, hook.bound(name), "")
    assert hook.printed().strip() == ""


def test_without_an_answer_it_denies_and_says_so(started: list[Hook], tmp_path: Path) -> None:
    hook = start(started, tmp_path, timeout_s="0\n")
    decision = json.loads(hook.printed())["hookSpecificOutput"]["decision"]
    assert decision["behavior"] == "deny"
    assert "nobody answered within 0 min" in decision["message"]


@pytest.mark.parametrize("timeout_s", ["$(touch x)\n", "-5\n", "", "9 9\n", None])
def test_a_strange_deadline_is_the_usual_one(
    started: list[Hook], tmp_path: Path, timeout_s: str | None
) -> None:
    hook = start(started, tmp_path, timeout_s=timeout_s)
    hook.dropped()
    with pytest.raises(subprocess.TimeoutExpired):
        hook.process.communicate(timeout=0.5)


def test_a_call_that_is_too_large_to_show_is_denied_at_once(
    started: list[Hook], tmp_path: Path
) -> None:
    event = json.dumps({**EVENT, "tool_input": {"command": "x" * 1_100_000}}).encode()
    hook = start(started, tmp_path, event)
    decision = json.loads(hook.printed())["hookSpecificOutput"]["decision"]
    assert decision["behavior"] == "deny"
    assert "too large" in decision["message"]
    assert list(hook.hooks.iterdir()) == []


def test_without_its_folder_nothing_is_decided(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(LIBRARY / "hooks" / "approve.sh")],
        input=json.dumps(EVENT).encode(),
        capture_output=True,
        check=False,
        timeout=20,
        env={"PATH": os.environ["PATH"], "CLAUDE_PROJECT_DIR": str(tmp_path / "gone")},
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_both_modes_allow_and_deny_the_same() -> None:
    plain = json.loads((LIBRARY / "settings.json").read_text())
    asked = json.loads((LIBRARY / "settings.supervised.json").read_text())
    modes = plain["permissions"].pop("defaultMode"), asked["permissions"].pop("defaultMode")
    assert modes == ("dontAsk", "manual")
    hooks = asked["hooks"].pop("PermissionRequest")
    plain["hooks"].pop("PermissionRequest")
    assert plain == asked
    assert [one["matcher"] for one in hooks] == ["AskUserQuestion", "^(?!AskUserQuestion$)"]


def test_a_mode_gives_its_own_settings_and_the_same_pages_otherwise() -> None:
    assert session_templates(SessionMode.UNATTENDED) == SESSION_TEMPLATES
    pages = {page.target: page.source for page in session_templates(SessionMode.SUPERVISED)}
    assert pages["settings.json"] == "templates/settings.supervised.json"
    assert pages.keys() == {page.target for page in SESSION_TEMPLATES}
