"""What Azure is asked for around a machine, as the management plane's JSON, without tags."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from core.cloud.prices import VM_DISK_GB
from core.hosts.azure.bodies import Document
from core.hosts.azure.vm_names import SUBNET
from core.hosts.instance.commands import user_data

WEB_PORT = 80
ADMIN = "tmuxbuilder"
"""Azure wants an account on the machine; nobody has a key or a password for it."""

FRONT_DOOR_TAG = "AzureFrontDoor.Backend"
ANYBODY = "Internet"

IMAGE: Mapping[str, str] = {
    "publisher": "Canonical",
    "offer": "ubuntu-24_04-lts",
    "sku": "server",
    "version": "latest",
}
"""Ubuntu 24.04 LTS of the second generation for x86-64; counts when the machine is made."""

DISK_GB = VM_DISK_GB
_PREFIX = "10.20.0.0/24"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineWish:
    """What a new machine is made of besides what is always the same.

    Attributes:
        public_key: In OpenSSH's form; its private half is kept nowhere.
        is_host_encrypted: Whether caches and temporary disks are encrypted on the host too.
    """

    location: str
    name: str
    disk: str
    size: str
    interface_id: str
    public_key: str
    is_host_encrypted: bool


def security_group_body(location: str, source: str) -> Document:
    """Visitors come in on the web port from one source; nothing else does, SSH included."""
    rule = {
        "priority": 100,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": str(WEB_PORT),
    }
    return {
        "location": location,
        "properties": {"securityRules": [{"name": "web", "properties": rule}]},
    }


def network_body(location: str) -> Document:
    """One subnet whose machines leave it by an address of their own only."""
    subnet = {"addressPrefix": _PREFIX, "defaultOutboundAccess": False}
    return {
        "location": location,
        "properties": {
            "addressSpace": {"addressPrefixes": [_PREFIX]},
            "subnets": [{"name": SUBNET, "properties": subnet}],
        },
    }


def address_body(location: str, label: str) -> Document:
    return {
        "location": location,
        "sku": {"name": "Standard", "tier": "Regional"},
        "properties": {
            "publicIPAllocationMethod": "Static",
            "publicIPAddressVersion": "IPv4",
            "dnsSettings": {"domainNameLabel": label},
        },
    }


def interface_body(location: str, subnet_id: str, address_id: str, group_id: str) -> Document:
    configuration = {
        "primary": True,
        "privateIPAllocationMethod": "Dynamic",
        "subnet": {"id": subnet_id},
        "publicIPAddress": {"id": address_id},
    }
    return {
        "location": location,
        "properties": {
            "networkSecurityGroup": {"id": group_id},
            "ipConfigurations": [{"name": SUBNET, "properties": configuration}],
        },
    }


def machine_body(wish: MachineWish) -> Document:
    """Disk and interface go with the machine; its identity is how it reads releases and secrets."""
    interface = {
        "id": wish.interface_id,
        "properties": {"primary": True, "deleteOption": "Delete"},
    }
    return {
        "location": wish.location,
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "hardwareProfile": {"vmSize": wish.size},
            "storageProfile": {"imageReference": dict(IMAGE), "osDisk": _disk(wish.disk)},
            "osProfile": _system(wish),
            "networkProfile": {"networkInterfaces": [interface]},
            "securityProfile": _security(is_host_encrypted=wish.is_host_encrypted),
        },
    }


def _disk(name: str) -> Document:
    return {
        "name": name,
        "createOption": "FromImage",
        "caching": "ReadWrite",
        "diskSizeGB": DISK_GB,
        "deleteOption": "Delete",
        "managedDisk": {"storageAccountType": "StandardSSD_LRS"},
    }


def _system(wish: MachineWish) -> Document:
    path = f"/home/{ADMIN}/.ssh/authorized_keys"
    return {
        "computerName": wish.name,
        "adminUsername": ADMIN,
        "customData": base64.b64encode(user_data().encode()).decode(),
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "provisionVMAgent": True,
            "ssh": {"publicKeys": [{"path": path, "keyData": wish.public_key}]},
        },
    }


def _security(*, is_host_encrypted: bool) -> Document:
    trusted: Document = {
        "securityType": "TrustedLaunch",
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
    }
    return {**trusted, "encryptionAtHost": True} if is_host_encrypted else trusted


def vault_body(location: str, tenant_id: str) -> Document:
    """Roles say who reads it. A deleted vault can be purged, so that its name is free again."""
    return {
        "location": location,
        "properties": {
            "tenantId": tenant_id,
            "sku": {"family": "A", "name": "standard"},
            "accessPolicies": [],
            "enableRbacAuthorization": True,
            "enableSoftDelete": True,
            "softDeleteRetentionInDays": 7,
            "publicNetworkAccess": "Enabled",
        },
    }


def container_body() -> Document:
    return {"properties": {"publicAccess": "None"}}


def domain_body(host: str) -> Document:
    """A name of one's own in Front Door, with a certificate that Azure gets and renews."""
    return {
        "properties": {
            "hostName": host,
            "tlsSettings": {
                "certificateType": "ManagedCertificate",
                "cipherSuiteSetType": "TLS12_2023",
            },
        }
    }
