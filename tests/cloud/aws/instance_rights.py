"""What an instance's own login may do: its role's policies, read as IAM reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Response

from tests.cloud.aws.standin import Service
from tests.cloud.aws.wire import Call, RefusedError, read_values

INSTANCE_KEY = "ASIA"
"""An instance's access key is this and its id."""

_ACTIONS = {
    "GetObject": "s3:GetObject", "HeadObject": "s3:GetObject",
    "GetParametersByPath": "ssm:GetParametersByPath", "GetParameter": "ssm:GetParameter",
}  # fmt: skip


class Guarded:
    """A service that lets instances in by their rights only; everybody else passes."""

    def __init__(
        self, service: Service, rights_of: Callable[[str], list[dict[str, Any]]], account_id: str
    ) -> None:
        self._service = service
        self._rights_of = rights_of
        self._account_id = account_id

    def answer(self, call: Call) -> Response | None:
        if call.access_key.startswith(INSTANCE_KEY):
            self._require_right(call)
        return self._service.answer(call)

    def after(self, call: Call, response: Response) -> None:
        self._service.after(call, response)

    def _require_right(self, call: Call) -> None:
        instance_id = call.access_key.removeprefix(INSTANCE_KEY)
        action, resource = _ACTIONS.get(call.operation, call.operation), self._resource(call)
        if not allows(self._rights_of(instance_id), action, resource):
            code = "AccessDenied" if call.service == "s3" else "AccessDeniedException"
            raise RefusedError(code, f"{instance_id} may not {action} on {resource}", 403)

    def _resource(self, call: Call) -> str:
        if call.service == "s3":
            return f"arn:aws:s3:::{unquote(call.path).lstrip('/')}"
        values = read_values(call)
        name = values.get("Path") or values.get("Name") or ""
        return f"arn:aws:ssm:{call.region}:{self._account_id}:parameter{name}"


def allows(statements: Iterable[dict[str, Any]], action: str, resource: str) -> bool:
    """A denial beats every right."""
    effects = {
        one["Effect"]
        for one in statements
        if _matches(one["Action"], action) and _covers(one, resource)
    }
    return effects == {"Allow"}


def _covers(statement: dict[str, Any], resource: str) -> bool:
    if "NotResource" in statement:
        return not _matches(statement["NotResource"], resource)
    return _matches(statement["Resource"], resource)


def _matches(patterns: str | list[str], text: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(text, re.sub(r"\[", "[[]", one)) for one in listed)
