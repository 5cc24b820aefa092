"""What an instance's own login may do: its role's policies, read as IAM reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What a role's policies say, within what its boundary says where it has one."""

    principal: str
    statements: list[dict[str, Any]]
    bounds: list[dict[str, Any]] | None = None


class Guarded:
    """A service that lets instances in by their rights only; everybody else passes."""

    def __init__(
        self, service: Service, rights_of: Callable[[str], Rights], account_id: str
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


def allows(rights: Rights, action: str, resource: str) -> bool:
    """What the role's policies and its boundary both allow."""
    said = (rights.statements, *([] if rights.bounds is None else [rights.bounds]))
    return all(_allows(one, rights.principal, action, resource) for one in said)


def _allows(
    statements: Iterable[dict[str, Any]], principal: str, action: str, resource: str
) -> bool:
    """A denial beats every right."""
    effects = {
        one["Effect"]
        for one in statements
        if _matches(one["Action"], action) and _covers(one, resource) and _holds(one, principal)
    }
    return effects == {"Allow"}


def _holds(statement: dict[str, Any], principal: str) -> bool:
    """Who asks is all that is known here; any other condition does not hold."""
    condition = statement.get("Condition")
    if condition is None:
        return True
    wanted = condition.get("ArnLike", {}).get("aws:PrincipalArn")
    return wanted is not None and len(condition) == 1 and _matches(wanted, principal)


def _covers(statement: dict[str, Any], resource: str) -> bool:
    if "NotResource" in statement:
        return not _matches(statement["NotResource"], resource)
    return _matches(statement["Resource"], resource)


def _matches(patterns: str | list[str], text: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(text, re.sub(r"\[", "[[]", one)) for one in listed)
