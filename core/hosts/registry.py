"""Hosts by name: `core/hosts/<provider>_<site_type>.py`, each with `create(environment)`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from itertools import product
from typing import cast

from core.errors import UsageError
from core.hosts.environment import HostEnvironment
from core.models.user import HostProvider, SiteType
from core.ports.host import Host


def built_hosts() -> tuple[tuple[HostProvider, SiteType], ...]:
    """Every provider and site type that has its file."""
    return tuple(
        (provider, site_type)
        for provider, site_type in product(HostProvider, SiteType)
        if importlib.util.find_spec(_module(provider, site_type)) is not None
    )


def find_host(
    host_provider: HostProvider, site_type: SiteType, environment: HostEnvironment
) -> Host:
    """The host of that provider and site type.

    Raises:
        UsageError: There is no such host yet.
    """
    if (host_provider, site_type) not in built_hosts():
        built = ", ".join(f"{provider}/{kind}" for provider, kind in built_hosts())
        raise UsageError(
            f"The host {host_provider}/{site_type} is not built yet; built are: {built}.",
            remedy="Create the session with --host-provider local, which needs no account.",
            code="host_not_built",
        )
    module = importlib.import_module(_module(host_provider, site_type))
    create = cast(Callable[[HostEnvironment], Host], module.create)
    return create(environment)


def _module(host_provider: HostProvider, site_type: SiteType) -> str:
    return f"core.hosts.{host_provider}_{site_type}"
