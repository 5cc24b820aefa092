"""What somebody changed by hand: every part read and compared with what a deploy would make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.hosts.azure.adoption import Part, differences
from core.hosts.azure.bodies import Document, Origin
from core.hosts.azure.front_door import FrontDoor, endpoint_part
from core.hosts.azure.groups import group_part, shared_group_part
from core.hosts.azure.names import ACCOUNT, ENDPOINT, GROUP, PROFILE, ROLE, ROUTE
from core.hosts.azure.profiles import profile_part
from core.hosts.azure.site import AzureSite
from core.hosts.azure.storage import (
    WebAccount,
    account_part,
    is_on_by_data_plane,
    may_write,
    web_account,
    website_of,
    website_part,
)
from core.models.release import Drift

GONE = "gone"
THERE = "there"


def control_drift(site: AzureSite, profile: str | None) -> Iterator[Drift]:
    """Of everything but the files, in the order in which it is made."""
    names = site.names
    yield from part_drift(site, group_part(site), GROUP, names.group)
    found = site.found(f"look for {account_part(site).what}", account_part(site).get)
    yield from compared_drift(site, account_part(site), found, ACCOUNT, names.account)
    if found is None:
        return
    account = web_account(site, found)
    yield from _of_website(site, account)
    yield from role_drift(site, account.resource_id)
    if profile is not None:
        origin = Origin(host=account.web_host, port=account.web_port)
        yield from front_door_drift(FrontDoor(site=site, profile=profile, origin=origin))


def front_door_drift(front: FrontDoor) -> Iterator[Drift]:
    """Of the shared profile and of the site's parts in it."""
    site, profile, names = front.site, front.profile, front.site.names
    yield from part_drift(site, shared_group_part(site), GROUP, names.shared_group)
    yield from part_drift(site, profile_part(site, profile), PROFILE, profile)
    yield from part_drift(site, endpoint_part(site, profile), ENDPOINT, names.endpoint_id(profile))
    for part in front.parts():
        yield from part_drift(site, part, ROUTE, names.route_id(profile))


def _of_website(site: AzureSite, account: WebAccount) -> Iterator[Drift]:
    """Older management planes do not know it: there the data plane is asked."""
    part = website_part(site)
    found = site.found(f"look for {part.what}", part.get)
    if website_of(found) or not is_on_by_data_plane(site, account):
        yield from compared_drift(site, part, found, ACCOUNT, site.names.account)


def role_drift(site: AzureSite, account_id: str) -> Iterator[Drift]:
    """Whether the login may still write the account's blobs, whoever has logged in."""
    if not may_write(site, account_id):
        yield one_drift(ROLE, site.names.role_id, "existence", THERE, GONE)


def part_drift(site: AzureSite, part: Part, kind: str, resource_id: str) -> Iterator[Drift]:
    """Of one part, which is read now."""
    found = site.found(f"look for {part.what}", part.get)
    yield from compared_drift(site, part, found, kind, resource_id)


def compared_drift(
    site: AzureSite, part: Part, found: Document | None, kind: str, resource_id: str
) -> Iterator[Drift]:
    """Of one part that was read already."""
    if found is None:
        yield one_drift(kind, resource_id, f"existence of {part.what}", THERE, GONE)
        return
    for where, wanted, there in differences(found, part.body):
        yield one_drift(kind, resource_id, where, _text(wanted), _text(there))
    if part.tags is not None:
        yield from _of_tags(site, found.get("tags") or {}, kind, resource_id)


def _of_tags(
    site: AzureSite, found: Mapping[str, str], kind: str, resource_id: str
) -> Iterator[Drift]:
    """Against what is recorded: the tags tell which run made it, and are not changed by later."""
    for resource in site.recorded(kind):
        if resource.resource_id != resource_id:
            continue
        for name in sorted({*resource.tags, *found}):
            wanted, there = resource.tags.get(name), found.get(name)
            if wanted != there:
                yield one_drift(kind, resource_id, f"tags.{name}", _text(wanted), _text(there))


def one_drift(kind: str, resource_id: str, what: str, expected: str, found: str) -> Drift:
    return Drift(kind=kind, resource_id=resource_id, what=what, expected=expected, found=found)


def _text(value: object) -> str:
    return "none" if value is None else str(value)
