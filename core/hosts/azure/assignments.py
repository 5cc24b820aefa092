"""Rights to data: who has which of Azure's built-in roles on one resource."""

from __future__ import annotations

import json
import uuid
from io import BytesIO
from typing import Any

from core.cloud.azure_errors import azure_errors, error_code
from core.cloud.retrying import retried
from core.errors import CloudRefusedError
from core.hosts.azure.bodies import role_body
from core.hosts.azure.site import SETTLES, AzureSite

MACHINE_KIND = "ServicePrincipal"
"""What an identity of Azure's own is; said, Azure takes one that its directory hardly knows."""


def assignment_name(scope: str, principal: str, role: str) -> str:
    """The same assignment has the same name whoever asks for it, so it is made once."""
    key = f"{scope.lower()}\n{principal}\n{role}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


def assign_role(
    site: AzureSite, what: str, scope: str, role: str, principal: str, kind: str | None
) -> None:
    """The principal has the role on the scope; that it has it already is fine.

    Args:
        what: As in `assign a role for {what}`.
        kind: `User`, `ServicePrincipal`, or None where it is not known.

    Raises:
        CloudRefusedError: The login may not assign roles.
    """
    assignments = site.client("authorization").role_assignments
    document = role_body(site.subscription.subscription_id(), role, principal, kind)
    name, body = assignment_name(scope, principal, role), json.dumps(document).encode()
    act = f"assign a role for {what}"
    try:
        with azure_errors(act, site.subscription.name):
            retried(
                lambda: assignments.create(
                    scope, name, BytesIO(body), content_type="application/json"
                ),
                again=_is_unknown_yet,
                patience=SETTLES,
                clock=site.clock,
                cancelled=site.cancelled,
            )
    except CloudRefusedError as error:
        if error.__cause__ is None or error_code(error.__cause__) != "RoleAssignmentExists":
            raise


def has_role(site: AzureSite, scope: str, role: str, principal: str | None = None) -> bool:
    """Whether anybody, or that principal, has the role on the scope or on what it lies in."""
    assignments = site.client("authorization").role_assignments
    listed: list[Any] = site.asked(
        "look for roles", lambda: list(assignments.list_for_scope(scope))
    )
    return any(
        str(one.role_definition_id).lower().endswith(role) and principal in (None, one.principal_id)
        for one in listed
    )


def _is_unknown_yet(error: Exception) -> bool:
    """A new identity is not at once known to all of the directory."""
    return error_code(error) == "PrincipalNotFound"
