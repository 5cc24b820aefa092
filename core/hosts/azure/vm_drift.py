"""What somebody changed by hand around a machine: each part against what a deploy would make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from core.hosts.azure.adoption import Part
from core.hosts.azure.assignments import has_role
from core.hosts.azure.bodies import Document
from core.hosts.azure.dns import Zone, value_of
from core.hosts.azure.drift import (
    GONE,
    THERE,
    compared_drift,
    front_door_drift,
    one_drift,
    part_drift,
    role_drift,
)
from core.hosts.azure.front_door import FrontDoor
from core.hosts.azure.groups import group_part
from core.hosts.azure.names import ACCOUNT, GROUP, PROFILE, ROLE
from core.hosts.azure.network import (
    address_part,
    interface_part,
    network_part,
    origin_at,
    security_group_part,
    site_network,
)
from core.hosts.azure.own_domain import domain_id, domain_part
from core.hosts.azure.profiles import front_door_id, profile_part
from core.hosts.azure.site import AzureSite
from core.hosts.azure.storage import account_part
from core.hosts.azure.vault import vault_id, vault_part
from core.hosts.azure.vm import RUNNING, START, disk_tags, machine_of, machine_part, power_state
from core.hosts.azure.vm_bodies import ANYBODY, FRONT_DOOR_TAG, IMAGE
from core.hosts.azure.vm_container import container_part
from core.hosts.azure.vm_names import (
    ADDRESS,
    BLOB_READER,
    DOMAIN,
    INTERFACE,
    MACHINE,
    NETWORK,
    RECORD,
    SECRETS_USER,
    SECURITY_GROUP,
    VAULT,
    machine_name,
    reader_id,
    secrets_id,
    vault_name,
)
from core.hosts.azure.vm_place import VmPlace
from core.hosts.instance.start_drift import start_drift
from core.models.release import Drift


class MachineDrift:
    """One look at everything that the last deploy of a dynamic site made."""

    def __init__(self, site: AzureSite, place: VmPlace) -> None:
        self._site = replace(site, location=place.location)
        self._place = place
        self._name = machine_name(site.names)

    def all(self) -> Iterator[Drift]:
        """In the order in which it was made."""
        site, names = self._site, self._site.names
        yield from part_drift(site, group_part(site), GROUP, names.group)
        account = self._found(account_part(site))
        yield from compared_drift(site, account_part(site), account, ACCOUNT, names.account)
        if account is not None:
            yield from part_drift(site, container_part(site), ACCOUNT, names.account)
            yield from role_drift(site, str(account["id"]))
        yield from self._of_network()
        yield from self._of_front()
        yield from self._of_alias()
        part = vault_part(site, site.subscription.tenant_id())
        vault = self._found(part)
        yield from compared_drift(site, part, vault, VAULT, self._vault_id())
        yield from self._of_machine(account, vault)

    def _of_network(self) -> Iterator[Drift]:
        site = self._site
        source = ANYBODY if self._place.profile is None else FRONT_DOOR_TAG
        filtering, network = security_group_part(site, source), network_part(site)
        found = [self._found(part) for part in (filtering, network, address_part(site))]
        yield from compared_drift(site, filtering, found[0], SECURITY_GROUP, self._name)
        yield from compared_drift(site, network, found[1], NETWORK, self._name)
        yield from compared_drift(site, address_part(site), found[2], ADDRESS, self._name)
        group, net, address = found
        if group is not None and net is not None and address is not None:
            part = interface_part(site, site_network(group, net, address))
            yield from part_drift(site, part, INTERFACE, self._name)

    def _of_front(self) -> Iterator[Drift]:
        site, profile = self._site, self._place.profile
        if profile is None:
            return
        yield from self._of_front_door_id(profile)
        origin = origin_at(self._place.host)
        yield from front_door_drift(
            FrontDoor(site=site, profile=profile, origin=origin, caches=False)
        )
        if self._place.own_url is not None:
            part = domain_part(site, profile, self._place.own_url.partition("//")[2])
            yield from part_drift(site, part, DOMAIN, domain_id(site.names, profile))

    def _of_front_door_id(self, profile: str) -> Iterator[Drift]:
        """A profile that was deleted and made anew by hand is refused by the machine."""
        expected, found = self._place.front_door_id, self._found(profile_part(self._site, profile))
        there = "" if found is None else front_door_id(found)
        if found is not None and expected not in (None, there):
            yield one_drift(PROFILE, profile, "front door id", str(expected), there or GONE)

    def _of_alias(self) -> Iterator[Drift]:
        """Where the site's own name leads to."""
        target = self._place.url.partition("//")[2]
        for one in self._site.recorded(RECORD):
            group, zone, kind, label = one.resource_id.split("/")
            expected = target if kind == "CNAME" else THERE
            said = value_of(self._site, Zone(group=group, name=zone), kind, label)
            found = GONE if said is None else said if kind == "CNAME" else THERE
            if found.casefold() != expected.casefold():
                yield one_drift(RECORD, one.resource_id, kind, expected, found)

    def _of_machine(self, account: Document | None, vault: Document | None) -> Iterator[Drift]:
        site, part = self._site, machine_part(self._site)
        found = self._found(part)
        yield from compared_drift(site, part, found, MACHINE, self._name)
        if found is None:
            return
        machine = machine_of(found)
        state = power_state(site)
        for what, expected, there in (
            ("power state", RUNNING, state),
            ("size", self._place.vm_size, machine.size),
            ("identity", THERE, THERE if machine.principal else GONE),
            *self._of_image(found),
        ):
            if expected.casefold() != there.casefold():
                yield one_drift(MACHINE, self._name, what, expected, there or "unknown")
        yield from start_drift(MACHINE, self._name, (found.get("tags") or {}).get(START))
        yield from self._of_disk(found)
        yield from self._of_rights(machine.principal, account, vault)

    def _of_image(self, found: Document) -> Iterator[tuple[str, str, str]]:
        """Today's image is for new machines; one that was made with another one keeps it."""
        image = found["properties"]["storageProfile"].get("imageReference") or {}
        for key in ("publisher", "offer", "sku"):
            yield f"image {key}", IMAGE[key], str(image.get(key, ""))

    def _of_disk(self, found: Document) -> Iterator[Drift]:
        disk = found["properties"]["storageProfile"]["osDisk"].get("managedDisk") or {}
        if not self._site.names.config.owns(disk_tags(self._site, str(disk.get("id", "")))):
            yield one_drift(MACHINE, self._name, "tags of its disk", THERE, GONE)

    def _of_rights(
        self, principal: str, account: Document | None, vault: Document | None
    ) -> Iterator[Drift]:
        names = self._site.names
        for resource_id, scope, role in (
            (reader_id(names), account, BLOB_READER),
            (secrets_id(names), vault, SECRETS_USER),
        ):
            if scope is None:
                continue
            if not principal or not has_role(self._site, str(scope["id"]), role, principal):
                yield one_drift(ROLE, resource_id, "existence", THERE, GONE)

    def _vault_id(self) -> str:
        return vault_id(self._place.location, vault_name(self._site.names))

    def _found(self, part: Part) -> Document | None:
        return self._site.found(f"look for {part.what}", part.get)


def release_drift(site: AzureSite, expected: str | None, found: str | None) -> Iterator[Drift]:
    """What the machine's agent says that it serves, against the last deploy."""
    if expected != found:
        name = machine_name(site.names)
        yield one_drift(MACHINE, name, "release", expected or GONE, found or "no answer")
