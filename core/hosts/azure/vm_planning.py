"""What a publish of a dynamic site would do, by the records alone: no login, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.cloud.prices import usd_per_day
from core.hosts.azure.dns import Zone, record_id
from core.hosts.azure.names import ACCOUNT, ENDPOINT, GROUP, PROFILE, ROLE, ROUTE
from core.hosts.azure.own_domain import domain_id, proof_label
from core.hosts.azure.planning import planned_action
from core.hosts.azure.profiles import planned_profile
from core.hosts.azure.site import AzureSite
from core.hosts.azure.vault import vault_id
from core.hosts.azure.vm_names import (
    ADDRESS,
    DOMAIN,
    INTERFACE,
    MACHINE,
    NETWORK,
    RECORD,
    SECURITY_GROUP,
    VAULT,
    machine_name,
    reader_id,
    secrets_id,
    vault_name,
)
from core.hosts.azure.vm_place import Wish, digest_of
from core.hosts.azure.vm_sizes import SIZES
from core.models.execution import Json
from core.models.release import PlannedAction

NO_TLS = "The site has no TLS: azure.cdn is none, so port 80 of its machine is open to everybody."

Row = tuple[str, str, Mapping[str, str]]
_UNTAGGED: Mapping[str, str] = {}


def planned_machine(
    site: AzureSite, wish: Wish, block: Mapping[str, Json], size_bytes: int
) -> tuple[PlannedAction, ...]:
    """One row for each resource, in the order in which they are made.

    Args:
        block: What is recorded of the last deploy.
        size_bytes: Of the release.
    """
    is_same = block.get("configuration") == digest_of(site.names, wish)
    size = str(block.get("vm_size") or SIZES[0])
    return tuple(
        planned_action(
            site, kind, resource_id, tags, is_same=is_same,
            est_usd_day=usd_per_day(
                kind, size if kind == MACHINE else None,
                size_bytes=size_bytes if kind == ACCOUNT else 0,
            ),
        )
        for kind, resource_id, tags in _rows(site, wish, str(block.get("location") or ""))
    )  # fmt: skip


def _rows(site: AzureSite, wish: Wish, location: str) -> Iterator[Row]:
    names, machine = site.names, machine_name(site.names)
    yield GROUP, names.group, site.tags
    yield ACCOUNT, names.account, site.tags
    yield ROLE, names.role_id, _UNTAGGED
    for kind in (SECURITY_GROUP, NETWORK, ADDRESS):
        yield kind, machine, site.tags
    if wish.is_behind_front_door:
        yield from _front_rows(site, wish)
    if wish.zone is not None:
        yield from _record_rows(site, wish, wish.zone)
    yield VAULT, vault_id(location or site.location, vault_name(names)), site.tags
    for kind in (INTERFACE, MACHINE):
        yield kind, machine, site.tags
    yield ROLE, reader_id(names), _UNTAGGED
    yield ROLE, secrets_id(names), _UNTAGGED


def _front_rows(site: AzureSite, wish: Wish) -> Iterator[Row]:
    names, profile = site.names, planned_profile(site.store, site)
    yield GROUP, names.shared_group, site.shared_tags
    yield PROFILE, profile, site.shared_tags
    yield ENDPOINT, names.endpoint_id(profile), site.tags
    if wish.zone is not None:
        yield DOMAIN, domain_id(names, profile), _UNTAGGED
    yield ROUTE, names.route_id(profile), _UNTAGGED


def _record_rows(site: AzureSite, wish: Wish, zone: str) -> Iterator[Row]:
    """The zone's group is not known without a login, unless it is recorded already."""
    labels = [("CNAME", site.names.endpoint)]
    if wish.is_behind_front_door:
        labels.append(("TXT", proof_label(site.names)))
    for kind, label in labels:
        ending = record_id(Zone(group="", name=zone), kind, label)
        recorded = [one.resource_id for one in site.recorded(RECORD)]
        known = next((one for one in recorded if one.endswith(ending)), ending.lstrip("/"))
        yield RECORD, known, site.tags
