"""How visitors come to a dynamic site: Azure's own name for it, and the operator's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.errors import CloudRefusedError
from core.hosts.azure.dns import Zone, record_id, remove_record
from core.hosts.azure.front_door import FrontDoor
from core.hosts.azure.groups import ensure_shared_group
from core.hosts.azure.names import AzureNames
from core.hosts.azure.network import origin_at
from core.hosts.azure.own_domain import (
    domain_id,
    domain_part,
    ensure_alias,
    ensure_domain,
    own_host,
    proof_label,
    remove_domain,
)
from core.hosts.azure.profiles import Entrance, ensure_entrance
from core.hosts.azure.site import AzureSite
from core.hosts.azure.vm_names import DOMAIN, RECORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a site answers.

    Attributes:
        url: At the name that Azure gave; it answers as soon as the site does.
        own_url: At the name in the operator's zone, None without one.
        profile: The Front Door profile in front, None without one.
        front_door_id: What its requests carry.
    """

    url: str
    own_url: str | None
    profile: str | None = None
    front_door_id: str | None = None


def front_entrance(site: AzureSite, host: str, zone: Zone | None) -> Addresses:
    """Through Front Door, with TLS; what of former names is not wanted any more is taken away.

    Args:
        host: The machine's public name.

    Raises:
        CloudRefusedError: The profile has no id.
    """
    ensure_shared_group(site)
    entrance = ensure_entrance(site)
    if not entrance.front_door_id:
        raise CloudRefusedError(
            f"Azure does not tell the id of the Front Door profile {entrance.profile}, by which a"
            " machine knows its requests.",
            remedy="Deploy again; if it stays so, set azure.cdn to none or report it.",
        )
    _ensure_front(site, entrance, host, zone)
    _remove_other_records(site, zone, has_proof=True)
    plain = _addresses(site.names, f"https://{entrance.host}", zone)
    return replace(plain, profile=entrance.profile, front_door_id=entrance.front_door_id)


def plain_entrance(site: AzureSite, host: str, zone: Zone | None) -> Addresses:
    """Straight to the machine, without TLS."""
    if zone is not None:
        ensure_alias(site, zone, host)
    _remove_other_records(site, zone, has_proof=False)
    return _addresses(site.names, f"http://{host}", zone)


def _addresses(names: AzureNames, url: str, zone: Zone | None) -> Addresses:
    scheme = url.partition(":")[0]
    own_url = None if zone is None else f"{scheme}://{own_host(names, zone.name)}"
    return Addresses(url=url, own_url=own_url)


def _ensure_front(site: AzureSite, entrance: Entrance, host: str, zone: Zone | None) -> None:
    """What is behind the entrance, with the site's own name leading there too."""
    profile, origin = entrance.profile, origin_at(host)
    plain = FrontDoor(site=site, profile=profile, origin=origin, caches=False, domains=())
    _leave_other_domain(plain, zone)
    if zone is None:
        plain.ensure()
        return
    domain = ensure_domain(site, profile, zone)
    replace(plain, domains=(domain,)).ensure()
    ensure_alias(site, zone, entrance.host)


def _leave_other_domain(front: FrontDoor, zone: Zone | None) -> None:
    """A domain cannot be renamed: the route lets go of another one, then it is removed."""
    site, endpoint = front.site, front.site.names.endpoint
    if not site.recorded(DOMAIN):
        return
    wanted = "" if zone is None else own_host(site.names, zone.name)
    part = domain_part(site, front.profile, wanted)
    found = site.found(f"look for {part.what}", part.get)
    if found is not None and found["properties"]["hostName"].casefold() != wanted.casefold():
        front.ensure()
        remove_domain(site, front.profile, endpoint)
        site.gone(DOMAIN, domain_id(site.names, front.profile))


def _remove_other_records(site: AzureSite, zone: Zone | None, *, has_proof: bool) -> None:
    wanted = set[str]()
    if zone is not None:
        wanted.add(record_id(zone, "CNAME", site.names.endpoint))
        if has_proof:
            wanted.add(record_id(zone, "TXT", proof_label(site.names)))
    for one in site.recorded(RECORD):
        if one.resource_id not in wanted:
            remove_record(site, one.resource_id)
            site.gone(RECORD, one.resource_id)
