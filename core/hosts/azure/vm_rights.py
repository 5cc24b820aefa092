"""What the session's machine may do by its own identity: read its releases and its variables."""

from __future__ import annotations

from core.hosts.azure.assignments import MACHINE_KIND, assign_role
from core.hosts.azure.names import ROLE
from core.hosts.azure.site import AzureSite
from core.hosts.azure.vm_names import (
    BLOB_READER,
    SECRETS_USER,
    machine_name,
    reader_id,
    secrets_id,
)


def allow_machine(site: AzureSite, account_id: str, vault_id: str, principal: str) -> None:
    """Two assignments and no more; both spread for minutes at times."""
    wanted = (
        (reader_id(site.names), account_id, BLOB_READER),
        (secrets_id(site.names), vault_id, SECRETS_USER),
    )
    for recorded_as, scope, role in wanted:
        site.leave_if_cancelled()
        assign_role(site, machine_name(site.names), scope, role, principal, MACHINE_KIND)
        site.made(ROLE, recorded_as, {})
