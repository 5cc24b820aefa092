"""Where a static site lies in Azure: made, adopted, or known from the last deploy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from core.hosts.azure.bodies import (
    Origin,
    account_body,
    endpoint_body,
    origin_body,
    origin_group_body,
    profile_body,
    route_body,
    rule_body,
    website_body,
)
from core.hosts.azure.front_door import FrontDoor
from core.hosts.azure.groups import ensure_group, ensure_shared_group
from core.hosts.azure.names import ACCOUNT, ENDPOINT, GROUP, PROFILE, ROUTE, AzureNames
from core.hosts.azure.profiles import ensure_entrance
from core.hosts.azure.site import AzureSite
from core.hosts.azure.storage import (
    WebAccount,
    ensure_account,
    ensure_role,
    ensure_website,
)
from core.models.execution import Json

FRONT_DOOR = "frontdoor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the site's files go and where visitors find them.

    Attributes:
        profile: The Front Door profile, None without a CDN.
        is_cached: Whether an edge may hold files of an earlier publish.
    """

    blob_endpoint: str
    web_endpoint: str
    url: str
    profile: str | None
    is_cached: bool

    def block(self, names: AzureNames, digest: str) -> dict[str, Json]:
        """The provider's own keys of `deployment/config.json`, and what a redeploy goes by."""
        return {
            "resource_group": names.group,
            "storage_account": names.account,
            "cdn_endpoint": None if self.profile is None else names.endpoint,
            "frontdoor_profile": self.profile,
            "blob_endpoint": self.blob_endpoint,
            "web_endpoint": self.web_endpoint,
            "url": self.url,
            "configuration": digest,
        }


def kinds_of(cdn: str) -> tuple[str, ...]:
    """Kinds of what such a site has recorded; its role may be one that the login had before."""
    own = (GROUP, ACCOUNT)
    return (*own, PROFILE, ENDPOINT, ROUTE) if cdn == FRONT_DOOR else own


def digest_of(names: AzureNames, cdn: str) -> str:
    """The desired configuration in short; another one means that Azure is asked again."""
    wanted: list[object] = [
        names.group, names.account, account_body(""), website_body(), cdn,
    ]  # fmt: skip
    if cdn == FRONT_DOOR:
        origin = Origin(host="")
        wanted += [
            names.endpoint, profile_body(), endpoint_body(), origin_group_body(origin),
            origin_body(origin), rule_body(),
            route_body("", names.endpoint, names.rule_set, origin, caches=True),
        ]  # fmt: skip
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:20]


def known_place(site: AzureSite, cdn: str, block: Mapping[str, Json]) -> Place | None:
    """The place of the last deploy, if all of it is recorded and nothing should be otherwise."""
    is_same = block.get("configuration") == digest_of(site.names, cdn)
    is_whole = all(site.recorded(kind) for kind in kinds_of(cdn))
    return last_place(block, str(block.get("url"))) if is_same and is_whole else None


def last_place(block: Mapping[str, Json], url: str | None) -> Place:
    """What is recorded of the place, whole or not, and whatever it should be today."""
    profile = block.get("frontdoor_profile")
    return Place(
        blob_endpoint=str(block.get("blob_endpoint") or ""),
        web_endpoint=str(block.get("web_endpoint") or ""),
        url=url or "",
        profile=profile if isinstance(profile, str) else None,
        is_cached=True,
    )


def ensure_place(site: AzureSite, cdn: str) -> Place:
    """Everything that the site needs, adopted or made; the role early, because it spreads slowly.

    Raises:
        CloudRefusedError: A name is somebody else's, or rights or quota are missing.
        CancelledError: The operator cancelled; what was made is recorded and kept.
    """
    ensure_group(site)
    account = ensure_account(site)
    ensure_role(site, account)
    ensure_website(site, account)
    if cdn != FRONT_DOOR:
        return _place(account, account.web_endpoint.rstrip("/"), None, is_cached=False)
    ensure_shared_group(site)
    entrance = ensure_entrance(site)
    origin = Origin(host=account.web_host, port=account.web_port)
    FrontDoor(site=site, profile=entrance.profile, origin=origin).ensure()
    url = f"https://{entrance.host}"
    return _place(account, url, entrance.profile, is_cached=not entrance.is_new)


def _place(account: WebAccount, url: str, profile: str | None, *, is_cached: bool) -> Place:
    return Place(
        blob_endpoint=account.blob_endpoint,
        web_endpoint=account.web_endpoint,
        url=url,
        profile=profile,
        is_cached=is_cached,
    )
