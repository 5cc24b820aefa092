"""The management plane over https: tokens, api versions, routes, envelopes, long operations."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any
from urllib.parse import urlencode

from tests.cloud.aws.certificates import Certificates
from tests.cloud.azure.arm_authorization import ROLE_ASSIGNMENTS, roles_at
from tests.cloud.azure.arm_state import ArmState, Operation, Stored, parent_of
from tests.cloud.azure.arm_types import ArmError, ResourceType, Style
from tests.cloud.azure.faults import Call, Calls
from tests.cloud.azure.model_check import writable
from tests.cloud.azure.serving import Answer, Asked, LoopbackServer, json_answer
from tests.cloud.azure.tokens import principal_of

SUBSCRIPTION_ID = "0f1e2d3c-4b5a-4968-8776-655443322110"
SUBSCRIPTION_NAME = "sunwaretech"
LOCATIONS = ["East US", "West Europe"]
PAGE = 3

_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
_GROUP = re.compile(r"/subscriptions/[^/]+/resourcegroups/[^/]+", re.IGNORECASE)
_GROUP_RESOURCES = re.compile(
    r"(/subscriptions/[^/]+/resourcegroups/[^/]+)/resources", re.IGNORECASE
)
_PROVIDER = re.compile(r"/subscriptions/[^/]+/providers/([^/]+)", re.IGNORECASE)
_FILTER = re.compile(r"tagName eq '([^']+)'(?: and tagValue eq '([^']+)')?")
_TAGS = "/providers/microsoft.resources/tags/default"
_TAG_PARTS = {"operation", "properties"}
_NAMES = re.compile(r"(tmux[0-9a-z-]{8,}|[0-9a-f-]{36}|op\d{5})", re.IGNORECASE)


class ArmService:
    """One Azure's management plane. `state` may be looked at and changed by tests under `lock`.

    Args:
        types: The resource types that it knows.
    """

    def __init__(
        self, certificates: Certificates, calls: Calls, types: Iterable[ResourceType]
    ) -> None:
        known = {kind.path.lower(): kind for kind in types}
        self.lock = threading.RLock()
        self.calls = calls
        self.state = ArmState(SUBSCRIPTION_ID, known)
        self.subscriptions = [(SUBSCRIPTION_ID, SUBSCRIPTION_NAME)]
        self.catalogues: dict[str, Callable[[Asked], list[dict[str, Any]]]] = {}
        """Lists of the subscription as a whole, by their path in lower case."""
        self._server = LoopbackServer(self._answer, certificates.server_context())
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def reset(self) -> None:
        """An empty subscription again."""
        with self.lock:
            self.state.settle()
            for one in [one for one in self.state.resources.values() if _is_group(one.resource_id)]:
                self.state.remove(one.resource_id)
            self.state.resources.clear()
            self.state.operations.clear()
            self.subscriptions = [(SUBSCRIPTION_ID, SUBSCRIPTION_NAME)]

    def _answer(self, asked: Asked) -> Answer:
        call = Call(plane="arm", method=asked.method, path=_NAMES.sub("*", asked.path))
        return self.calls.through(call, lambda: self._checked(asked))

    def await_machines(self, path: str | None = None) -> None:
        """Wait for what machines are doing, where a look at the path may end it; or for all."""
        with self.lock:
            waits = self.state.waits(path)
        for wait in waits:
            wait()

    def _checked(self, asked: Asked) -> Answer:
        self.await_machines(asked.path)
        try:
            with self.lock:
                if principal_of(asked, self.url) is None:
                    raise ArmError(401, "InvalidAuthenticationToken", "A valid token is needed.")
                self._check_version(asked)
                return self._routed(asked)
        except ArmError as error:
            return _envelope(error)

    def _check_version(self, asked: Asked) -> None:
        version = asked.query.get("api-version")
        if version is None:
            raise ArmError(
                400, "MissingApiVersionParameter", "The api-version query parameter is required."
            )
        if not _VERSION.fullmatch(version):
            raise ArmError(400, "InvalidApiVersionParameter", f"{version!r} is no api-version.")

    def _routed(self, asked: Asked) -> Answer:
        path = asked.path.rstrip("/")
        if path.startswith("/operation"):
            return self._followed(path)
        if path.lower() == "/subscriptions":
            return self._subscriptions()
        self._check_subscription(path)
        found = self._in_subscription(asked, path)
        if found is not None:
            return found
        return self._group(asked, path) if _is_group(path) else self._resource(asked, path)

    def _in_subscription(self, asked: Asked, path: str) -> Answer | None:
        """What is asked of the subscription as a whole, or of a group as a whole."""
        place = path.lower().removeprefix(f"/subscriptions/{self.state.subscription_id}")
        if place in ("/resources", "/resourcegroups"):
            return self._listed(asked, self._tagged(asked, with_groups="groups" in place))
        if match := _GROUP_RESOURCES.fullmatch(path):
            return self._listed(asked, self._in_group(match[1]))
        if place in self.catalogues:
            return self._paged(asked, self.catalogues[place](asked))
        if match := _PROVIDER.fullmatch(path):
            return self._provider(match[1])
        if place == "/providers/microsoft.storage/checknameavailability":
            return self._name_availability(asked.json())
        return None

    def _followed(self, path: str) -> Answer:
        operation = self.state.operations.get(path.rpartition("/")[2])
        if operation is None:
            raise ArmError(404, "OperationNotFound", path)
        if path.startswith("/operationresults/"):
            return self._operation_result(operation)
        return self._operation(operation)

    def _subscriptions(self) -> Answer:
        rows = [
            {
                "subscriptionId": one,
                "id": f"/subscriptions/{one}",
                "displayName": title,
                "state": "Enabled",
            }
            for one, title in self.subscriptions
        ]
        return json_answer(200, {"value": rows})

    def _in_group(self, group_id: str) -> list[Stored]:
        self.state.needed(group_id)
        return [one for one in self.state.under(group_id) if self._is_listed(one)]

    def _provider(self, namespace: str) -> Answer:
        """Every provider is registered, and everything can be made in a few places."""
        prefix = f"{namespace.lower()}/"
        kinds = [kind.path for key, kind in self.state.types.items() if key.startswith(prefix)]
        rows = [{"resourceType": path.partition("/")[2], "locations": LOCATIONS} for path in kinds]
        state = "Registered" if kinds else "NotRegistered"
        document = {"namespace": namespace, "registrationState": state, "resourceTypes": rows}
        return json_answer(200, document)

    def _check_subscription(self, path: str) -> None:
        named = path.split("/")[2].lower() if path.count("/") >= 2 else ""
        if not any(named == one for one, _title in self.subscriptions):
            raise ArmError(404, "SubscriptionNotFound", f"Subscription {named} was not found.")

    def _tagged(self, asked: Asked, *, with_groups: bool) -> list[Stored]:
        rows = [
            one
            for one in self.state.resources.values()
            if _is_group(one.resource_id) == with_groups and self._is_listed(one)
        ]
        wanted = asked.query.get("$filter")
        if wanted is None:
            return rows
        match = _FILTER.fullmatch(wanted)
        if match is None:
            raise ArmError(400, "InvalidFilterInQueryString", wanted)
        name, value = match.groups()
        return [one for one in rows if name in one.tags and value in (None, one.tags[name])]

    def _is_listed(self, one: Stored) -> bool:
        """The list of a subscription's resources has those that take tags."""
        kind = self.state.types.get(one.kind.lower())
        return kind is None or kind.taggable

    def _group(self, asked: Asked, path: str) -> Answer:
        if asked.method == "PUT":
            status, stored = self.state.put_group(path, asked.json())
            return json_answer(status, stored.document)
        if asked.method == "HEAD":
            return Answer(status=204 if self.state.get(path) else 404)
        stored = self.state.needed(path)
        if asked.method == "GET":
            self.state.look(path)
            return json_answer(200, self.state.needed(path).document)
        if asked.method == "DELETE":
            self.state.check_unlocked(path)
            if any(self.state.running(path)):
                return self._accepted(next(iter(self._ids_of(path))))
            stored.properties["provisioningState"] = "Deleting"
            return self._accepted(self.state.start(path, lambda: self.state.remove(path)))
        raise _no_method(asked)

    def _resource(self, asked: Asked, path: str) -> Answer:
        beside = self._beside(asked, path)
        if beside is not None:
            return beside
        scope, kind_path, name, action = _parsed(path, asked.method)
        kind = self.state.types.get(kind_path.lower())
        if kind is None:
            raise ArmError(404, "InvalidResourceType", f"{kind_path} is not known here.")
        if name is None:
            self.state.needed(scope)
            return self._listed(asked, self._children(path, kind))
        if action is not None:
            resource_id = path.rpartition("/")[0]
            return self._act(asked, self.state.needed(resource_id), kind, action)
        return self._one(asked, path, kind)

    def _one(self, asked: Asked, path: str, kind: ResourceType) -> Answer:
        match asked.method:
            case "GET":
                self.state.look(path)
                document = self.state.needed(path).document
                shown = document if kind.shown is None else kind.shown(document, asked.query)
                return json_answer(200, shown)
            case "PUT":
                self._check_conditions(asked, path)
                return self._put(path, kind, asked.json() or {})
            case "PATCH":
                merged = _merged(self._writable(self.state.needed(path), kind), asked.json())
                return self._put(path, kind, merged)
            case "DELETE":
                return self._delete(path, kind)
        raise _no_method(asked)

    def _check_conditions(self, asked: Asked, path: str) -> None:
        stored, wanted = self.state.get(path), asked.headers.get("if-match")
        if asked.headers.get("if-none-match") == "*" and stored is not None:
            raise ArmError(412, "PreconditionFailed", f"{path} exists already.")
        if wanted is not None and (stored is None or stored.document.get("etag") != wanted):
            raise ArmError(412, "PreconditionFailed", f"{path} is another one by now.")

    def _beside(self, asked: Asked, path: str) -> Answer | None:
        """A resource's tags or one of its views; None where the path is none."""
        if path.lower().endswith(_TAGS):
            return self._tags_of(asked, path[: -len(_TAGS)])
        parent, _slash, word = path.rpartition("/")
        stored = self.state.get(parent)
        kind = None if stored is None else self.state.types.get(stored.kind.lower())
        if stored is None or kind is None or asked.method != "GET" or word not in kind.views:
            return None
        return json_answer(200, kind.views[word](self.state, stored))

    def _tags_of(self, asked: Asked, scope: str) -> Answer:
        """The tags of one resource, by themselves."""
        stored = self.state.needed(scope)
        if asked.method == "PATCH":
            body = asked.json()
            if body.get("operation") not in ("Merge", "Replace") or set(body) - _TAG_PARTS:
                raise ArmError(400, "InvalidTagsRequest", "An operation is needed, and tags.")
            merged = stored.tags if body["operation"] == "Merge" else {}
            stored.document["tags"] = {**merged, **body["properties"]["tags"]}
        elif asked.method != "GET":
            raise _no_method(asked)
        return json_answer(200, {"properties": {"tags": stored.tags}})

    def _writable(self, stored: Stored, kind: ResourceType) -> dict[str, Any]:
        if kind.model is not None:
            return deepcopy(writable(stored.document, kind.model()))
        plain = {key: value for key, value in stored.document.items()
                 if key not in ("id", "name", "type", "systemData")}  # fmt: skip
        plain["properties"] = {
            key: value for key, value in stored.properties.items() if key != "provisioningState"
        }
        return deepcopy(plain)

    def _children(self, path: str, kind: ResourceType) -> list[Stored]:
        """What lies directly in a parent; assignments of roles count for all that lies below."""
        if kind.path == ROLE_ASSIGNMENTS:
            return roles_at(self.state, parent_of(f"{path}/any"))
        below = f"{path.lower()}/"
        found = [
            one for one in self.state.of(kind.path) if one.resource_id.lower().startswith(below)
        ]
        return [one for one in found if "/" not in one.resource_id[len(below) :]]

    def _put(self, path: str, kind: ResourceType, body: dict[str, Any]) -> Answer:
        is_new = self.state.get(path) is None
        stored = self.state.put(path, kind, body)
        if kind.style is Style.NONE:
            self.state.finish(stored, kind)
            return json_answer(201 if is_new else 200, stored.document)
        operation = self.state.start(path, lambda: self.state.finish(stored, kind))
        if kind.begun is not None:
            self.state.operations[operation].wait = kind.begun(self.state, stored)
        if kind.style is Style.LOCATION:
            return self._accepted(operation)
        headers = {"Azure-AsyncOperation": self._link("operations", operation)}
        return json_answer(201 if is_new else 200, stored.document, headers)

    def _delete(self, path: str, kind: ResourceType) -> Answer:
        stored = self.state.get(path)
        if stored is None:
            return Answer(status=204)
        self.state.check_unlocked(path)
        why = kind.busy(self.state, stored) if kind.busy is not None else None
        if why is not None:
            raise ArmError(409, "ResourceInUse", why)
        if kind.style is Style.NONE:
            self.state.remove(path)
            return json_answer(200, stored.document)
        if any(self.state.running(path)):
            self.state.look(path)
            raise ArmError(409, "AnotherOperationInProgress", f"{path} is being changed.")
        stored.properties["provisioningState"] = "Deleting"
        operation = self.state.start(path, lambda: self.state.remove(path))
        if kind.style is Style.ASYNC:
            return Answer(
                status=202, headers={"Azure-AsyncOperation": self._link("operations", operation)}
            )
        return self._accepted(operation)

    def _act(self, asked: Asked, stored: Stored, kind: ResourceType, action: str) -> Answer:
        if asked.method != "POST" or action not in kind.actions:
            raise ArmError(404, "InvalidResourceAction", f"{kind.path} has no action {action}.")
        result = kind.actions[action](self.state, stored, asked.json())
        if not callable(result):
            return json_answer(200, result)
        return self._accepted(self.state.start(f"{stored.resource_id}/{action}", result))

    def _accepted(self, operation_id: str) -> Answer:
        return Answer(
            status=202, headers={"Location": self._link("operationresults", operation_id)}
        )

    def _link(self, kind: str, operation_id: str) -> str:
        return f"{self.url}/{kind}/{operation_id}?api-version=2024-01-01"

    def _ids_of(self, resource_id: str) -> Iterable[str]:
        for operation_id, operation in self.state.operations.items():
            if operation.resource_id.lower() == resource_id.lower() and not operation.is_done():
                yield operation_id

    def _operation(self, operation: Operation) -> Answer:
        self.state.advance(operation)
        if operation.failed is not None:
            error = {"code": operation.failed.code, "message": operation.failed.message}
            return json_answer(200, {"status": "Failed", "error": error})
        return json_answer(200, {"status": "Succeeded" if operation.is_done() else "InProgress"})

    def _operation_result(self, operation: Operation) -> Answer:
        self.state.advance(operation)
        if operation.failed is not None:
            raise operation.failed
        if not operation.is_done():
            operation_id = next(k for k, v in self.state.operations.items() if v is operation)
            return Answer(
                status=202, headers={"Location": self._link("operationresults", operation_id)}
            )
        stored = self.state.get(operation.resource_id)
        return Answer(status=200) if stored is None else json_answer(200, stored.document)

    def _name_availability(self, body: dict[str, Any]) -> Answer:
        if set(body) - {"name", "type"}:
            raise ArmError(400, "InvalidRequestContent", "unknown properties")
        if not self.state.is_taken(body["name"], "Microsoft.Storage/storageAccounts"):
            return json_answer(200, {"nameAvailable": True})
        why = {"reason": "AlreadyExists", "message": "The name is taken."}
        return json_answer(200, {"nameAvailable": False, **why})

    def _listed(self, asked: Asked, found: Iterable[Stored]) -> Answer:
        return self._paged(asked, [one.document for one in found])

    def _paged(self, asked: Asked, rows: list[dict[str, Any]]) -> Answer:
        """A few at a time: the rest is at the link of the page."""
        start = int(asked.query.get("$skiptoken", "0"))
        document: dict[str, Any] = {"value": rows[start : start + PAGE]}
        if start + PAGE < len(rows):
            query = urlencode({**asked.query, "$skiptoken": start + PAGE})
            document["nextLink"] = f"{self.url}{asked.path}?{query}"
        return json_answer(200, document)


def _is_group(resource_id: str) -> bool:
    return _GROUP.fullmatch(resource_id) is not None


def _parsed(path: str, method: str) -> tuple[str, str, str | None, str | None]:
    """(parent, type, name or None for a list, action or None) of a path below a provider."""
    scope, mark, rest = path.rpartition("/providers/")
    namespace, *pairs = rest.split("/")
    if not mark or not pairs:
        raise ArmError(404, "InvalidResourceType", f"{path} names no resource.")
    if len(pairs) % 2 == 0:
        return scope, f"{namespace}/{'/'.join(pairs[0::2])}", pairs[-1], None
    if method == "POST":
        return scope, f"{namespace}/{'/'.join(pairs[:-1][0::2])}", pairs[-2], pairs[-1]
    parent = scope if len(pairs) == 1 else path.rpartition("/")[0]
    return parent, f"{namespace}/{'/'.join(pairs[0::2])}", None, None


def _merged(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            document[key] = _merged(document[key], value)
        else:
            document[key] = value
    return document


def _no_method(asked: Asked) -> ArmError:
    return ArmError(405, "HttpMethodNotAllowed", f"{asked.method} is not for {asked.path}.")


def _envelope(error: ArmError) -> Answer:
    headers = {"x-ms-failure-cause": "gateway"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer authorization_uri="https://login.example"'
    document = {"error": {"code": error.code, "message": error.message}}
    return Answer(
        status=error.status,
        body=json.dumps(document).encode(),
        headers={"Content-Type": "application/json; charset=utf-8", **headers},
    )
