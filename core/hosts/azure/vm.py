"""The session's machine: found, started, or made with the first small size that Azure has room for.

A machine is never replaced because today's wish differs from the one it was made with: what its
program has written would be gone. Such differences are drift, and `destroy` makes room for a new
one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.cloud.azure_errors import error_code
from core.errors import CloudRefusedError
from core.hosts.azure.adoption import Part, settled
from core.hosts.azure.bodies import Document
from core.hosts.azure.network import SiteNetwork, ensure_interface
from core.hosts.azure.site import AzureSite, as_document, refuse_foreign
from core.hosts.azure.vm_bodies import MachineWish, machine_body
from core.hosts.azure.vm_names import MACHINE, disk_name, machine_name
from core.hosts.azure.vm_sizes import MachineSize, no_size, offered_sizes
from core.hosts.instance.commands import start_digest

RUNNING = "PowerState/running"
START = "Start"
"""Tag: which text it was started with; Azure never shows the text again."""

_NO_ROOM = frozenset(
    {
        "AllocationFailed", "OverconstrainedAllocationRequest", "SkuNotAvailable",
        "ZonalAllocationFailed", "QuotaExceeded", "OperationNotAllowed",
    }
)  # fmt: skip
"""What Azure says where a size is short there, or all that the subscription may have is in use."""

_NO_HOST_ENCRYPTION = "encryptionathost"
"""Subscriptions must be registered for it; the refusal names the property."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine as Azure answered it; `principal` is its own identity, empty without one."""

    resource_id: str
    size: str
    principal: str


def ensure_machine(site: AzureSite, network: SiteNetwork) -> Machine:
    """The session's machine, running.

    Raises:
        CloudRefusedError: Its name is somebody else's, or Azure has no room for any size.
    """
    site.leave_if_cancelled()
    found = settled(site, machine_part(site))
    if found is not None:
        _require_own(site, found)
        site.made(MACHINE, machine_name(site.names), found.get("tags") or {})
    if found is not None and found["properties"].get("provisioningState") == "Failed":
        _remove(site)
        found = None
    if found is None:
        found = _make(site, network)
    elif power_state(site) != RUNNING:
        _start(site)
    _tag_disk(site, found)
    machine = machine_of(found)
    return machine if machine.principal else machine_of(_identify(site))


def machine_of(found: Document) -> Machine:
    return Machine(
        resource_id=str(found["id"]),
        size=str(found["properties"]["hardwareProfile"]["vmSize"]),
        principal=str((found.get("identity") or {}).get("principalId", "")),
    )


def machine_part(site: AzureSite, body: Document | None = None) -> Part:
    """The machine to be looked for, or to be made where it has a body."""
    calls, name = site.client("compute").virtual_machines, machine_name(site.names)
    place = (site.names.group, name)
    return Part(
        what=f"the virtual machine {name}",
        body=body or {},
        get=lambda: calls.get(*place),
        begin=lambda wanted: calls.begin_create_or_update(*place, wanted),
        tags=site.tags,
        owned=site.names.config.owns,
        made=lambda tags: site.made(MACHINE, name, tags),
    )


def power_state(site: AzureSite) -> str:
    """Such as `PowerState/running` or `PowerState/deallocated`; empty while Azure does not know."""
    calls, place = site.client("compute").virtual_machines, _place(site)
    view = site.asked(f"look at {place[1]}", lambda: as_document(calls.instance_view(*place)))
    codes = [str(one.get("code", "")) for one in view.get("statuses") or []]
    return next((code for code in codes if code.startswith("PowerState/")), "")


def ensure_running(site: AzureSite) -> None:
    """Start the machine where somebody has stopped it."""
    if power_state(site) != RUNNING:
        _start(site)


def _make(site: AzureSite, network: SiteNetwork) -> Document:
    """The first size that there is room for; what Azure half made of another one is removed."""
    public_key = _throw_away_key()
    for size in offered_sizes(site):
        try:
            return _make_with(site, network, size, public_key)
        except CloudRefusedError as error:
            if _code(error) not in _NO_ROOM:
                raise
            logger.warning("no room for a machine", extra={"size": size.name, "why": _code(error)})
            site.log("no room for the machine", {"size": size.name, "code": _code(error)})
            _remove(site)
    raise no_size(site, "has room for none of the sizes")


def _make_with(
    site: AzureSite, network: SiteNetwork, size: MachineSize, public_key: str
) -> Document:
    wish = MachineWish(
        location=site.location,
        name=machine_name(site.names),
        disk=disk_name(site.names),
        size=size.name,
        interface_id=ensure_interface(site, network),
        public_key=public_key,
        is_host_encrypted=size.can_encrypt,
    )
    try:
        return _put(site, machine_body(wish))
    except CloudRefusedError as error:
        if not size.can_encrypt or _NO_HOST_ENCRYPTION not in error.message.casefold():
            raise
    site.log("no encryption on the host", {"size": size.name})
    plain = MachineSize(name=size.name, can_encrypt=False)
    return _make_with(site, network, plain, public_key)


def _put(site: AzureSite, body: Document) -> Document:
    part, tags = machine_part(site, body), {**site.tags, START: start_digest()}
    tagged = {**body, "tags": tags}
    return site.followed(f"make {part.what}", lambda: part.begin(tagged), lambda: part.made(tags))


def _remove(site: AzureSite) -> None:
    """Its disk and its interface go with it."""
    part, calls, place = machine_part(site), site.client("compute").virtual_machines, _place(site)
    found = settled(site, part)
    if found is not None:
        _require_own(site, found)
        site.followed(f"delete {part.what}", lambda: calls.begin_delete(*place))


def _start(site: AzureSite) -> None:
    calls, place = site.client("compute").virtual_machines, _place(site)
    site.followed(f"start the virtual machine {place[1]}", lambda: calls.begin_start(*place))


def _identify(site: AzureSite) -> Document:
    """Somebody has taken the machine's identity away: it gets a new one."""
    calls, place = site.client("compute").virtual_machines, _place(site)
    body = {"identity": {"type": "SystemAssigned"}}
    return site.followed(f"give {place[1]} an identity", lambda: calls.begin_update(*place, body))


def _tag_disk(site: AzureSite, machine: Document) -> None:
    """Azure makes the disk itself and gives it no tags; they can only be added afterwards."""
    disk = machine["properties"]["storageProfile"]["osDisk"].get("managedDisk") or {}
    disk_id, tags = str(disk.get("id", "")), dict(machine.get("tags") or {})
    if not disk_id or site.names.config.owns(disk_tags(site, disk_id)):
        return
    body = {"operation": "Merge", "properties": {"tags": tags}}
    calls = site.client("resources").tags
    site.followed(
        f"tag the disk of {machine_name(site.names)}",
        lambda: calls.begin_update_at_scope(disk_id, body),
    )


def disk_tags(site: AzureSite, disk_id: str) -> Mapping[str, str]:
    calls: Any = site.client("resources").tags
    what = f"read the tags of the disk of {machine_name(site.names)}"
    found = site.found(what, lambda: calls.get_at_scope(disk_id)) or {}
    tags: Mapping[str, str] = found.get("properties", {}).get("tags") or {}
    return tags


def _require_own(site: AzureSite, found: Document) -> None:
    if not site.names.config.owns(found.get("tags") or {}):
        raise refuse_foreign(machine_part(site).what, site.names.config.key.session_id)


def _place(site: AzureSite) -> tuple[str, str]:
    return site.names.group, machine_name(site.names)


def _code(error: CloudRefusedError) -> str:
    return "" if error.__cause__ is None else error_code(error.__cause__)


def _throw_away_key() -> str:
    """A public key whose private half is forgotten at once: nobody logs in, but Azure wants one."""
    from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415 - heavy, on use only
        rsa,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - likewise
        Encoding,
        PublicFormat,
    )

    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
