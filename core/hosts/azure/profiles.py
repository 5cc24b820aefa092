"""The shared Front Door profiles: a profile costs as much for ten sites as for one.

One of the process at a time chooses a profile or removes one, so that none is removed under a
site that has just chosen it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.hosts.azure.adoption import Part, ensure
from core.hosts.azure.bodies import Document, profile_body
from core.hosts.azure.front_door import endpoint_part
from core.hosts.azure.groups import holds_only, remove_group, shared_group_part
from core.hosts.azure.names import ENDPOINT, GROUP, PROFILE
from core.hosts.azure.site import AzureSite, as_document
from core.store.store import Store

ENDPOINTS_EACH = 10
"""Front Door Standard takes no more in one profile."""

SHARING = threading.Lock()

Profiles = dict[str, list[Document]]


def profile_part(site: AzureSite, profile: str) -> Part:
    calls, names = site.client("cdn").profiles, site.names
    return Part(
        what=f"the shared Front Door profile {profile}",
        body=profile_body(),
        get=lambda: calls.get(names.shared_group, profile),
        begin=lambda body: calls.begin_create(names.shared_group, profile, body),
        tags=site.shared_tags,
        owned=names.config.owns_shared,
        made=lambda tags: site.made(PROFILE, profile, tags),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """A session's endpoint in a shared profile.

    Attributes:
        front_door_id: What the profile's requests carry, so that an origin knows them.
        is_new: Nothing of an earlier publish can be at its edges.
    """

    profile: str
    front_door_id: str
    host: str
    is_new: bool


def ensure_entrance(site: AzureSite) -> Entrance:
    """The session's endpoint: where it is, or in the first profile that has room."""
    with SHARING:
        profiles = own_profiles(site)
        holder = _holder(site, profiles)
        profile = holder or _with_room(site, profiles)
        shared = ensure(site, profile_part(site, profile))
        endpoint = ensure(site, endpoint_part(site, profile))
    return Entrance(
        profile=profile,
        front_door_id=front_door_id(shared),
        host=str(endpoint["properties"]["hostName"]),
        is_new=holder is None,
    )


def front_door_id(profile: Document) -> str:
    """Another profile of the same name has another one."""
    return str(profile["properties"].get("frontDoorId", "")).lower()


def planned_profile(store: Store, site: AzureSite) -> str:
    """The profile that a first deploy would choose, by the records alone."""
    for resource in site.recorded(PROFILE):
        return resource.resource_id
    endpoints = [
        one.resource_id
        for session in store.sessions.all()
        for one in store.sessions.resources(session.key)
        if one.kind == ENDPOINT
    ]
    return next(
        name
        for name in _numbered(site)
        if sum(one.startswith(f"{name}/") for one in endpoints) < ENDPOINTS_EACH
    )


def own_profiles(site: AzureSite) -> Profiles:
    """This installation's shared profiles by name, each with its endpoints."""
    group, cdn = site.names.shared_group, site.client("cdn")
    what = f"the resource group {group}"
    groups = site.client("resources").resource_groups
    if site.found(f"look for {what}", lambda: groups.get(group)) is None:
        return {}
    listed = site.asked(
        "look for shared Front Door profiles",
        lambda: list(cdn.profiles.list_by_resource_group(group)),
    )
    found = [as_document(one) for one in listed]
    owned = [one for one in found if site.names.config.owns_shared(one.get("tags") or {})]
    return {str(one["name"]): _endpoints(site, str(one["name"])) for one in owned}


def own_endpoints(
    site: AzureSite, profiles: Profiles
) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """(profile, endpoint, tags) of what this session has there, under whatever suffix."""
    for profile, endpoints in profiles.items():
        for one in endpoints:
            tags = one.get("tags") or {}
            if site.names.config.owns(tags):
                yield profile, str(one["name"]), tags


def remove_unused(site: AzureSite, profiles: Profiles) -> Iterator[tuple[str, str]]:
    """(kind, name) of shared things that were deleted because nobody uses them any more."""
    cdn, group = site.client("cdn"), site.names.shared_group
    removed: list[str] = []
    for profile in profiles:
        if not _endpoints(site, profile):
            site.followed(
                f"delete the shared Front Door profile {profile}",
                partial(cdn.profiles.begin_delete, group, profile),
            )
            removed.append(profile)
            yield PROFILE, profile
    part = shared_group_part(site)
    found = site.found(f"look for {part.what}", part.get) or {}
    if part.owned(found.get("tags") or {}) and holds_only(site, group, removed):
        remove_group(site, group)
        yield GROUP, group


def _holder(site: AzureSite, profiles: Profiles) -> str | None:
    """Where the session's endpoint is already."""
    name = site.names.endpoint.lower()
    for profile, endpoints in profiles.items():
        if any(str(one["name"]).lower() == name for one in endpoints):
            return profile
    return None


def _with_room(site: AzureSite, profiles: Profiles) -> str:
    return next(
        profile for profile in _numbered(site) if len(profiles.get(profile, [])) < ENDPOINTS_EACH
    )


def _numbered(site: AzureSite) -> Iterator[str]:
    number = 1
    while True:
        yield site.names.profile(number)
        number += 1


def _endpoints(site: AzureSite, profile: str) -> list[Document]:
    calls: Any = site.client("cdn").afd_endpoints
    listed = site.asked(
        f"list the endpoints of {profile}",
        lambda: list(calls.list_by_profile(site.names.shared_group, profile)),
    )
    return [as_document(one) for one in listed]
