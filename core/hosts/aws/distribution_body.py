"""A distribution as it should be: built from a wish, and compared with what CloudFront gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.hosts.aws.bucket import SiteBucket
from core.hosts.aws.managed_policies import CACHING_OPTIMIZED, PolicyIds, PolicyNames

ORIGIN_ID = "site"
NOT_FOUND_PAGE = "/404.html"
ERROR_LASTS_S = 10
"""Seconds that an edge remembers a failure: it must not outlive the page that mends it."""
PRICE_CLASS = "PriceClass_100"
STATIC_POLICIES = PolicyNames(cache=CACHING_OPTIMIZED)
READ_METHODS = ("GET", "HEAD")
ALL_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE")

OUR_VALUE, ANOTHER_VALUE = "the site's own", "another one"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketOrigin:
    """A private bucket, read with signed requests."""

    bucket: SiteBucket
    access_control_id: str

    def body(self) -> Body:
        return {
            "Id": ORIGIN_ID,
            "DomainName": self.bucket.origin_domain,
            "OriginPath": "",
            "OriginAccessControlId": self.access_control_id,
            "S3OriginConfig": {"OriginAccessIdentity": ""},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOrigin:
    """A web server, such as an instance's public name.

    Attributes:
        headers: Sent with each request, so that the server can tell the distribution from others.
    """

    domain: str
    port: int = 80
    protocol: str = "http-only"
    read_timeout_s: int = 30
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def body(self) -> Body:
        return {
            "Id": ORIGIN_ID,
            "DomainName": self.domain,
            "OriginPath": "",
            "CustomHeaders": _items(
                [{"HeaderName": name, "HeaderValue": text} for name, text in self.headers.items()]
            ),
            "CustomOriginConfig": {
                "HTTPPort": self.port,
                "HTTPSPort": 443,
                "OriginProtocolPolicy": self.protocol,
                "OriginReadTimeout": self.read_timeout_s,
                "OriginSslProtocols": _items(["TLSv1.2"]),
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionWish:
    """What a host wants of its distribution.

    Attributes:
        name: Comment and caller reference: the stable key that finds it again.
        function_arn: Run for each viewer's request.
        default_root: Served at `/`; empty where the origin decides.
        not_found_page: Shown with status 404 for what the origin refuses or lacks; none where the
            origin has pages of its own.
        aliases: Own domain names; they need the certificate.
    """

    name: str
    origin: BucketOrigin | ServerOrigin
    policies: PolicyNames = STATIC_POLICIES
    function_arn: str | None = None
    default_root: str = ""
    not_found_page: str | None = None
    methods: tuple[str, ...] = READ_METHODS
    aliases: tuple[str, ...] = ()
    certificate_arn: str | None = None


def wanted_body(wish: DistributionWish, policies: PolicyIds, *, enabled: bool = True) -> Body:
    """The members that the product decides; all others stay as CloudFront or a person set them."""
    body: Body = {
        "Comment": wish.name,
        "Enabled": enabled,
        "DefaultRootObject": wish.default_root,
        "Origins": _items([wish.origin.body()]),
        "DefaultCacheBehavior": _behavior(wish, policies),
        "CustomErrorResponses": _error_pages(wish.not_found_page),
        "PriceClass": PRICE_CLASS,
        "HttpVersion": "http2and3",
        "IsIPV6Enabled": True,
    }
    if wish.aliases:
        body["Aliases"] = _items(list(wish.aliases))
        body["ViewerCertificate"] = {
            "ACMCertificateArn": wish.certificate_arn,
            "SSLSupportMethod": "sni-only",
            "MinimumProtocolVersion": "TLSv1.2_2021",
        }
    return body


def untouched_body(wish: DistributionWish) -> Body:
    """Members that nobody has set: another value is somebody's hand, shown but left alone."""
    none = {"Quantity": 0}
    body: Body = {
        "CacheBehaviors": none, "OriginGroups": none, "WebACLId": "",
        "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
        "Logging": {"Enabled": False},
    }  # fmt: skip
    if not wish.aliases:
        body["Aliases"] = none
    return body


def veiled(body: Body, own: Mapping[str, str]) -> Body:
    """The same without the values of origin headers: they are told as ours or as another one.

    Args:
        own: Values that the product has set, by the header's name.
    """
    items = [_veiled_origin(one, own) for one in body.get("Origins", {}).get("Items", [])]
    return {**body, "Origins": _items(items)}


def _veiled_origin(origin: Body, own: Mapping[str, str]) -> Body:
    headers = [
        {**one, "HeaderValue": OUR_VALUE if own.get(one["HeaderName"]) == one["HeaderValue"]
         else ANOTHER_VALUE}
        for one in origin.get("CustomHeaders", {}).get("Items", [])
    ]  # fmt: skip
    return {**origin, "CustomHeaders": _items(headers)} if headers else origin


def differences(wanted: Any, found: Any, path: str = "") -> list[tuple[str, str, str]]:
    """Every named member that is another one: (path, expected, found).

    Only what `wanted` names is compared, an order of items means nothing, and an empty list is the
    same with and without its items.
    """
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        if "Quantity" in wanted:
            return _list_differences(wanted, found, path)
        return [
            difference
            for name, value in wanted.items()
            for difference in differences(value, found.get(name), f"{path}.{name}".lstrip("."))
        ]
    return [] if wanted == found else [(path, _shown(wanted), _shown(found))]


def overlaid(wanted: Body, found: Body) -> Body:
    """What CloudFront gave, with the product's members in place: the body of an update."""
    merged = dict(found)
    for name, value in wanted.items():
        is_plain = isinstance(value, Mapping) and "Quantity" not in value
        merged[name] = overlaid(dict(value), found.get(name) or {}) if is_plain else value
    if isinstance(merged.get("Origins"), Mapping):
        merged["Origins"] = _full_origins(merged["Origins"], found.get("Origins") or {})
    return merged


def _full_origins(wanted: Body, found: Body) -> Body:
    former = {one["Id"]: one for one in found.get("Items", [])}
    items = [{**_kindless(former.get(one["Id"], {})), **one} for one in wanted["Items"]]
    return _items(items)


def _kindless(origin: Body) -> Body:
    kinds = ("S3OriginConfig", "CustomOriginConfig", "VpcOriginConfig")
    return {name: value for name, value in origin.items() if name not in kinds}


def _behavior(wish: DistributionWish, policies: PolicyIds) -> Body:
    functions = [] if wish.function_arn is None else [
        {"EventType": "viewer-request", "FunctionARN": wish.function_arn}
    ]  # fmt: skip
    behavior: Body = {
        "TargetOriginId": ORIGIN_ID,
        "ViewerProtocolPolicy": "redirect-to-https",
        "Compress": True,
        "AllowedMethods": {
            **_items(list(wish.methods)), "CachedMethods": _items(list(READ_METHODS)),
        },
        "CachePolicyId": policies.cache,
        "FunctionAssociations": _items(functions),
    }  # fmt: skip
    if policies.response_headers is not None:
        behavior["ResponseHeadersPolicyId"] = policies.response_headers
    if policies.origin_request is not None:
        behavior["OriginRequestPolicyId"] = policies.origin_request
    return behavior


def _error_pages(page: str | None) -> Body:
    """A private bucket refuses what it lacks, so 403 means missing as well as 404 does."""
    if page is None:
        return _items([])
    return _items(
        [
            {
                "ErrorCode": status, "ResponsePagePath": page, "ResponseCode": "404",
                "ErrorCachingMinTTL": ERROR_LASTS_S,
            }
            for status in (403, 404)
        ]
    )  # fmt: skip


def _items(items: list[Any]) -> Body:
    """A list as CloudFront writes it."""
    return {"Quantity": len(items), "Items": items} if items else {"Quantity": 0}


def _list_differences(
    wanted: Mapping[str, Any], found: Mapping[str, Any], path: str
) -> list[tuple[str, str, str]]:
    ours, theirs = _sorted(wanted.get("Items", [])), _sorted(found.get("Items", []))
    if len(ours) != len(theirs):
        return [(path, _shown(ours), _shown(theirs))]
    other = {name: value for name, value in wanted.items() if name not in ("Quantity", "Items")}
    inside = [
        difference
        for mine, other_one in zip(ours, theirs, strict=True)
        for difference in differences(mine, other_one, f"{path}[]")
    ]
    return [*inside, *differences(other, found, path)]


def _sorted(items: list[Any]) -> list[Any]:
    """By what tells items apart, which is the first member of each."""
    keys = ("Id", "ErrorCode", "HeaderName", "EventType", "PathPattern")

    def key(item: Any) -> str:
        if isinstance(item, Mapping):
            return str(next((item[name] for name in keys if name in item), _shown(item)))
        return str(item)

    return sorted(items, key=key)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
