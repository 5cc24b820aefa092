"""How visitors reach a session's machine: filter, network, public address and interface."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from core.cloud.azure_errors import error_code
from core.errors import CloudRefusedError
from core.hosts.azure.adoption import Part, ensure
from core.hosts.azure.bodies import Document, Origin
from core.hosts.azure.site import AzureSite, refuse_foreign
from core.hosts.azure.vm_bodies import (
    address_body,
    interface_body,
    network_body,
    security_group_body,
)
from core.hosts.azure.vm_names import (
    ADDRESS,
    INTERFACE,
    NETWORK,
    SECURITY_GROUP,
    SUBNET,
    machine_name,
)

_TAKEN = frozenset({"DnsRecordInUse", "DnsRecordIsReserved"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteNetwork:
    """What a machine is connected to, as Azure answered it: no address is ever built.

    Attributes:
        host: The public name, with its port where that is not the web's own.
    """

    security_group_id: str
    subnet_id: str
    address_id: str
    host: str


def ensure_network(site: AzureSite, source: str) -> SiteNetwork:
    """Filter, network and address; the interface comes with the machine.

    Args:
        source: Whom the filter lets in: an address prefix or a service tag of Azure.

    Raises:
        CloudRefusedError: Another address of the region has the public name already.
    """
    group = ensure(site, security_group_part(site, source))
    network = ensure(site, network_part(site))
    return site_network(group, network, _ensure_address(site))


def site_network(group: Document, network: Document, address: Document) -> SiteNetwork:
    settings = address["properties"].get("dnsSettings") or {}
    return SiteNetwork(
        security_group_id=str(group["id"]),
        subnet_id=f"{network['id']}/subnets/{SUBNET}",
        address_id=str(address["id"]),
        host=str(settings.get("fqdn", "")),
    )


def ensure_interface(site: AzureSite, network: SiteNetwork) -> str:
    """The interface's id; it goes with its machine, and comes back with the next one."""
    return str(ensure(site, interface_part(site, network))["id"])


def origin_at(host: str) -> Origin:
    """A machine as Front Door sees it: plain http, because it has no certificate."""
    place = urlsplit(f"//{host}")
    return Origin(host=place.hostname or "", port=place.port or 80, is_plain=True)


def security_group_part(site: AzureSite, source: str) -> Part:
    body = security_group_body(site.location, source)
    return _part(site, SECURITY_GROUP, "network_security_groups", body)


def network_part(site: AzureSite) -> Part:
    return _part(site, NETWORK, "virtual_networks", network_body(site.location))


def address_part(site: AzureSite) -> Part:
    body = address_body(site.location, machine_name(site.names))
    return _part(site, ADDRESS, "public_ip_addresses", body)


def interface_part(site: AzureSite, network: SiteNetwork) -> Part:
    body = interface_body(
        site.location, network.subnet_id, network.address_id, network.security_group_id
    )
    return _part(site, INTERFACE, "network_interfaces", body)


def _ensure_address(site: AzureSite) -> Document:
    try:
        return ensure(site, address_part(site))
    except CloudRefusedError as error:
        if error.__cause__ is not None and error_code(error.__cause__) in _TAKEN:
            what = f"The public name {machine_name(site.names)} in {site.location}"
            raise refuse_foreign(what, site.names.config.key.session_id) from error
        raise


def _part(site: AzureSite, kind: str, operations: str, body: Document) -> Part:
    calls, name = getattr(site.client("network"), operations), machine_name(site.names)
    place = (site.names.group, name)
    return Part(
        what=f"the {kind.replace('_', ' ')} {name}",
        body=body,
        get=lambda: calls.get(*place),
        begin=lambda wanted: calls.begin_create_or_update(*place, wanted),
        tags=site.tags,
        owned=site.names.config.owns,
        made=lambda tags: site.made(kind, name, tags),
    )
