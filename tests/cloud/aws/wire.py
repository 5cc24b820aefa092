"""AWS's wire formats by botocore's own shapes: requests into plain values, answers into XML."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import botocore.session
from werkzeug.wrappers import Response

_SCOPE = re.compile(r"Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request")


class RefusedError(Exception):
    """What a service says no with."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message or code, status


@dataclass(kw_only=True)
class Call:
    """One request of a client, before any service has looked at it."""

    service: str
    operation: str
    region: str
    access_key: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    environ: dict[str, Any]
    invocation: str | None = None
    """The same for all tries that botocore makes of one call."""
    values: dict[str, Any] = field(default_factory=dict)
    """The operation's parameters, for services that read them by shape."""

    @property
    def name(self) -> tuple[str, str]:
        return self.service, self.operation


@cache
def model_of(service: str) -> Any:
    """Botocore's description of a service, by its signing name."""
    known = {"tagging": "resourcegroupstaggingapi"}
    return botocore.session.get_session().get_service_model(known.get(service, service))


def read_call(environ: dict[str, Any], body: bytes) -> Call:
    """What is asked, of which service, by whom.

    Raises:
        RefusedError: It is not signed, or no operation of the service looks like this.
    """
    headers = {
        name[5:].replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    scope = _SCOPE.search(headers.get("authorization", ""))
    if scope is None:
        raise RefusedError("MissingAuthenticationToken", "the request is not signed", 403)
    access_key, _day, region, service = scope.groups()
    query = {
        name: values[0]
        for name, values in parse_qs(environ["QUERY_STRING"], keep_blank_values=True).items()
    }
    call = Call(
        service=service, operation="", region=region, access_key=access_key,
        method=environ["REQUEST_METHOD"], path=environ.get("RAW_URI", "").partition("?")[0],
        query=query, headers=headers, body=body, environ=environ,
        invocation=headers.get("amz-sdk-invocation-id"),
    )  # fmt: skip
    call.operation = _operation(call)
    return call


def _operation(call: Call) -> str:
    model = model_of(call.service)
    if call.headers.get("x-amz-target"):
        return call.headers["x-amz-target"].rpartition(".")[2]
    if model.resolved_protocol in ("query", "ec2"):
        return parse_qs(call.body.decode()).get("Action", ["Unknown"])[0]
    found = [route for route in _routes(call.service) if route.fits(call)]
    if not found:
        raise RefusedError("UnknownOperation", f"{call.method} {call.path}", 404)
    return max(found, key=lambda route: route.certainty(call)).operation


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """How an operation's requests look."""

    operation: str
    method: str
    pattern: re.Pattern[str]
    constants: Mapping[str, str]
    required: tuple[tuple[str, str], ...]
    """Names of required parameters with their place: querystring or header."""
    is_deprecated: bool

    def fits(self, call: Call) -> bool:
        if self.method != call.method or self.pattern.fullmatch(call.path) is None:
            return False
        return all(
            name in call.query and value in ("", call.query[name])
            for name, value in self.constants.items()
        )

    def certainty(self, call: Call) -> tuple[int, int, bool]:
        """Constant words of the query count most, then parameters that only one of them takes."""
        score = 0
        for name, place in self.required:
            found = name in call.query if place == "querystring" else name.lower() in call.headers
            score += 1 if found else -100
        return len(self.constants), score, not self.is_deprecated


@cache
def _routes(service: str) -> tuple[_Route, ...]:
    model = model_of(service)
    return tuple(_route(model.operation_model(name)) for name in model.operation_names)


def _route(operation: Any) -> _Route:
    uri, _, query = operation.http["requestUri"].partition("?")
    shape = operation.input_shape
    placed = [
        (shape.members[name].serialization.get("name", name), shape.members[name].serialization)
        for name in (shape.required_members if shape else ())
    ]
    return _Route(
        operation=operation.name,
        method=operation.http["method"],
        pattern=_uri_pattern(uri),
        constants={
            name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()
        },
        required=tuple(
            (name, where["location"])
            for name, where in placed
            if where.get("location") in ("querystring", "header")
        ),
        is_deprecated=operation.deprecated,
    )


@cache
def _uri_pattern(uri: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]+\})", uri.rstrip("/") or "/")
    written = "".join(
        ("(?P<" + part[1:-1].rstrip("+") + ">" + (".+" if part.endswith("+}") else "[^/]+") + ")")
        if part.startswith("{")
        else re.escape(part)
        for part in parts
    )
    return re.compile(f"{written}/?")


def read_values(call: Call) -> dict[str, Any]:
    """The parameters of a rest-xml or json operation; an unknown or missing one is refused."""
    model = model_of(call.service)
    operation = model.operation_model(call.operation)
    shape = operation.input_shape
    if shape is None:
        return {}
    if model.resolved_protocol == "json":
        return dict(json.loads(call.body or b"{}"))
    uri = operation.http["requestUri"].partition("?")[0]
    placed = _uri_pattern(uri).fullmatch(call.path)
    values: dict[str, Any] = {}
    for name, member in shape.members.items():
        where, key = member.serialization.get("location"), member.serialization.get("name", name)
        if where == "uri" and placed is not None:
            values[name] = unquote(placed.group(key))
        elif where == "querystring" and key in call.query:
            values[name] = call.query[key]
        elif where == "header" and key.lower() in call.headers:
            values[name] = call.headers[key.lower()]
    values.update(_body_values(call, shape))
    missing = [name for name in shape.required_members if name not in values]
    if missing:
        raise RefusedError("MalformedXML", f"{missing} is missing in {call.operation}")
    return values


def _body_values(call: Call, shape: Any) -> dict[str, Any]:
    if not call.body:
        return {}
    root = ET.fromstring(call.body)
    payload = shape.serialization.get("payload")
    if payload is not None:
        return {payload: _from_xml(shape.members[payload], root)}
    return dict(_from_xml(shape, root))


def _from_xml(shape: Any, node: ET.Element) -> Any:
    if shape.type_name == "structure":
        return _structure(shape, node)
    if shape.type_name == "list":
        return [_from_xml(shape.member, child) for child in node]
    text = node.text or ""
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[text]
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name == "blob":
        return base64.b64decode(text)
    allowed: list[str] = getattr(shape, "enum", None) or []
    if allowed and text not in allowed:
        raise RefusedError("InvalidArgument", f"{text!r} is none of {allowed}")
    return text


def _structure(shape: Any, node: ET.Element) -> dict[str, Any]:
    by_tag = {
        member.serialization.get("name", name): (name, member)
        for name, member in shape.members.items()
        if "location" not in member.serialization
    }
    values = {}
    for child in node:
        tag = child.tag.rpartition("}")[2]
        if tag not in by_tag:
            raise RefusedError("MalformedXML", f"{shape.name} has no {tag}")
        name, member = by_tag[tag]
        values[name] = _from_xml(member, child)
    missing = [
        name
        for name in shape.required_members
        if name not in values and "location" not in shape.members[name].serialization
    ]
    if missing:
        raise RefusedError("MalformedXML", f"{missing} is missing in {shape.name}")
    return values


def answer(call: Call, values: Mapping[str, Any] | None = None) -> Response:
    """The operation's answer in its service's format."""
    model = model_of(call.service)
    operation = model.operation_model(call.operation)
    status = int(operation.http.get("responseCode", 200))
    shape, given = operation.output_shape, dict(values or {})
    if model.resolved_protocol == "json":
        return Response(json.dumps(given), status, content_type="application/x-amz-json-1.1")
    if shape is None:
        return Response(b"", status)
    headers = {
        member.serialization["name"]: str(given.pop(name))
        for name, member in shape.members.items()
        if member.serialization.get("location") == "header" and name in given
    }
    payload = shape.serialization.get("payload")
    if payload is not None and shape.members[payload].type_name == "blob":
        return Response(given.get(payload, b""), status, headers)
    element = _to_xml(
        payload or call.operation + "Result",
        shape.members[payload] if payload else shape,
        given.get(payload, {}) if payload else given,
    )
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{element}'
    return Response(text, status, headers, content_type="text/xml")


def _to_xml(tag: str, shape: Any, value: Any) -> str:
    if shape.type_name == "structure":
        inner = "".join(
            _to_xml(member.serialization.get("name", name), member, value[name])
            for name, member in shape.members.items()
            if name in value and value[name] is not None
        )
    elif shape.type_name == "list":
        item = shape.member.serialization.get("name", "member")
        inner = "".join(_to_xml(item, shape.member, one) for one in value)
    else:
        inner = escape(_scalar(value))
    return f"<{tag}>{inner}</{tag}>"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def refusal(call: Call | None, error: RefusedError) -> Response:
    """The error document as the service's protocol writes it."""
    headers = {"x-amzn-errortype": error.code, "x-amz-request-id": "stand-in"}
    protocol = model_of(call.service).resolved_protocol if call is not None else "rest-xml"
    if protocol == "json":
        text = json.dumps({"__type": error.code, "message": error.message})
        return Response(text, error.status, headers, content_type="application/x-amz-json-1.1")
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if call is not None and call.service == "s3":
        text = f"<Error>{inner}<RequestId>stand-in</RequestId></Error>"
    elif protocol == "ec2":
        text = (
            f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>x</RequestID></Response>"
        )
    else:
        inner = f"<Error><Type>Sender</Type>{inner}</Error><RequestId>x</RequestId>"
        text = f"<ErrorResponse>{inner}</ErrorResponse>"
    return Response(text, error.status, headers, content_type="text/xml")
