"""Which reply of a script answers a request, with its blanks filled in."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

import msgspec

from tmux_bridge.scripted_model.conversation import Conversation
from tmux_bridge.scripted_model.script import Call, Choice, Json, Kind, Reply, Script, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A reply and the name of the turn that gave it; `fails` when its fault strikes this time."""

    turn: str
    reply: Reply
    fails: bool


class Chooser:
    """Applies a script to requests; remembers only what `times` needs."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._lock = threading.Lock()
        self._prompts: dict[str, set[tuple[str, int, str]]] = {}
        self._requests: dict[str, int] = {}

    def choose(self, request: Conversation) -> Chosen:
        with self._lock:
            turn = next((t for t in self.script.turns if self._fits(t, request)), None)
            if turn is not None:
                if turn.when.times:
                    self._prompts.setdefault(turn.name, set()).add(_key(request))
                name, reply = turn.name, turn.replies[min(request.round, len(turn.replies) - 1)]
            elif request.kind is Kind.SIDE:
                name, reply = "side", self.script.side
            else:
                name, reply = "default", self.script.default
            fails = self._fails(name, reply)
        values = _values(self.script.choices, request)
        return Chosen(turn=name, reply=_filled(reply, values), fails=fails)

    def _fits(self, turn: Turn, request: Conversation) -> bool:
        when = turn.when
        used = self._prompts.get(turn.name, set())
        if when.times and len(used) >= when.times and _key(request) not in used:
            return False
        return (
            when.kind is request.kind
            and _found(when.text, request.prompt)
            and _found(when.system, request.system_text)
            and when.after_tool in {None, bool(request.tool_results)}
            and _called(when.called, request, expected=True)
            and _called(when.not_called, request, expected=False)
        )

    def _fails(self, name: str, reply: Reply) -> bool:
        if reply.fault is None:
            return False
        seen = self._requests[name] = self._requests.get(name, 0) + 1
        return reply.fault.times == 0 or seen <= reply.fault.times


def _key(request: Conversation) -> tuple[str, int, str]:
    return request.session, request.prompt_number, request.prompt


def _found(pattern: str | None, text: str) -> bool:
    return pattern is None or re.search(pattern, text, re.IGNORECASE | re.DOTALL) is not None


def _called(pattern: str | None, request: Conversation, *, expected: bool) -> bool:
    if pattern is None:
        return True
    return any(re.fullmatch(pattern, name) for name in request.tools_before) is expected


def _values(choices: dict[str, Choice], request: Conversation) -> dict[str, str]:
    values = {"{folder}": request.folder}
    for name, choice in choices.items():
        word = _first_word(choice, request.prompt)
        values[f"{{{name}}}"] = choice.words[word]
        values[f"{{{name}.word}}"] = word
    return values


def _first_word(choice: Choice, prompt: str) -> str:
    places = {
        word: found.start()
        for word in choice.words
        if (found := re.search(rf"\b{re.escape(word)}\b", prompt, re.IGNORECASE))
    }
    return min(places, key=places.__getitem__) if places else choice.otherwise


def _filled(reply: Reply, values: dict[str, str]) -> Reply:
    calls = tuple(
        Call(name=call.name, input={key: _fill(item, values) for key, item in call.input.items()})
        for call in reply.calls
    )
    text = str(_fill(reply.text, values))
    return msgspec.structs.replace(reply, calls=calls, text=text)


def _fill(value: Json, values: dict[str, str]) -> Json:
    if isinstance(value, str):
        for blank, word in values.items():
            value = value.replace(blank, word)
        return value
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    return value
