"""Kinds and names of what a dynamic site has in Azure besides a static one's group and account."""

from __future__ import annotations

from core.cloud.config import NamedKind
from core.hosts.azure.names import AzureNames

SECURITY_GROUP = "network_security_group"
NETWORK = "virtual_network"
ADDRESS = "public_ip"
INTERFACE = "network_interface"
MACHINE = "virtual_machine"
VAULT = "key_vault"
DOMAIN = "frontdoor_domain"
RECORD = "dns_record"

BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
"""Azure's built-in role Storage Blob Data Reader, the same in every tenant."""
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
"""Azure's built-in role Key Vault Secrets User."""

SUBNET = "web"


def machine_name(names: AzureNames) -> str:
    """Of the machine and of its network parts: names are unique within a type only."""
    return names.config.name(NamedKind.AZURE_VM)


def disk_name(names: AzureNames) -> str:
    return f"{machine_name(names)}-os"


def vault_name(names: AzureNames) -> str:
    """Vaults have the storage accounts' limits: 24 characters, and one name in all the world."""
    return names.config.name(NamedKind.AZURE_STORAGE)


def reader_id(names: AzureNames) -> str:
    """How the machine's right to read releases is recorded."""
    return f"{names.account}/{BLOB_READER}"


def secrets_id(names: AzureNames) -> str:
    return f"{vault_name(names)}/{SECRETS_USER}"
