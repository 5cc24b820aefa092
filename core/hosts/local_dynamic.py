"""Dynamic sites on this computer: the `web:` line of a Procfile, contained, behind one port."""

from __future__ import annotations

from core.hosts.environment import HostEnvironment
from core.hosts.local_server.publishing import LocalHost
from core.models.user import SiteType
from core.ports.host import Host


def create(environment: HostEnvironment) -> Host:
    return LocalHost(environment, SiteType.DYNAMIC)
