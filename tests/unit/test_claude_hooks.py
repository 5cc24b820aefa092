"""The folder of hook events, which a pane can write as it likes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.clock import SystemClock, wait_for
from core.paths import library_folder
from tmux_bridge.claude.hooks import SIZE_LIMIT, decode_event
from tmux_bridge.claude.inbox import HookInbox

STOP = {
    "hook_event_name": "Stop", "session_id": "c1", "transcript_path": "/t.jsonl",
    "last_assistant_message": "Done.", "background_tasks": [], "unknown": {"x": 1},
}  # fmt: skip


class LaterClock(SystemClock):
    """A clock that is a second ahead, so that a folder just written counts as settled."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=1)


def name(offset: int = 0) -> str:
    return f"{time.time_ns() + offset}-12.json"


def drop(folder: Path, content: object = STOP, *, called: str | None = None) -> Path:
    path = folder / (called or name())
    path.write_text(json.dumps(content))
    return path


def test_events_come_oldest_first_and_go_when_consumed(tmp_path: Path) -> None:
    now = time.time_ns()
    for offset in (3, 1, 2):
        drop(tmp_path, {**STOP, "prompt_id": str(offset)}, called=f"{now + offset}-12.json")
    inbox = HookInbox(tmp_path)
    events = inbox.pending()
    assert [event.prompt_id for event in events] == ["1", "2", "3"]
    assert inbox.newest() == events[-1].name
    inbox.consume(events)
    assert list(tmp_path.iterdir()) == []
    assert inbox.pending() == []


@pytest.mark.parametrize(
    "content",
    [b"", b'{"hook_event_name": "Stop", "sess', b"[]", b'{"hook_event_name": 1, "session_id": ""}',
     b"\xff\xfe", b"x" * (SIZE_LIMIT + 1)],
)  # fmt: skip
def test_a_broken_event_is_set_aside_and_blocks_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / name(-5_000_000)).write_bytes(content)
    drop(tmp_path)
    inbox = HookInbox(tmp_path)
    assert [event.event for event in inbox.pending()] == ["Stop"]
    assert [event.event for event in inbox.pending()] == ["Stop"]
    assert len(list(tmp_path.glob(".bad-*"))) == 1


def test_links_folders_pipes_and_strange_names_are_never_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(json.dumps(STOP))
    folder = tmp_path / "hooks"
    folder.mkdir()
    (folder / name(1)).symlink_to(secret)
    (folder / name(2)).mkdir()
    os.mkfifo(folder / name(3))
    drop(folder, called="forged.json")
    drop(folder, called=f"{time.time_ns() + 3_600_000_000_000}-1.json")
    inbox = HookInbox(folder)
    assert inbox.pending() == []
    assert inbox.newest() is None
    assert json.loads(secret.read_text()) == STOP


class SetClock(SystemClock):
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


def test_a_flood_is_taken_in_portions_and_rests_in_between(tmp_path: Path) -> None:
    for offset in range(450):
        drop(tmp_path, called=name(offset))
    clock = SetClock()
    inbox = HookInbox(tmp_path, clock=clock)
    sizes = []
    for _ in range(8):
        events = inbox.pending()
        inbox.consume(events)
        sizes.append(len(events))
        clock.now_s += 0.5
    assert sizes == [200, 0, 50, 0, 50, 0, 50, 0]
    assert inbox.is_flooded
    clock.now_s += 60
    inbox.consume(inbox.pending())
    assert inbox.pending() == []
    drop(tmp_path)
    assert len(inbox.pending()) == 1
    assert not inbox.is_flooded


def test_a_look_ends_when_its_bytes_are_read(tmp_path: Path) -> None:
    for offset in range(12):
        drop(tmp_path, {**STOP, "x": "y" * 1_000_000}, called=name(offset))
    inbox = HookInbox(tmp_path, clock=SetClock())
    assert len(inbox.pending()) == 5


def test_a_dead_claudes_events_are_forgotten_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "hooks"
    folder.mkdir()
    for offset in range(300):
        drop(folder, called=name(offset))
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("")
    HookInbox(folder).discard()
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o077 == 0
    assert wait_for(lambda: [path.name for path in tmp_path.iterdir()] == ["hooks"], deadline_s=10)


def test_hidden_leftovers_do_not_pile_up(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f".{number}").write_text("half")
    HookInbox(tmp_path, clock=SetClock()).pending()
    assert len(list(tmp_path.iterdir())) == 20


def test_a_quiet_folder_is_not_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = HookInbox(tmp_path, clock=LaterClock())
    listed: list[object] = []
    scandir = os.scandir

    def counted(path: Path) -> Iterator[os.DirEntry[str]]:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert inbox.pending() == []
    assert inbox.pending() == []
    assert len(listed) == 1
    drop(tmp_path)
    assert len(inbox.pending()) == 1


def test_a_missing_folder_has_no_events(tmp_path: Path) -> None:
    assert HookInbox(tmp_path / "gone").pending() == []


def test_the_question_is_one_line(tmp_path: Path) -> None:
    asked: dict[str, object] = {
        **STOP, "hook_event_name": "PermissionRequest", "tool_name": "AskUserQuestion",
        "tool_input": {"questions": [{"question": "Which\ncolour?"}]},
    }  # fmt: skip
    event = decode_event(name(), json.dumps(asked).encode())
    assert event.question == "Which colour?"
    asked |= {"tool_name": "Bash", "tool_input": {"command": "rm -rf\n/"}}
    assert decode_event(name(), json.dumps(asked).encode()).question == "Bash: rm -rf /"
    asked["tool_input"] = [1, 2]
    assert decode_event(name(), json.dumps(asked).encode()).question == "Bash"


def test_the_hook_script_keeps_every_event_as_one_whole_file(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "hooks"
    folder.mkdir(parents=True)
    script = library_folder() / "templates" / "hooks" / "event.sh"
    payload = json.dumps({**STOP, "last_assistant_message": "é\u2028" * 50_000}).encode()
    running = []
    for _ in range(20):
        process = subprocess.Popen(
            ["sh", str(script)], stdin=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "CLAUDE_PROJECT_DIR": str(tmp_path)},
        )  # fmt: skip
        running.append(process)
    for process in running:
        process.communicate(payload, timeout=20)
    assert [process.returncode for process in running] == [0] * 20
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    inbox, read = HookInbox(folder), 0
    while events := inbox.pending():
        assert all(event.message == "é\u2028" * 50_000 for event in events)
        inbox.consume(events)
        read += len(events)
    assert read == 20


def test_the_hook_script_ends_with_0_when_it_cannot_write(tmp_path: Path) -> None:
    script = library_folder() / "templates" / "hooks" / "event.sh"
    done = subprocess.run(
        ["sh", str(script)], input=b"{}", check=False, timeout=20, capture_output=True,
        env={"PATH": os.environ["PATH"], "CLAUDE_PROJECT_DIR": str(tmp_path / "gone")},
    )  # fmt: skip
    assert done.returncode == 0
