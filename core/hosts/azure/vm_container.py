"""The private container of the session's account that its machine fetches from."""

from __future__ import annotations

from core.hosts.azure.adoption import Part, ensure
from core.hosts.azure.site import AzureSite, Done
from core.hosts.azure.vm_bodies import container_body

CONTAINER = "releases"


def container_part(site: AzureSite) -> Part:
    calls, place = site.client("storage").blob_containers, (site.names.group, site.names.account)
    return Part(
        what=f"the container {CONTAINER} of {site.names.account}",
        body=container_body(),
        get=lambda: calls.get(*place, CONTAINER),
        begin=lambda body: Done(calls.create(*place, CONTAINER, body)),
    )


def ensure_container(site: AzureSite) -> None:
    ensure(site, container_part(site))
