"""A reply in the words of the Messages API: one JSON message, or a row of server-sent events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping

import msgspec

from tmux_bridge.scripted_model.script import Call, Json, Reply, Usage

ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}

Event = tuple[str, dict[str, Json]]


def error_document(status: int, message: str) -> dict[str, Json]:
    """The body of a refusal."""
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def message_document(reply: Reply, model: str) -> dict[str, Json]:
    """The whole answer at once."""
    content: list[Json] = []
    if reply.thinking:
        content.append({"type": "thinking", "thinking": reply.thinking, "signature": "scripted"})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    for call in reply.calls:
        content.append(
            {"type": "tool_use", "id": _tool_id(), "name": call.name, "input": call.input}
        )
    return {
        **_head(model),
        "content": content,
        "stop_reason": reply.ending,
        "stop_sequence": None,
        "usage": _usage(reply.usage),
    }


def events(reply: Reply, model: str) -> Iterator[Event]:
    """The answer in pieces, in the order of the real service."""
    first = {**_usage(reply.usage), "output_tokens": 1}
    head: dict[str, Json] = {
        **_head(model), "content": [], "stop_reason": None, "stop_sequence": None, "usage": first,
    }  # fmt: skip
    yield "message_start", {"message": head}
    yield "ping", {}
    for index, block in enumerate(_blocks(reply)):
        for name, data in block:
            yield name, {"index": index, **data}
    delta: dict[str, Json] = {"stop_reason": reply.ending, "stop_sequence": None}
    yield "message_delta", {"delta": delta, "usage": _usage(reply.usage)}
    yield "message_stop", {}


def _blocks(reply: Reply) -> Iterator[Iterator[Event]]:
    size = max(1, reply.pace.chunk_chars)
    if reply.thinking:
        yield _thinking(reply.thinking, size)
    if reply.text:
        yield _text(reply.text, size)
    for call in reply.calls:
        yield _call(call, size)


def _text(text: str, size: int) -> Iterator[Event]:
    yield "content_block_start", {"content_block": {"type": "text", "text": ""}}
    for piece in _pieces(text, size):
        yield "content_block_delta", {"delta": {"type": "text_delta", "text": piece}}
    yield "content_block_stop", {}


def _thinking(text: str, size: int) -> Iterator[Event]:
    start: dict[str, Json] = {"type": "thinking", "thinking": "", "signature": ""}
    yield "content_block_start", {"content_block": start}
    for piece in _pieces(text, size):
        yield "content_block_delta", {"delta": {"type": "thinking_delta", "thinking": piece}}
    yield "content_block_delta", {"delta": {"type": "signature_delta", "signature": "scripted"}}
    yield "content_block_stop", {}


def _call(call: Call, size: int) -> Iterator[Event]:
    start: dict[str, Json] = {"type": "tool_use", "id": _tool_id(), "name": call.name, "input": {}}
    yield "content_block_start", {"content_block": start}
    for piece in _pieces(json.dumps(call.input), size):
        yield "content_block_delta", {"delta": {"type": "input_json_delta", "partial_json": piece}}
    yield "content_block_stop", {}


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _head(model: str) -> dict[str, Json]:
    name = f"msg_{uuid.uuid4().hex[:24]}"
    return {"id": name, "type": "message", "role": "assistant", "model": model}


def _tool_id() -> str:
    return f"toolu_{uuid.uuid4().hex[:24]}"


def _usage(usage: Usage) -> dict[str, Json]:
    return {name: getattr(usage, name) for name in msgspec.structs.asdict(usage)}
