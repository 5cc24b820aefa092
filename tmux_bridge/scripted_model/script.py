"""The script: which turn answers which prompt, and with what. Decoded strictly from JSON."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from core.errors import BuilderError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
_INCLUDE = re.compile(r"\{file:([A-Za-z0-9_./-]+)\}")


class ScriptError(BuilderError):
    """A script file cannot be used."""

    code = "bad_script"


class Kind(StrEnum):
    """Who asks: the interactive loop, a sub-agent, or a side question such as a title."""

    MAIN = "main"
    SUBAGENT = "subagent"
    SIDE = "side"


class FaultKind(StrEnum):
    """What goes wrong instead of an answer."""

    STATUS = "status"
    DROP = "drop"
    MID_STREAM = "mid_stream"
    SILENCE = "silence"


class _Own(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Our own files are read strictly."""


class Call(_Own, frozen=True):
    """A tool call. Strings of `input` may hold `{folder}` and the names of the script's choices."""

    name: str
    input: dict[str, Any] = {}  # open by nature; checked by the CLI that runs the tool


class Usage(_Own, frozen=True):
    """The figures that the model reports."""

    input_tokens: int = 1200
    output_tokens: int = 80
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


class Pace(_Own, frozen=True):
    """How fast an answer comes. `chunk_chars` are the characters of one delta."""

    delay_s: float = 0.0
    chunk_chars: int = 200
    chunk_delay_s: float = 0.0


class Fault(_Own, frozen=True):
    """A failure for the first `times` requests of a turn; 0 means always."""

    kind: FaultKind = FaultKind.STATUS
    status: int = 500
    retry_after_s: int | None = None
    times: int = 0


class Reply(_Own, frozen=True):
    """One answer of the model."""

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    usage: Usage = Usage()
    stop_reason: str | None = None
    pace: Pace = Pace()
    fault: Fault | None = None

    @property
    def ending(self) -> str:
        return self.stop_reason or ("tool_use" if self.calls else "end_turn")


class When(_Own, frozen=True):
    """What a typed prompt must be like for a turn to answer it; what is left out always fits.

    Attributes:
        text: Regular expression found in the prompt, whatever the case.
        system: Regular expression found in the system text.
        after_tool: Whether the request brings tool results.
        called: Regular expression of a tool used before the prompt in this conversation.
        not_called: The same, and no such tool was used.
        times: How many prompts the turn answers in all; 0 means any number.
    """

    kind: Kind = Kind.MAIN
    text: str | None = None
    system: str | None = None
    after_tool: bool | None = None
    called: str | None = None
    not_called: str | None = None
    times: int = 0


class Turn(_Own, frozen=True):
    """The answers to one prompt, in order: the next one follows when the tools have run.

    Past the last one the last one is given again.
    """

    name: str
    replies: tuple[Reply, ...]
    when: When = When()


class Choice(_Own, frozen=True):
    """A word of the prompt that decides a value: `{name}` is the value, `{name.word}` the word."""

    words: dict[str, str]
    otherwise: str


class Script(_Own, frozen=True):
    """Turns are tried from the first; the first that fits answers."""

    name: str
    turns: tuple[Turn, ...] = ()
    default: Reply = Reply(text="Understood. Nothing needs to change for that.")
    side: Reply = Reply(text="Website")
    choices: dict[str, Choice] = {}


def at_pace(script: Script, pace: Pace) -> Script:
    """The same answers, every one a person sees given at this pace instead of its own."""

    def paced(reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, pace=pace)

    turns = (
        msgspec.structs.replace(turn, replies=tuple(paced(reply) for reply in turn.replies))
        for turn in script.turns
    )
    return msgspec.structs.replace(script, turns=tuple(turns), default=paced(script.default))


def load_script(path: Path) -> Script:
    """Read a script; a string `{file:NAME}` in it becomes the content of that file beside it.

    Raises:
        ScriptError: The file is missing or is not a script.
    """
    try:
        raw = msgspec.json.decode(path.read_bytes())
        script = msgspec.convert(_with_files(raw, path.parent), Script)
        _check(script)
    except (OSError, re.error, ValueError) as error:
        raise ScriptError(
            f"{path} is not a usable script: {error}.",
            remedy="Compare it with library/demo/bakery.json.",
        ) from error
    return script


def _with_files(value: Json, folder: Path) -> Json:
    if isinstance(value, str):
        return _INCLUDE.sub(lambda found: _included(folder, found[1]), value)
    if isinstance(value, list):
        return [_with_files(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: _with_files(item, folder) for key, item in value.items()}
    return value


def _included(folder: Path, name: str) -> str:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name} lies outside the script's folder")
    return path.read_text(encoding="utf-8")


def _check(script: Script) -> None:
    for turn in script.turns:
        if not turn.replies:
            raise ValueError(f"the turn {turn.name!r} has no replies")
        for pattern in (turn.when.text, turn.when.system, turn.when.called, turn.when.not_called):
            re.compile(pattern or "")
