"""What the product may do in an Azure subscription, as one custom role: the least that hosts need.

`GROUPS` names every call that the hosts make, by the SDK's operation groups; the role allows the
actions behind them, and to delete what a resource group takes along, and nothing else. It has no
data actions: the product gives itself rights to the data of its own accounts, which the role's
right to assign roles is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from core.models.execution import Json

ROLE = "tmux-builder"
NO_SUBSCRIPTION = "YOUR-SUBSCRIPTION-ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One operation group of the SDK: its resource type and the methods that are called.

    Attributes:
        others: Methods with the actions that they need, where those are not read, write or delete
            of the type.
    """

    kind: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def methods(self) -> frozenset[str]:
        return frozenset((*self.read, *self.write, *self.delete, *self.others))

    def actions(self) -> frozenset[str]:
        """A write is followed by reads until it is done, and so is a delete."""
        verbs = {
            "read": self.read or self.write or self.delete,
            "write": self.write,
            "delete": self.delete,
        }
        plain = {f"{self.kind}/{verb}" for verb, methods in verbs.items() if methods}
        return frozenset(plain.union(*self.others.values()))


_STORAGE = "Microsoft.Storage/storageAccounts"
_CDN = "Microsoft.Cdn/profiles"
_NETWORK = "Microsoft.Network"
_MACHINES = "Microsoft.Compute/virtualMachines"
_VAULTS = "Microsoft.KeyVault/vaults"
_DNS = "Microsoft.Network/dnsZones"

_MAKE = ("begin_create",)
_MAKE_OR_UPDATE = ("begin_create_or_update",)
_REMOVE = ("begin_delete",)

GROUPS: Mapping[str, Group] = {
    "providers": Group(kind="Microsoft.Resources/subscriptions/providers", read=("get",)),
    "resource_groups": Group(
        kind="Microsoft.Resources/subscriptions/resourceGroups",
        read=("get", "list"), write=("create_or_update", "update"), delete=_REMOVE,
    ),
    "resources": Group(
        kind="Microsoft.Resources/subscriptions/resources",
        read=("list", "list_by_resource_group"),
    ),
    "tags": Group(
        kind="Microsoft.Resources/tags", read=("get_at_scope",),
        write=("begin_update_at_scope",),
    ),
    "role_assignments": Group(
        kind="Microsoft.Authorization/roleAssignments",
        read=("get", "list_for_scope"), write=("create",), delete=("delete",),
    ),
    "storage_accounts": Group(
        kind=_STORAGE, read=("get_properties",), write=("begin_create", "update"),
        delete=("delete",),
    ),
    "blob_services": Group(
        kind=f"{_STORAGE}/blobServices", read=("get_service_properties",),
        write=("set_service_properties",),
    ),
    "blob_containers": Group(
        kind=f"{_STORAGE}/blobServices/containers", read=("get",), write=("create",),
        delete=("delete",),
    ),
    "profiles": Group(
        kind=_CDN, read=("get", "list_by_resource_group"), write=_MAKE, delete=_REMOVE
    ),
    "afd_endpoints": Group(
        kind=f"{_CDN}/afdendpoints", read=("get", "list_by_profile"), write=_MAKE,
        delete=_REMOVE,
        others={"begin_purge_content": (f"{_CDN}/afdendpoints/purge/action",)},
    ),
    "afd_custom_domains": Group(
        kind=f"{_CDN}/customdomains", read=("get",), write=_MAKE, delete=_REMOVE
    ),
    "afd_origin_groups": Group(
        kind=f"{_CDN}/origingroups", read=("get",), write=_MAKE, delete=_REMOVE
    ),
    "afd_origins": Group(
        kind=f"{_CDN}/origingroups/origins", read=("get",), write=_MAKE, delete=_REMOVE
    ),
    "rule_sets": Group(
        kind=f"{_CDN}/rulesets", read=("get",), write=_MAKE, delete=_REMOVE
    ),
    "rules": Group(
        kind=f"{_CDN}/rulesets/rules", read=("get",), write=_MAKE, delete=_REMOVE
    ),
    "routes": Group(
        kind=f"{_CDN}/afdendpoints/routes", read=("get",), write=_MAKE, delete=_REMOVE
    ),
    "network_security_groups": Group(
        kind=f"{_NETWORK}/networkSecurityGroups", read=("get",), write=_MAKE_OR_UPDATE,
        delete=_REMOVE,
    ),
    "virtual_networks": Group(
        kind=f"{_NETWORK}/virtualNetworks", read=("get",), write=_MAKE_OR_UPDATE,
        delete=_REMOVE,
    ),
    "public_ip_addresses": Group(
        kind=f"{_NETWORK}/publicIPAddresses", read=("get",), write=_MAKE_OR_UPDATE,
        delete=_REMOVE,
    ),
    "network_interfaces": Group(
        kind=f"{_NETWORK}/networkInterfaces", read=("get",), delete=_REMOVE,
        others={
            "begin_create_or_update": (
                f"{_NETWORK}/networkInterfaces/write",
                f"{_NETWORK}/virtualNetworks/subnets/join/action",
                f"{_NETWORK}/networkSecurityGroups/join/action",
                f"{_NETWORK}/publicIPAddresses/join/action",
            ),
        },
    ),
    "virtual_machines": Group(
        kind=_MACHINES, read=("get",),
        others={
            "begin_create_or_update": (
                f"{_MACHINES}/write", f"{_NETWORK}/networkInterfaces/join/action",
                "Microsoft.Compute/disks/read", "Microsoft.Compute/disks/write",
            ),
            "begin_delete": (f"{_MACHINES}/delete", "Microsoft.Compute/disks/delete"),
            "instance_view": (f"{_MACHINES}/instanceView/read",),
            "begin_start": (f"{_MACHINES}/start/action",),
            "begin_update": (f"{_MACHINES}/write",),
        },
    ),
    "virtual_machine_run_commands": Group(
        kind=f"{_MACHINES}/runCommands",
        read=("get_by_virtual_machine", "list_by_virtual_machine"), write=_MAKE_OR_UPDATE,
        delete=_REMOVE,
    ),
    "resource_skus": Group(kind="Microsoft.Compute/skus", read=("list",)),
    "vaults": Group(
        kind=_VAULTS, read=("get",), write=_MAKE_OR_UPDATE, delete=("delete",),
        others={
            "get_deleted": ("Microsoft.KeyVault/locations/deletedVaults/read",),
            "begin_purge_deleted": (
                "Microsoft.KeyVault/locations/deletedVaults/purge/action",
                "Microsoft.KeyVault/locations/operationResults/read",
            ),
        },
    ),
    "secrets": Group(
        kind=f"{_VAULTS}/secrets", read=("get", "list"), write=("create_or_update", "update")
    ),
    "zones": Group(kind=_DNS, read=("get", "list")),
    "record_sets": Group(
        kind=_DNS,
        others={
            "get": (f"{_DNS}/A/read", f"{_DNS}/CNAME/read", f"{_DNS}/TXT/read"),
            "create_or_update": (f"{_DNS}/A/write", f"{_DNS}/CNAME/write", f"{_DNS}/TXT/write"),
            "delete": (f"{_DNS}/A/delete", f"{_DNS}/CNAME/delete", f"{_DNS}/TXT/delete"),
        },
    ),
}  # fmt: skip
"""By the attribute of the SDK's clients."""

BESIDES = (
    "Microsoft.Resources/subscriptions/read",
    "Microsoft.Cdn/operationresults/*/read",
    "Microsoft.Compute/locations/operations/read",
    "Microsoft.Network/locations/operations/read",
    "Microsoft.Storage/locations/asyncoperations/read",
)
"""How a subscription is found, and what became of what was begun; the SDK asks by itself."""


def azure_policy(subscription: str) -> dict[str, Json]:
    """The role's definition, ready for `az role definition create --role-definition`.

    Args:
        subscription: An id; anything else leaves a place to fill in, since no login is needed.
    """
    actions = {action for group in GROUPS.values() for action in group.actions()}
    found: list[Json] = [*sorted({*actions, *BESIDES})]
    scope = subscription if _is_id(subscription) else NO_SUBSCRIPTION
    return {
        "Name": ROLE,
        "IsCustom": True,
        "Description": "What tmux-builder needs to publish, check and remove sites.",
        "Actions": found,
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [f"/subscriptions/{scope}"],
    }


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
