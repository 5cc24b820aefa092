"""CloudFront's managed policies by their names: their ids are looked up, never known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import CloudRefusedError
from core.hosts.aws.site import AwsSite

CACHING_OPTIMIZED = "Managed-CachingOptimized"
CACHING_DISABLED = "Managed-CachingDisabled"
SECURITY_HEADERS = "Managed-SecurityHeadersPolicy"
ALL_VIEWER_EXCEPT_HOST = "Managed-AllViewerExceptHostHeader"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyNames:
    """Which managed policies a distribution works by."""

    cache: str
    response_headers: str | None = SECURITY_HEADERS
    origin_request: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyIds:
    """Their ids in this account's CloudFront."""

    cache: str
    response_headers: str | None
    origin_request: str | None


def resolve_policies(site: AwsSite, names: PolicyNames) -> PolicyIds:
    """Ids of managed policies.

    Raises:
        CloudRefusedError: CloudFront has no policy of such a name.
    """
    headers, request = names.response_headers, names.origin_request
    return PolicyIds(
        cache=_id(site, "CachePolicy", names.cache),
        response_headers=None if headers is None else _id(site, "ResponseHeadersPolicy", headers),
        origin_request=None if request is None else _id(site, "OriginRequestPolicy", request),
    )


def _id(site: AwsSite, member: str, name: str) -> str:
    lists = {
        "CachePolicy": site.cloudfront.list_cache_policies,
        "ResponseHeadersPolicy": site.cloudfront.list_response_headers_policies,
        "OriginRequestPolicy": site.cloudfront.list_origin_request_policies,
    }
    marker: dict[str, str] = {}
    while True:
        with site.doing(f"look for the policy {name}"):
            answer: Any = lists[member](Type="managed", **marker)[f"{member}List"]
        for item in answer.get("Items", []):
            if item[member][f"{member}Config"]["Name"] == name:
                return str(item[member]["Id"])
        if not answer.get("NextMarker"):
            break
        marker = {"Marker": str(answer["NextMarker"])}
    raise CloudRefusedError(
        f"CloudFront has no managed policy {name}.",
        remedy="Report this with tmux-builder report: the name has changed at AWS.",
    )
