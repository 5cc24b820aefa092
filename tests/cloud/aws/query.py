"""Parameters of AWS's form-encoded protocols (EC2, IAM), nested again by botocore's own shapes."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs

from tests.cloud.aws.wire import Call, RefusedError, model_of


def read_form(call: Call) -> dict[str, Any]:
    """The operation's parameters; an unknown or missing one is refused."""
    model = model_of(call.service)
    shape = model.operation_model(call.operation).input_shape
    given = {
        name: values[0]
        for name, values in parse_qs(call.body.decode(), keep_blank_values=True).items()
        if name not in ("Action", "Version")
    }
    read: set[str] = set()
    values: dict[str, Any] = {}
    for name, member in shape.members.items():
        key = _key(call.service, name, member)
        if _is_given(given, key):
            values[name] = _value(call.service, member, given, key, read)
    if unknown := set(given) - read:
        raise RefusedError("UnknownParameter", f"{sorted(unknown)} in {call.operation}")
    missing = [name for name in shape.required_members if name not in values]
    if missing:
        raise RefusedError("MissingParameter", f"{missing} in {call.operation}")
    return values


def _key(service: str, name: str, member: Any) -> str:
    written = member.serialization.get("queryName")
    if written:
        return str(written)
    spelled = str(member.serialization.get("name", name))
    return spelled[0].upper() + spelled[1:] if service == "ec2" else spelled


def _is_given(given: dict[str, str], key: str) -> bool:
    return key in given or any(name.startswith(f"{key}.") for name in given)


def _value(service: str, shape: Any, given: dict[str, str], key: str, read: set[str]) -> Any:
    if shape.type_name == "structure":
        found = {}
        for name, member in shape.members.items():
            inner = f"{key}.{_key(service, name, member)}"
            if _is_given(given, inner):
                found[name] = _value(service, member, given, inner, read)
        return found
    if shape.type_name == "list":
        return _list(service, shape, given, key, read)
    read.add(key)
    text = given[key]
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[text]
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name == "blob":
        return base64.b64decode(text)
    return text


def _list(service: str, shape: Any, given: dict[str, str], key: str, read: set[str]) -> list[Any]:
    found: list[Any] = []
    prefix = key if service == "ec2" else f"{key}.member"
    while _is_given(given, f"{prefix}.{len(found) + 1}"):
        found.append(_value(service, shape.member, given, f"{prefix}.{len(found) + 1}", read))
    return found
