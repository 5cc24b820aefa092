"""What a publish to Azure would do, by the records alone: no login, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from core.cloud.prices import usd_per_day
from core.hosts.azure.names import ACCOUNT, ENDPOINT, GROUP, PROFILE, ROLE, ROUTE
from core.hosts.azure.place import FRONT_DOOR, digest_of
from core.hosts.azure.profiles import planned_profile
from core.hosts.azure.site import AzureSite
from core.models.execution import Json
from core.models.release import PlannedAction
from core.ports.objects import StoredObject


def planned_actions(
    site: AzureSite, cdn: str, block: Mapping[str, Json], size_bytes: int
) -> tuple[PlannedAction, ...]:
    """One row for each resource, in the order in which they are made."""
    is_same = block.get("configuration") == digest_of(site.names, cdn)
    return tuple(
        planned_action(
            site, kind, resource_id, tags, is_same=is_same,
            est_usd_day=usd_per_day(kind, size_bytes=size_bytes if kind == ACCOUNT else 0),
        )
        for kind, resource_id, tags in _wanted(site, cdn)
    )  # fmt: skip


def _wanted(site: AzureSite, cdn: str) -> list[tuple[str, str, Mapping[str, str]]]:
    names, untagged = site.names, dict[str, str]()
    rows: list[tuple[str, str, Mapping[str, str]]] = [
        (GROUP, names.group, site.tags),
        (ACCOUNT, names.account, site.tags),
        (ROLE, names.role_id, untagged),
    ]
    if cdn == FRONT_DOOR:
        profile = planned_profile(site.store, site)
        rows += [
            (GROUP, names.shared_group, site.shared_tags),
            (PROFILE, profile, site.shared_tags),
            (ENDPOINT, names.endpoint_id(profile), site.tags),
            (ROUTE, names.route_id(profile), untagged),
        ]
    return rows


def planned_action(
    site: AzureSite,
    kind: str,
    resource_id: str,
    tags: Mapping[str, str],
    *,
    is_same: bool,
    est_usd_day: float | None,
) -> PlannedAction:
    """What a deploy does with one resource, by what is recorded of it.

    Args:
        tags: Of a new one; what exists keeps its own.
        is_same: Whether the site is to be as the last deploy left it.
    """
    recorded = {one.resource_id: one for one in site.recorded(kind)}.get(resource_id)
    return PlannedAction(
        action="create" if recorded is None else "keep" if is_same else "update",
        kind=kind,
        resource_id=resource_id,
        tags=tags if recorded is None else recorded.tags,
        est_usd_day=est_usd_day,
    )


class Unreached:
    """The container of a plan: it may not exist, and there may be no login for it."""

    def list(self) -> dict[str, StoredObject]:
        raise NotImplementedError

    def put(self, path: str, content: bytes | Iterator[bytes], headers: Mapping[str, str]) -> str:
        raise NotImplementedError

    def delete(self, paths: Sequence[str]) -> None:
        raise NotImplementedError
