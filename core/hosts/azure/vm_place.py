"""Where a dynamic site lives in Azure: made, adopted, or known from the last deploy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.hosts.azure.bodies import (
    Document,
    Origin,
    account_body,
    endpoint_body,
    origin_body,
    origin_group_body,
    profile_body,
    route_body,
    rule_body,
)
from core.hosts.azure.dns import find_zone
from core.hosts.azure.groups import ensure_group
from core.hosts.azure.names import ACCOUNT, ENDPOINT, GROUP, PROFILE, ROLE, ROUTE, AzureNames
from core.hosts.azure.network import address_part, ensure_network
from core.hosts.azure.place import FRONT_DOOR
from core.hosts.azure.site import AzureSite
from core.hosts.azure.storage import ensure_account, ensure_role
from core.hosts.azure.vault import ensure_vault
from core.hosts.azure.vm import ensure_machine
from core.hosts.azure.vm_bodies import (
    ANYBODY,
    FRONT_DOOR_TAG,
    address_body,
    container_body,
    domain_body,
    interface_body,
    network_body,
    security_group_body,
    vault_body,
)
from core.hosts.azure.vm_container import CONTAINER, ensure_container
from core.hosts.azure.vm_entrance import front_entrance, plain_entrance
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
    vault_name,
)
from core.hosts.azure.vm_rights import allow_machine
from core.hosts.instance.commands import OPEN, Instance, by_front_door
from core.models.execution import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the settings ask for.

    Attributes:
        zone: The DNS zone for a name of the operator's own.
    """

    cdn: str
    zone: str | None

    @property
    def is_behind_front_door(self) -> bool:
        return self.cdn == FRONT_DOOR

    @property
    def source(self) -> str:
        """Whom the machine's filter lets in."""
        return FRONT_DOOR_TAG if self.is_behind_front_door else ANYBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class VmPlace:
    """Where releases go and where visitors find the site.

    Attributes:
        url: At the name that Azure gave; it answers as soon as the site does.
        own_url: At the name in the operator's zone, None without one.
        front_door_id: What requests of the profile carry; None without one, and for what was
            deployed before the machine asked for it.
    """

    location: str
    blob_endpoint: str
    vault_uri: str
    host: str
    public_ip: str
    vm_size: str
    url: str
    own_url: str | None
    profile: str | None
    front_door_id: str | None = None

    def instance(self) -> Instance:
        """How the machine reaches what is kept for it, and whom it answers.

        The filter lets in all of Front Door, other customers' profiles too.
        """
        guard = None if self.front_door_id is None else by_front_door(self.front_door_id)
        return Instance(
            store_url=f"{self.blob_endpoint.rstrip('/')}/{CONTAINER}",
            variables=f"keyvault:{self.vault_uri}",
            guard=OPEN if self.profile is None else guard,
        )

    def block(self, names: AzureNames, digest: str) -> dict[str, Json]:
        """The provider's own keys of `deployment/config.json`, and what a redeploy goes by."""
        return {
            "vm_name": machine_name(names),
            "vm_size": self.vm_size,
            "public_ip": self.public_ip,
            "resource_group": names.group,
            "storage_account": names.account,
            "key_vault": vault_name(names),
            "cdn_endpoint": None if self.profile is None else names.endpoint,
            "frontdoor_profile": self.profile,
            "frontdoor_id": self.front_door_id,
            "location": self.location,
            "blob_endpoint": self.blob_endpoint,
            "vault_uri": self.vault_uri,
            "public_host": self.host,
            "url": self.url,
            "own_url": self.own_url,
            "configuration": digest,
        }


_TEXTS = ("location", "blob_endpoint", "vault_uri", "public_host", "public_ip", "vm_size", "url")


def last_place(block: Mapping[str, Json]) -> VmPlace | None:
    """The place of the last deploy as it is recorded; None where none got so far."""
    texts = {name: block.get(name) for name in _TEXTS}
    if not all(isinstance(text, str) and text for text in texts.values()):
        return None
    own_url, profile = block.get("own_url"), block.get("frontdoor_profile")
    front_door_id = block.get("frontdoor_id")
    return VmPlace(
        location=str(texts["location"]),
        blob_endpoint=str(texts["blob_endpoint"]),
        vault_uri=str(texts["vault_uri"]),
        host=str(texts["public_host"]),
        public_ip=str(texts["public_ip"]),
        vm_size=str(texts["vm_size"]),
        url=str(texts["url"]),
        own_url=own_url if isinstance(own_url, str) else None,
        profile=profile if isinstance(profile, str) else None,
        front_door_id=front_door_id if isinstance(front_door_id, str) else None,
    )


def known_place(site: AzureSite, wish: Wish, block: Mapping[str, Json]) -> VmPlace | None:
    """The last place, if all of it is recorded and nothing should be otherwise."""
    is_same = block.get("configuration") == digest_of(site.names, wish)
    is_whole = all(site.recorded(kind) for kind in kinds_of(wish))
    return last_place(block) if is_same and is_whole else None


def kinds_of(wish: Wish) -> tuple[str, ...]:
    """Kinds of what such a site is made of, in the order in which they are made."""
    front = (PROFILE, ENDPOINT, ROUTE) if wish.is_behind_front_door else ()
    domain = (DOMAIN,) if wish.is_behind_front_door and wish.zone is not None else ()
    return (
        GROUP, ACCOUNT, ROLE, SECURITY_GROUP, NETWORK, ADDRESS, *front, *domain,
        *((RECORD,) if wish.zone is not None else ()), VAULT, INTERFACE, MACHINE,
    )  # fmt: skip


def digest_of(names: AzureNames, wish: Wish) -> str:
    """The desired configuration in short; another one means that Azure is asked again.

    The machine's own body is left out: it counts when the machine is made.
    """
    wanted: list[object] = [
        names.group, names.account, machine_name(names), wish.cdn, wish.zone, account_body(""),
        container_body(), security_group_body("", wish.source), network_body(""),
        address_body("", ""), interface_body("", "", "", ""), vault_body("", ""),
    ]  # fmt: skip
    if wish.is_behind_front_door:
        origin = Origin(host="", port=80, is_plain=True)
        wanted += [
            "guarded", names.endpoint, profile_body(), endpoint_body(), origin_group_body(origin),
            origin_body(origin), rule_body(), domain_body(""),
            route_body("", names.endpoint, names.rule_set, origin, caches=False),
        ]  # fmt: skip
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:20]


def ensure_place(site: AzureSite, wish: Wish) -> VmPlace:
    """Everything that the site needs, adopted or made.

    Front Door comes before the machine: both need minutes, and its edges settle meanwhile.

    Raises:
        CloudRefusedError: A name is somebody else's, or rights, quota or room are missing.
        CancelledError: The operator cancelled; what was made is recorded and kept.
    """
    zone = None if wish.zone is None else find_zone(site, wish.zone)
    site = in_group_s_location(site, ensure_group(site))
    account = ensure_account(site)
    ensure_role(site, account)
    ensure_container(site)
    network = ensure_network(site, wish.source)
    enter = front_entrance if wish.is_behind_front_door else plain_entrance
    addresses = enter(site, network.host, zone)
    vault = ensure_vault(site)
    machine = ensure_machine(site, network)
    allow_machine(site, account.resource_id, vault.resource_id, machine.principal)
    return VmPlace(
        location=site.location,
        blob_endpoint=account.blob_endpoint,
        vault_uri=vault.uri,
        host=network.host,
        public_ip=_public_ip(site),
        vm_size=machine.size,
        url=addresses.url,
        own_url=addresses.own_url,
        profile=addresses.profile,
        front_door_id=addresses.front_door_id,
    )


def in_group_s_location(site: AzureSite, group: Document) -> AzureSite:
    """A site stays where it was begun, whatever the setting says by now."""
    return replace(site, location=str(group["location"]))


def _public_ip(site: AzureSite) -> str:
    """The address is read last: Azure names it once the interface has it."""
    part = address_part(site)
    found = site.found(f"read {part.what}", part.get) or {}
    return str(found.get("properties", {}).get("ipAddress", ""))
