"""What the management plane knows about a resource type, and how it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cloud.azure.arm_state import ArmState, Stored


class ArmError(Exception):
    """An answer with Azure's error envelope."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Style(StrEnum):
    """How a long-running operation is followed."""

    NONE = "none"
    LOCATION = "location"
    ASYNC = "azure-asyncoperation"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """Rules of one type; `path` is such as `Microsoft.Cdn/profiles/afdEndpoints`.

    Attributes:
        model: The SDK's model of the PUT body.
        required: Dotted names that a body must have.
        name: What a name must look like.
        check: Refuses a PUT by raising; gets the body and what is there already.
        filled: Read-only properties that Azure adds once the resource is made.
        removed: Runs when the resource or a parent of it is deleted.
        busy: Why it cannot be deleted now, None if it can.
        actions: POST verbs such as `purge`; a callable answer is what happens once the
            operation ends, anything else is answered at once.
    """

    path: str
    model: Callable[[], type] | None
    name: str = r"[A-Za-z0-9]+(-*[A-Za-z0-9])*"
    longest: int = 260
    taggable: bool = True
    required: tuple[str, ...] = ()
    style: Style = Style.NONE
    check: Callable[[ArmState, str, dict[str, Any], Stored | None], None] | None = None
    filled: Callable[[ArmState, str, dict[str, Any]], None] | None = None
    removed: Callable[[ArmState, Stored], None] | None = None
    busy: Callable[[ArmState, Stored], str | None] | None = None
    actions: Mapping[str, Callable[[ArmState, Stored, Any], Any]] = field(default_factory=dict)
    keeps_state: bool = True
    """Whether the resource has a `properties.provisioningState`."""
    begun: Callable[[ArmState, Stored], Callable[[], None] | None] | None = None
    """Runs when a PUT is taken; what it answers waits, without any lock, until it is done."""
    views: Mapping[str, Callable[[ArmState, Stored], Any]] = field(default_factory=dict)
    """What a GET below the resource answers, such as `instanceView`."""
    shown: Callable[[dict[str, Any], Mapping[str, str]], dict[str, Any]] | None = None
    """The document as a GET with that query shows it."""


_OWN_TAGS = frozenset({"UserGUID", "SessionID", "ExecutionID", "SiteType"})
_ALL_TAGS = frozenset(
    {"Project", "Environment", "CreatedAt", "CreatedBy", "CostCenter", "InstallationID"}
)


def check_name(kind: ResourceType, name: str) -> None:
    if len(name) > kind.longest or not re.fullmatch(kind.name, name):
        raise ArmError(400, "InvalidResourceName", f"{name!r} is no name for {kind.path}.")


def check_required(kind: ResourceType, body: Mapping[str, Any]) -> None:
    for dotted in kind.required:
        value: Any = body
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            raise ArmError(400, "InvalidRequestContent", f"{dotted} is required.")


def check_tags(tags: Mapping[str, str] | None) -> None:
    """What an organisation's policy that enforces cost tags does."""
    found = frozenset(tags or {})
    missing = _ALL_TAGS - found
    is_shared = (tags or {}).get("Scope") == "shared"
    if is_shared and found & _OWN_TAGS:
        raise _disallowed(f"a shared resource names a session: {sorted(found & _OWN_TAGS)}")
    if not is_shared:
        missing |= _OWN_TAGS - found
    if missing:
        raise _disallowed(f"the tags {sorted(missing)} are missing")


def _disallowed(why: str) -> ArmError:
    return ArmError(403, "RequestDisallowedByPolicy", f"Resource was disallowed: {why}.")
