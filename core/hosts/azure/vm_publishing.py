"""One release to one machine: shipped to its container, then switched to by a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.errors import BuilderError
from core.hosts.azure.site import AzureSite
from core.hosts.azure.vm_commands import MachineCommand, make_room, release_name, run
from core.hosts.azure.vm_container import CONTAINER
from core.hosts.azure.vm_place import VmPlace
from core.hosts.azure.vm_releases import (
    Known,
    Shipment,
    agent_shipment,
    bring,
    clear_old,
    release_shipment,
)
from core.hosts.instance.archive import ReleaseArchive
from core.hosts.instance.commands import release_command
from core.ports.host import PublishRequest
from core.ports.objects import ObjectStore
from core.publish.object_stores import blob_objects

KEPT_RELEASES = 10
"""As many as a machine keeps itself."""


def put_release(
    site: AzureSite, request: PublishRequest, place: VmPlace, archive: ReleaseArchive
) -> None:
    """The machine serves the release, now or already; repeatable.

    Raises:
        AnswerIsNoError: It does not build or start; the former one is served on.
        CloudRefusedError: No right to the container yet (code `access_denied`), for the machine
            neither (`fetch_refused`), or the machine is gone (`machine_missing`).
        BuilderError: As the store and the machine say.
    """
    site = replace(site, location=place.location)
    wanted = (agent_shipment(), release_shipment(archive))
    there = _bring(site, place, wanted)
    site.leave_if_cancelled()
    script = release_command(place.instance(), archive)
    command = MachineCommand(name=release_name(archive.release_id), script=script)
    deploys = site.store.releases.deploys(site.names.config.key)
    kept = [one.release_id for one in deploys][:KEPT_RELEASES]
    make_room(site, {archive.release_id, *kept})
    answer = run(site, command)
    if answer.release_id != archive.release_id:
        raise BuilderError(
            f"The machine says that it serves {answer.release_id}, not {archive.release_id}.",
            remedy="Deploy again.",
            code="instance_unreadable",
        )
    request.log("machine switched", {"release_id": archive.release_id, "new": answer.changed})
    clear_old(_objects(site, place), there, wanted, kept)


def bring_agent(site: AzureSite, place: VmPlace) -> None:
    """Today's agent lies where the machine fetches it: a command may need it.

    Raises:
        CloudRefusedError: No right to the container (code `access_denied`).
    """
    _bring(site, place, (agent_shipment(),))


def _bring(site: AzureSite, place: VmPlace, wanted: Sequence[Shipment]) -> frozenset[str]:
    key, published = site.names.config.key, site.store.published

    def remember(written: Known) -> None:
        published.put(key, written)

    return bring(_objects(site, place), wanted, published.get(key), remember, site.log)


def _objects(site: AzureSite, place: VmPlace) -> ObjectStore:
    ca = site.subscription.cloud.ca
    return blob_objects(
        place.blob_endpoint, CONTAINER, site.subscription.credential(),
        ca_file=None if ca is None else str(ca),
    )  # fmt: skip
