"""What exists in one Azure of the tests: a tree of resources and the operations that go on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.cloud.azure.arm_types import (
    ArmError,
    ResourceType,
    check_name,
    check_required,
    check_tags,
)
from tests.cloud.azure.model_check import problems

POLLS = 1
"""How often an operation answers that it is still in progress."""

_GROUP = re.compile(r"/subscriptions/[^/]+/resourcegroups/[^/]+", re.IGNORECASE)
_GROUP_NAME = re.compile(r"[-\w.()]{0,89}[-\w()]")


@dataclass(slots=True, kw_only=True)
class Stored:
    """A resource as it is answered to a GET."""

    resource_id: str
    kind: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        return self.resource_id.rpartition("/")[2]

    @property
    def tags(self) -> dict[str, str]:
        found: dict[str, str] = self.document.get("tags") or {}
        return found

    @property
    def properties(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document.setdefault("properties", {})
        return found


@dataclass(slots=True, kw_only=True)
class Operation:
    """Something long-running: done after a few looks, at it or at its resource."""

    resource_id: str
    finish: Callable[[], Any]
    left: int = POLLS
    wait: Callable[[], None] | None = None
    """Blocks until it can end; called without any lock."""
    result: Any = None
    failed: ArmError | None = None

    def is_done(self) -> bool:
        return self.left < 0


class ArmState:
    """The subscription's resources by lower-case id. Not safe by itself: the service locks."""

    def __init__(self, subscription_id: str, types: dict[str, ResourceType]) -> None:
        self.subscription_id = subscription_id
        self.types = types
        self.resources: dict[str, Stored] = {}
        self.operations: dict[str, Operation] = {}
        self.taken_names: set[str] = set()
        """Names that somebody else in the world has, for types whose names are global."""
        self.locked: set[str] = set()
        """Ids in lower case that somebody put a lock on: they cannot be deleted."""
        self._numbers = itertools.count(1)

    def get(self, resource_id: str) -> Stored | None:
        return self.resources.get(resource_id.lower())

    def needed(self, resource_id: str) -> Stored:
        found = self.get(resource_id)
        if found is not None:
            return found
        group = _GROUP.match(resource_id)
        if group is not None and self.get(group[0]) is None:
            raise ArmError(
                404, "ResourceGroupNotFound", f"Resource group {group[0]} could not be found."
            )
        if group is not None and group[0].lower() == resource_id.lower():
            raise ArmError(404, "ResourceGroupNotFound", f"{resource_id} could not be found.")
        raise ArmError(404, "ResourceNotFound", f"The resource {resource_id} was not found.")

    def under(self, resource_id: str) -> list[Stored]:
        prefix = f"{resource_id.lower()}/"
        return [one for key, one in self.resources.items() if key.startswith(prefix)]

    def of(self, kind: str, scope: str = "") -> list[Stored]:
        wanted, prefix = kind.lower(), scope.lower()
        return [
            one
            for key, one in self.resources.items()
            if one.kind.lower() == wanted and key.startswith(prefix)
        ]

    def is_taken(self, name: str, kind: str) -> bool:
        return name in self.taken_names or any(one.name == name for one in self.of(kind))

    def put_group(self, resource_id: str, body: dict[str, Any]) -> tuple[int, Stored]:
        """A resource group is made at once."""
        name = resource_id.rpartition("/")[2]
        if not _GROUP_NAME.fullmatch(name):
            raise ArmError(400, "InvalidResourceGroup", f"{name!r} is no resource group's name.")
        unknown = set(body) - {"location", "tags", "managedBy", "properties"}
        if unknown or not body.get("location"):
            raise ArmError(400, "InvalidRequestContent", f"unknown {unknown}, or no location")
        before = self.get(resource_id)
        if before is not None and before.document["location"] != body["location"]:
            raise ArmError(409, "InvalidResourceGroupLocation", f"{name} already exists elsewhere.")
        check_tags(body.get("tags"))
        self._keep_tags(before, body)
        stored = self._store(resource_id, "Microsoft.Resources/resourceGroups", body)
        stored.properties["provisioningState"] = "Succeeded"
        return (201 if before is None else 200), stored

    def put(self, resource_id: str, kind: ResourceType, body: dict[str, Any]) -> Stored:
        """Check a PUT as strictly as the real one and more, then store it.

        Raises:
            ArmError: It is refused.
        """
        before = self.get(resource_id)
        check_name(kind, resource_id.rpartition("/")[2])
        self._check_parent(resource_id)
        self._check_idle(resource_id)
        wrong = list(problems(body, kind.model())) if kind.model is not None else []
        if wrong:
            raise ArmError(400, "InvalidRequestContent", "; ".join(wrong))
        check_required(kind, body)
        if kind.taggable:
            check_tags(body.get("tags"))
        self._keep_tags(before, body)
        if kind.check is not None:
            kind.check(self, resource_id, body, before)
        stored = self._store(resource_id, kind.path, body)
        if kind.keeps_state:
            stored.properties["provisioningState"] = "Creating"
        return stored

    def finish(self, stored: Stored, kind: ResourceType) -> None:
        """It is made: what Azure fills in is there from now on."""
        try:
            if kind.filled is not None:
                kind.filled(self, stored.resource_id, stored.document)
        except ArmError:
            stored.properties["provisioningState"] = "Failed"
            raise
        if kind.keeps_state:
            stored.properties["provisioningState"] = "Succeeded"

    def check_unlocked(self, resource_id: str) -> None:
        below = f"{resource_id.lower()}/"
        if any(f"{one}/".startswith(below) for one in self.locked):
            raise ArmError(409, "ScopeLocked", f"{resource_id} is locked against deletion.")

    def remove(self, resource_id: str) -> None:
        """A resource with everything below it."""
        for one in [*reversed(self.under(resource_id)), self.get(resource_id)]:
            if one is None:
                continue
            kind = self.types.get(one.kind.lower())
            if kind is not None and kind.removed is not None:
                kind.removed(self, one)
            self.resources.pop(one.resource_id.lower(), None)

    def start(self, resource_id: str, finish: Callable[[], Any]) -> str:
        """Begin an operation; its id."""
        operation_id = f"op{next(self._numbers):05d}"
        self.operations[operation_id] = Operation(resource_id=resource_id, finish=finish)
        return operation_id

    def look(self, resource_id: str) -> None:
        """Whoever looks at a resource sees its operation go on, as time passes for it."""
        for operation in self.running(resource_id):
            self.advance(operation)

    def waits(self, path: str | None = None) -> list[Callable[[], None]]:
        """What must be waited for before a look at the operation or resource may end it."""
        named = "" if path is None else path.rpartition("/")[2]
        return [
            operation.wait
            for operation_id, operation in self.operations.items()
            if operation.wait is not None
            and (path is None or operation.left == 0)
            and not operation.is_done()
            and (path is None or named == operation_id or _is_at(operation, path))
        ]

    def running(self, resource_id: str) -> Iterator[Operation]:
        for operation in list(self.operations.values()):
            if operation.resource_id.lower() == resource_id.lower() and not operation.is_done():
                yield operation

    def advance(self, operation: Operation) -> None:
        if operation.is_done():
            return
        operation.left -= 1
        if operation.is_done():
            try:
                operation.result = operation.finish()
            except ArmError as error:
                operation.failed = error

    def settle(self) -> None:
        """Let time pass: everything that goes on comes to its end."""
        for operation in list(self.operations.values()):
            while not operation.is_done():
                self.advance(operation)

    def _check_parent(self, resource_id: str) -> None:
        parent_id = parent_of(resource_id)
        parent = self.get(parent_id)
        if parent is not None:
            if parent.properties.get("provisioningState") in ("Creating", "Deleting"):
                raise ArmError(409, "Conflict", f"The parent {parent_id} is not ready.")
            return
        group = _GROUP.match(parent_id)
        if group is not None:
            self.needed(group[0])
        raise ArmError(404, "ParentResourceNotFound", f"The parent {parent_id} was not found.")

    def _check_idle(self, resource_id: str) -> None:
        is_busy = any(self.running(resource_id))
        self.look(resource_id)
        if is_busy:
            raise ArmError(
                409, "AnotherOperationInProgress", f"{resource_id} is being changed already."
            )

    def _keep_tags(self, before: Stored | None, body: dict[str, Any]) -> None:
        """Stricter than Azure: whoever puts again what exists must keep its tags."""
        if before is not None and before.tags and before.tags != (body.get("tags") or {}):
            raise ArmError(400, "TagsWouldChange", f"The tags of {before.resource_id} changed.")

    def _store(self, resource_id: str, kind: str, body: dict[str, Any]) -> Stored:
        before = self.get(resource_id)
        known_id = resource_id if before is None else before.resource_id
        document = {
            **deepcopy(body), "id": known_id, "name": known_id.rpartition("/")[2], "type": kind,
        }  # fmt: skip
        stored = Stored(resource_id=known_id, kind=kind, document=document)
        self.resources[resource_id.lower()] = stored
        return stored


def _is_at(operation: Operation, path: str) -> bool:
    return operation.resource_id.lower() == path.rstrip("/").lower()


def parent_of(resource_id: str) -> str:
    """The id of what a resource lies in: a resource, a resource group, or a scope."""
    scope, mark, rest = resource_id.rpartition("/providers/")
    parts = rest.split("/")
    if len(parts) <= 3:
        return scope
    return f"{scope}{mark}{'/'.join(parts[:-2])}"
