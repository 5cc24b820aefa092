"""The host of static sites on Azure."""

from __future__ import annotations

from core.hosts.azure.static_site import AzureStaticHost
from core.hosts.environment import HostEnvironment
from core.ports.host import Host


def create(environment: HostEnvironment) -> Host:
    """The host on the operator's own subscription; nobody logs in before it is used."""
    return AzureStaticHost(environment)
