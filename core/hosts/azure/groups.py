"""Resource groups: one for each session, and one for what sessions share."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from core.hosts.azure.adoption import Part, ensure
from core.hosts.azure.bodies import Document
from core.hosts.azure.names import GROUP
from core.hosts.azure.site import AzureSite, Done


def group_part(site: AzureSite) -> Part:
    """The session's own group: deleting it deletes everything of the session but its CDN."""
    return _part(site, site.names.group, site.tags, shared=False)


def shared_group_part(site: AzureSite) -> Part:
    return _part(site, site.names.shared_group, site.shared_tags, shared=True)


def ensure_group(site: AzureSite) -> Document:
    return ensure(site, group_part(site))


def ensure_shared_group(site: AzureSite) -> Document:
    return ensure(site, shared_group_part(site))


def own_groups(site: AzureSite) -> dict[str, dict[str, str]]:
    """Every group of this session by name, with its tags: also of a deploy with another suffix."""
    session_id = site.names.config.key.session_id
    groups = site.client("resources").resource_groups
    listed = site.asked(
        "look for resource groups by their tags",
        lambda: list(groups.list(filter=f"tagName eq 'SessionID' and tagValue eq '{session_id}'")),
    )
    found = {str(one.name): dict(one.tags or {}) for one in listed}
    return {name: tags for name, tags in found.items() if site.names.config.owns(tags)}


def remove_group(site: AzureSite, name: str) -> None:
    """The group with everything in it; one that is gone already is fine."""
    groups = site.client("resources").resource_groups
    what = f"the resource group {name}"
    if site.found(f"look for {what}", lambda: groups.get(name)) is not None:
        site.followed(f"delete {what}", lambda: groups.begin_delete(name))


def holds_only(site: AzureSite, name: str, names: Collection[str]) -> bool:
    """Whether nothing but these is in the group: its list is behind what was just deleted."""
    resources = site.client("resources").resources
    listed = site.asked(
        f"look into the resource group {name}",
        lambda: list(resources.list_by_resource_group(name)),
    )
    return all(str(one.name).partition("/")[0] in names for one in listed)


def _part(site: AzureSite, name: str, tags: Mapping[str, str], *, shared: bool) -> Part:
    groups, config = site.client("resources").resource_groups, site.names.config
    return Part(
        what=f"the resource group {name}",
        body={"location": site.location},
        get=lambda: groups.get(name),
        begin=lambda body: Done(groups.create_or_update(name, body)),
        tags=tags,
        owned=config.owns_shared if shared else config.owns,
        made=lambda found: site.made(GROUP, name, found),
    )
