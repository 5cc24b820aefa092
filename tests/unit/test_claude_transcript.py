"""The chat from lines as the CLI writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.models.transcript import ChatItem, Speaker
from tmux_bridge.claude.transcript import TranscriptReader


def line(kind: str, content: object, second: int = 0, **more: Any) -> bytes:
    message = {"role": kind, "content": content, **more.pop("message", {})}
    document = {
        "type": kind,
        "uuid": f"u{second}-{kind}",
        "timestamp": f"2026-01-12T14:22:{second:02}.000Z",
        "message": message,
        **more,
    }
    return json.dumps(document).encode() + b"\n"


def call(name: str, second: int, **arguments: object) -> bytes:
    block = {"type": "tool_use", "id": f"t{second}", "name": name, "input": arguments}
    return line("assistant", [block], second)


def answer(second: int, text: str, outcome: object = None, *, error: bool = False) -> bytes:
    block = {"type": "tool_result", "tool_use_id": f"t{second}", "content": text, "is_error": error}
    return line("user", [block], second + 2, toolUseResult=outcome)


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    folder = tmp_path / "config" / "projects" / "x"
    folder.mkdir(parents=True)
    return folder / "c1.jsonl"


def read(transcript: Path) -> list[ChatItem]:
    reader = TranscriptReader(transcript.parents[2], Path("/s"))
    return reader.read([transcript])


def test_prompts_and_words_are_shown_and_the_rest_is_not(transcript: Path) -> None:
    transcript.write_bytes(
        b'{"type":"mode","mode":"normal"}\nnot json\n[1]\n\n'
        + line("user", "make it blue")
        + line("user", "<task-notification>x</task-notification>", 1, origin={"kind": "system"})
        + line("user", "meta", 2, isMeta=True)
        + line("assistant", [{"type": "text", "text": "side"}], 3, isSidechain=True)
        + line("assistant", [{"type": "thinking", "thinking": "hm"}], 4)
        + line("assistant", [{"type": "text", "text": "Done [bold]."}], 5)
        + line("user", [{"type": "text", "text": "[Request interrupted by user]"}], 6)
        + line("user", "<command-name>/compact</command-name>", 7)
    )
    said = [(item.speaker, item.text) for item in read(transcript)]
    assert said == [
        (Speaker.OPERATOR, "make it blue"),
        (Speaker.CLAUDE, "Done [bold]."),
        (Speaker.NOTE, "Interrupted"),
        (Speaker.OPERATOR, "/compact"),
    ]


def test_the_products_own_escapes_are_not_shown(transcript: Path) -> None:
    transcript.write_bytes(
        line("user", ". /clear")
        + line("user", '<pasted_content id="1">\na\nb\n</pasted_content>', 1)
    )
    assert [item.text for item in read(transcript)] == ["/clear", "a\nb"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (call("Bash", 1, command="ls -la\nx") + answer(1, "total", {"stdout": ""}),
         ("Bash", "ls -la", True, "ok", 2000)),
        (call("Bash", 1, command="ls /no") + answer(1, "Exit code 6\nno", "Error", error=True),
         ("Bash", "ls /no", False, "exit 6", 2000)),
        (call("Write", 1, file_path="/s/source/a.css")
         + answer(1, "created", {"type": "create", "content": "a\nb\n", "structuredPatch": []}),
         ("Write", "source/a.css", True, "+2", 2000)),
        (call("Edit", 1, file_path="/s/source/a.css")
         + answer(1, "ok", {"structuredPatch": [{"lines": ["-x", "+y", "+z", " k"]}]}),
         ("Edit", "source/a.css", True, "+2 -1", 2000)),
        (call("Read", 1, file_path="/s/a") + answer(1, "1", {"file": {"numLines": 4}}),
         ("Read", "a", True, "4 lines", 2000)),
        (call("Write", 1, file_path="/x") + answer(1, "Permission to use Write has", error=True),
         ("Write", "/x", False, "denied", 2000)),
        (call("Agent", 1, description="look", prompt="p") + answer(1, "ok", [1]),
         ("Agent", "look", True, "ok", 2000)),
        (call("Bash", 1, command="sleep"), ("Bash", "sleep", None, None, None)),
    ],
)  # fmt: skip
def test_a_tool_call_and_its_result_are_one_item(
    transcript: Path, lines: bytes, expected: tuple[object, ...]
) -> None:
    transcript.write_bytes(lines)
    (item,) = read(transcript)
    assert (item.tool, item.title, item.ok, item.result, item.duration_ms) == expected


def test_only_whole_lines_count_and_nothing_is_read_twice(transcript: Path) -> None:
    reader = TranscriptReader(transcript.parents[2])
    whole = line("user", "line\u2028separator")
    transcript.write_bytes(whole[:-20])
    assert reader.read([transcript]) == []
    with transcript.open("ab") as stream:
        stream.write(whole[-20:])
        stream.write(line("user", "second", 1))
    assert [item.text for item in reader.read([transcript])] == ["line\nseparator", "second"]
    assert [item.text for item in reader.read([transcript])] == ["line\nseparator", "second"]


def test_a_replaced_transcript_is_read_anew(transcript: Path) -> None:
    reader = TranscriptReader(transcript.parents[2])
    transcript.write_bytes(line("user", "a long first prompt"))
    reader.read([transcript])
    transcript.write_bytes(line("user", "b"))
    assert [item.text for item in reader.read([transcript])] == ["b"]


def test_a_transcript_outside_the_configuration_folder_is_not_opened(
    transcript: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.jsonl"
    secret.write_bytes(line("user", "secret"))
    transcript.symlink_to(secret)
    reader = TranscriptReader(transcript.parents[2])
    climbing = transcript.parents[2] / ".." / "secret.jsonl"
    assert reader.read([secret, transcript, climbing, transcript.parent]) == []


def test_the_tail_says_how_the_newest_turn_stands(transcript: Path) -> None:
    reader = TranscriptReader(transcript.parents[2])
    assert not reader.tail(transcript).is_finished
    done = {"stop_reason": "end_turn"}
    transcript.write_bytes(line("assistant", [{"type": "text", "text": "All."}], 1, message=done))
    assert (reader.tail(transcript).is_finished, reader.tail(transcript).message) == (True, "All.")
    with transcript.open("ab") as stream:
        stream.write(line("user", [{"type": "text", "text": "[Request interrupted by user]"}], 2))
    assert reader.tail(transcript).is_interrupted
    with transcript.open("ab") as stream:
        stream.write(line("user", "next", 3))
    assert not reader.tail(transcript).is_interrupted
