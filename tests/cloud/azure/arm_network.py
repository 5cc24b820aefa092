"""Networks of the management plane: filters, networks, public addresses and interfaces."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from tests.cloud.azure.arm_state import ArmState, Stored
from tests.cloud.azure.arm_types import ArmError, ResourceType, Style

SECURITY_GROUPS = "Microsoft.Network/networkSecurityGroups"
NETWORKS = "Microsoft.Network/virtualNetworks"
ADDRESSES = "Microsoft.Network/publicIPAddresses"
INTERFACES = "Microsoft.Network/networkInterfaces"
FRONT_DOOR = "AzureFrontDoor.Backend"
INTERNET = "Internet"

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,78}[A-Za-z0-9_]"
_LABEL = re.compile(r"[a-z][a-z0-9-]{1,61}[a-z0-9]")
_SERVICE_TAGS = {FRONT_DOOR, INTERNET, "VirtualNetwork", "AzureLoadBalancer"}
_OPEN_PORTS = {"80", "443"}


class PublicSide(Protocol):
    """What answers at the public addresses."""

    def open_address(self, address_id: str) -> str:
        """Its public name, the same for the same address."""

    def close_address(self, address_id: str) -> None: ...


class NetworkTypes:
    """The four types; `taken_labels` are public names that somebody else has."""

    def __init__(self, public_side: PublicSide) -> None:
        self.taken_labels: set[str] = set()
        self._public_side = public_side
        self._numbers = itertools.count(1)

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(
                path=SECURITY_GROUPS, model=_model("NetworkSecurityGroup"), name=_NAME,
                longest=80, required=("location",), style=Style.ASYNC, check=_check_filter,
                busy=_used_by(INTERFACES, "networkSecurityGroup"),
            ),
            ResourceType(
                path=NETWORKS, model=_model("VirtualNetwork"), name=_NAME, longest=64,
                required=("location", "properties.addressSpace.addressPrefixes"),
                style=Style.ASYNC, check=_check_network, filled=_fill_network,
                busy=_network_busy,
            ),
            ResourceType(
                path=ADDRESSES, model=_model("PublicIPAddress"), name=_NAME, longest=80,
                required=("location", "sku.name"), style=Style.ASYNC,
                check=self._check_address, filled=self._fill_address,
                removed=self._remove_address, busy=_address_busy,
            ),
            ResourceType(
                path=INTERFACES, model=_model("NetworkInterface"), name=_NAME, longest=80,
                required=("location", "properties.ipConfigurations"), style=Style.ASYNC,
                check=_check_interface, busy=_interface_busy,
            ),
        ]  # fmt: skip

    def _check_address(
        self, state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
    ) -> None:
        properties = body.get("properties") or {}
        if body["sku"]["name"] != "Standard":
            raise ArmError(400, "BasicSkuPublicIpRetired", "Basic public addresses are retired.")
        if properties.get("publicIPAllocationMethod") != "Static":
            raise _refused("A Standard address is static.")
        label = (properties.get("dnsSettings") or {}).get("domainNameLabel", "")
        if not _LABEL.fullmatch(label):
            raise ArmError(400, "InvalidDomainNameLabel", f"{label!r} is no label.")
        others = [one for one in state.of(ADDRESSES)
                  if one.resource_id.lower() != resource_id.lower()]  # fmt: skip
        if label in self.taken_labels or any(_label(one) == label for one in others):
            raise ArmError(400, "DnsRecordInUse", f"{label} is used by another address.")

    def _fill_address(self, state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        properties = document["properties"]
        properties["dnsSettings"]["fqdn"] = self._public_side.open_address(resource_id)
        properties["ipAddress"] = f"203.0.113.{next(self._numbers) % 250 + 1}"

    def _remove_address(self, state: ArmState, stored: Stored) -> None:
        self._public_side.close_address(stored.resource_id)


def allows(rules: list[dict[str, Any]], source: str, port: int) -> bool:
    """Whether inbound TCP from that source comes through to the port; nothing does by default."""
    inbound = [one["properties"] for one in rules if one["properties"]["direction"] == "Inbound"]
    for rule in sorted(inbound, key=lambda one: int(one["priority"])):
        is_from = rule["sourceAddressPrefix"] in (source, "*", INTERNET)
        is_to = rule["destinationPortRange"] in (str(port), "*")
        if is_from and is_to and rule["protocol"] in ("Tcp", "*"):
            return bool(rule["access"] == "Allow")
    return False


def interface_at(state: ArmState, address_id: str) -> Stored | None:
    """The interface that has the public address."""
    for one in state.of(INTERFACES):
        if address_id.lower() in _named(one, "publicIPAddress"):
            return one
    return None


def _named(interface: Stored, what: str) -> Iterator[str]:
    for one in interface.properties["ipConfigurations"]:
        if what in one["properties"]:
            yield str(one["properties"][what]["id"]).lower()


def _check_filter(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    """Ports but the web's may be opened to nobody: an organisation's policy."""
    seen: set[tuple[str, int]] = set()
    for rule in (body.get("properties") or {}).get("securityRules") or []:
        properties = rule["properties"]
        place = (properties["direction"], int(properties["priority"]))
        if not 100 <= place[1] <= 4096 or place in seen:
            raise ArmError(400, "SecurityRuleConflict", f"{place} cannot be a rule's place.")
        seen.add(place)
        source = properties.get("sourceAddressPrefix", "")
        if source not in _SERVICE_TAGS and source != "*":
            ipaddress.ip_network(source)
        is_open = properties["direction"] == "Inbound" and properties["access"] == "Allow"
        if is_open and properties.get("destinationPortRange") not in _OPEN_PORTS:
            raise ArmError(403, "RequestDisallowedByPolicy", "Only the web's ports are opened.")


def _check_network(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    properties = body["properties"]
    spaces = [ipaddress.ip_network(one) for one in properties["addressSpace"]["addressPrefixes"]]
    for subnet in properties.get("subnets") or []:
        inner = ipaddress.ip_network(subnet["properties"]["addressPrefix"])
        if not any(_holds(space, inner) for space in spaces):
            raise ArmError(400, "NetcfgInvalidSubnet", f"{inner} is not in the network.")


def _holds(space: Any, inner: Any) -> bool:
    return bool(inner.subnet_of(space))


def _fill_network(state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
    for subnet in document["properties"].get("subnets") or []:
        subnet["id"] = f"{resource_id}/subnets/{subnet['name']}"


def _check_interface(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    properties = body["properties"]
    group = (properties.get("networkSecurityGroup") or {}).get("id", "")
    if state.get(group) is None:
        raise _missing(group)
    for one in properties["ipConfigurations"]:
        inner = one["properties"]
        network, mark, subnet = inner["subnet"]["id"].partition("/subnets/")
        found = state.get(network)
        known = [] if found is None else found.properties.get("subnets") or []
        if not mark or subnet not in [row["name"] for row in known]:
            raise _missing(inner["subnet"]["id"])
        address = inner["publicIPAddress"]["id"]
        if state.get(address) is None:
            raise _missing(address)
        other = interface_at(state, address)
        if other is not None and other.resource_id.lower() != resource_id.lower():
            raise ArmError(400, "PublicIPAddressInUse", f"{address} is another interface's.")
    if before is not None and "virtualMachine" in before.properties:
        body["properties"]["virtualMachine"] = before.properties["virtualMachine"]


def _interface_busy(state: ArmState, stored: Stored) -> str | None:
    return "A machine has the interface." if "virtualMachine" in stored.properties else None


def _address_busy(state: ArmState, stored: Stored) -> str | None:
    used = interface_at(state, stored.resource_id)
    return None if used is None else "An interface has the address."


def _network_busy(state: ArmState, stored: Stored) -> str | None:
    prefix = f"{stored.resource_id.lower()}/"
    used = any(
        name.startswith(prefix) for one in state.of(INTERFACES) for name in _named(one, "subnet")
    )
    return "An interface is in the network." if used else None


def _used_by(kind: str, what: str) -> Callable[[ArmState, Stored], str | None]:
    def busy(state: ArmState, stored: Stored) -> str | None:
        for one in state.of(kind):
            if (
                str((one.properties.get(what) or {}).get("id")).lower()
                == stored.resource_id.lower()
            ):
                return f"{one.name} uses it."
        return None

    return busy


def _label(address: Stored) -> str:
    return str(address.properties["dnsSettings"]["domainNameLabel"])


def _missing(resource_id: str) -> ArmError:
    return ArmError(400, "InvalidResourceReference", f"{resource_id} does not exist.")


def _refused(why: str) -> ArmError:
    return ArmError(400, "InvalidRequestFormat", why)


def _model(name: str) -> Callable[[], type]:
    def load() -> type:
        from azure.mgmt.network import models  # noqa: PLC0415 - heavy

        found: type = getattr(models, name)
        return found

    return load
