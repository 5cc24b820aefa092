"""Role assignments: who may touch which account's blobs."""

from __future__ import annotations

import uuid
from typing import Any

from tests.cloud.azure.arm_state import ArmState, Stored, parent_of
from tests.cloud.azure.arm_types import ArmError, ResourceType

ROLE_ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
KNOWN_ROLES = {BLOB_CONTRIBUTOR, BLOB_READER, SECRETS_USER}

_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_PARTS = {"roleDefinitionId", "principalId", "principalType", "description", "condition",
          "conditionVersion", "delegatedManagedIdentityResourceId"}  # fmt: skip


class AuthorizationTypes:
    """The type, and the principals that the directory knows.

    Attributes:
        is_open: Whether the login may assign roles at all.
    """

    def __init__(self, principals: set[str]) -> None:
        self.principals = principals
        self.is_open = True

    def give(self, state: ArmState, principal: str, role: str) -> None:
        """A role on the whole subscription, assigned by somebody else."""
        scope = f"/subscriptions/{state.subscription_id}"
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{principal}{role}"))
        resource_id = f"{scope}/providers/{ROLE_ASSIGNMENTS}/{name}"
        properties = {"roleDefinitionId": f"/{role}", "principalId": principal, "scope": scope}
        document = {"id": resource_id, "name": name, "properties": properties}
        state.resources[resource_id.lower()] = Stored(
            resource_id=resource_id, kind=ROLE_ASSIGNMENTS, document=document
        )

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(
                path=ROLE_ASSIGNMENTS, model=None, name=_GUID, taggable=False,
                required=("properties.roleDefinitionId", "properties.principalId"),
                check=self._check, filled=_fill, keeps_state=False,
            )
        ]  # fmt: skip

    def _check(
        self, state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
    ) -> None:
        if not self.is_open:
            raise ArmError(403, "AuthorizationFailed", "No right to assign roles.")
        properties = body["properties"]
        unknown = (set(body) - {"properties"}) | (set(properties) - _PARTS)
        if unknown:
            raise ArmError(400, "InvalidRequestContent", f"unknown: {sorted(unknown)}")
        if properties["roleDefinitionId"].rpartition("/")[2] not in KNOWN_ROLES:
            raise ArmError(404, "RoleDefinitionDoesNotExist", properties["roleDefinitionId"])
        if properties["principalId"] not in self.principals:
            raise ArmError(400, "PrincipalNotFound", properties["principalId"])
        same = [
            one
            for one in state.of(ROLE_ASSIGNMENTS, parent_of(resource_id))
            if parent_of(one.resource_id).lower() == parent_of(resource_id).lower()
            and one.properties["principalId"] == properties["principalId"]
            and _role(one) == properties["roleDefinitionId"].rpartition("/")[2]
        ]
        if same or before is not None:
            raise ArmError(409, "RoleAssignmentExists", "The role assignment already exists.")


def roles_of(state: ArmState, principal: str, resource_id: str) -> set[str]:
    """Role ids that the principal has on the resource, or on what it lies in."""
    found = roles_at(state, resource_id)
    return {_role(one) for one in found if one.properties["principalId"] == principal}


def roles_at(state: ArmState, resource_id: str) -> list[Stored]:
    """Assignments that count for the resource, wherever above it they were made."""
    wanted = f"{resource_id.lower()}/"
    return [
        one
        for one in state.of(ROLE_ASSIGNMENTS)
        if wanted.startswith(f"{parent_of(one.resource_id).lower()}/")
    ]


def _role(stored: Stored) -> str:
    return str(stored.properties["roleDefinitionId"]).rpartition("/")[2]


def _fill(state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
    document["properties"]["scope"] = parent_of(resource_id)
