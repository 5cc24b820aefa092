"""What CloudFront refuses in a distribution's configuration, and what it adds to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.cloud.aws.wire import RefusedError

_LEGACY = ("ForwardedValues", "MinTTL", "DefaultTTL", "MaxTTL")
_S3_DOMAIN = re.compile(r"[a-z0-9-]+\.s3\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_S3_GLOBAL = re.compile(r"\.s3\.amazonaws\.com$")

_OWN_HEADERS = frozenset(
    ("cache-control", "connection", "content-length", "cookie", "host", "max-forwards", "pragma",
     "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "via", "x-real-ip")
)  # fmt: skip


def check_config(
    config: dict[str, Any],
    *,
    has_access_control: Callable[[str], bool],
    has_function: Callable[[str], bool],
    has_policy: Callable[[str, str], bool],
) -> None:
    _check_quantities(config)
    if len(config["Comment"]) > 128:
        raise RefusedError("InvalidArgument", "the comment is longer than 128 characters")
    if config.get("DefaultRootObject", "").startswith("/"):
        raise RefusedError("InvalidDefaultRootObject", "it begins with a slash")
    origins = {one["Id"]: one for one in config["Origins"].get("Items", [])}
    for origin in origins.values():
        _check_origin(origin, has_access_control)
    behavior = config["DefaultCacheBehavior"]
    if behavior["TargetOriginId"] not in origins:
        raise RefusedError("NoSuchOrigin", behavior["TargetOriginId"], 404)
    _check_behavior(behavior, has_function, has_policy)
    for one in config.get("CustomErrorResponses", {}).get("Items", []):
        if ("ResponseCode" in one) != ("ResponsePagePath" in one):
            raise RefusedError("InvalidErrorCode", "page and code belong together")
    if config.get("Aliases", {}).get("Items") and not config.get("ViewerCertificate", {}).get(
        "ACMCertificateArn"
    ):
        raise RefusedError("InvalidViewerCertificate", "an alias needs a certificate")


def _check_origin(origin: dict[str, Any], has_access_control: Callable[[str], bool]) -> None:
    domain = origin["DomainName"]
    if _S3_GLOBAL.search(domain):
        raise RefusedError("InvalidArgument", "the global domain of a bucket redirects")
    if bool(_S3_DOMAIN.fullmatch(domain)) != ("S3OriginConfig" in origin):
        raise RefusedError("InvalidOrigin", f"{domain} has the wrong kind of origin")
    if ("S3OriginConfig" in origin) == ("CustomOriginConfig" in origin):
        raise RefusedError("InvalidOrigin", "an origin is of one kind")
    for one in origin.get("CustomHeaders", {}).get("Items", []):
        _check_header(one["HeaderName"], one["HeaderValue"])
    control = origin.get("OriginAccessControlId")
    if control and not has_access_control(control):
        raise RefusedError("InvalidOriginAccessControl", control)
    path = origin.get("OriginPath", "")
    if path and (not path.startswith("/") or path.endswith("/")):
        raise RefusedError("InvalidOrigin", "the origin path")


def _check_header(name: str, value: str) -> None:
    """CloudFront keeps some names to itself, and bounds the rest."""
    lower = name.lower()
    if lower in _OWN_HEADERS or lower.startswith(("x-amz-", "x-edge-")):
        raise RefusedError("InvalidArgument", f"the origin header {name} is CloudFront's own")
    if not re.fullmatch(r"[A-Za-z0-9-]{1,256}", name) or not 0 < len(value) <= 1783:
        raise RefusedError("InvalidArgument", "an origin header is malformed")


def _check_behavior(
    behavior: dict[str, Any],
    has_function: Callable[[str], bool],
    has_policy: Callable[[str, str], bool],
) -> None:
    if legacy := [name for name in _LEGACY if name in behavior]:
        raise RefusedError("InvalidArgument", f"deprecated members: {legacy}")
    if not has_policy("cache", behavior.get("CachePolicyId", "")):
        raise RefusedError("NoSuchCachePolicy", str(behavior.get("CachePolicyId")), 404)
    for kind, member, code in (
        ("origin-request", "OriginRequestPolicyId", "NoSuchOriginRequestPolicy"),
        ("response-headers", "ResponseHeadersPolicyId", "NoSuchResponseHeadersPolicy"),
    ):
        if behavior.get(member) and not has_policy(kind, behavior[member]):
            raise RefusedError(code, behavior[member], 404)
    for one in behavior.get("FunctionAssociations", {}).get("Items", []):
        if one["EventType"] not in ("viewer-request", "viewer-response"):
            raise RefusedError("InvalidFunctionAssociation", one["EventType"])
        if not has_function(one["FunctionARN"]):
            raise RefusedError("InvalidFunctionAssociation", "the function is not published")


def _check_quantities(value: Any) -> None:
    if isinstance(value, list):
        for one in value:
            _check_quantities(one)
    if isinstance(value, dict):
        if "Quantity" in value and value["Quantity"] != len(value.get("Items", [])):
            raise RefusedError("InconsistentQuantities", str(value))
        for one in value.values():
            _check_quantities(one)


def with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """What a later `get` gives: every member, in an order of CloudFront's own."""
    none = {"Quantity": 0}
    full = {
        "Aliases": none, "DefaultRootObject": "", "OriginGroups": none, "CacheBehaviors": none,
        "CustomErrorResponses": none, "PriceClass": "PriceClass_All", "WebACLId": "",
        "Logging": {"Enabled": False, "IncludeCookies": False, "Bucket": "", "Prefix": ""},
        "ViewerCertificate": {
            "CloudFrontDefaultCertificate": True, "SSLSupportMethod": "vip",
            "MinimumProtocolVersion": "TLSv1", "CertificateSource": "cloudfront",
        },
        "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
        "HttpVersion": "http2", "IsIPV6Enabled": False, "Staging": False,
        "ContinuousDeploymentPolicyId": "", **deepcopy(config),
    }  # fmt: skip
    full["Origins"]["Items"] = [_full_origin(one) for one in full["Origins"]["Items"]]
    full["DefaultCacheBehavior"] = _full_behavior(full["DefaultCacheBehavior"])
    return full


def _full_origin(origin: dict[str, Any]) -> dict[str, Any]:
    full = {
        "OriginPath": "", "CustomHeaders": {"Quantity": 0}, "ConnectionAttempts": 3,
        "ConnectionTimeout": 10, "OriginShield": {"Enabled": False}, "OriginAccessControlId": "",
        **origin,
    }  # fmt: skip
    if "CustomOriginConfig" in full:
        full["CustomOriginConfig"] = {
            "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2"]},
            "OriginReadTimeout": 30, "OriginKeepaliveTimeout": 5, **full["CustomOriginConfig"],
        }  # fmt: skip
    return full


def _full_behavior(behavior: dict[str, Any]) -> dict[str, Any]:
    none, off = {"Quantity": 0}, {"Enabled": False, "Quantity": 0}
    full = {
        "TrustedSigners": off, "TrustedKeyGroups": off, "SmoothStreaming": False,
        "Compress": False, "LambdaFunctionAssociations": none, "FunctionAssociations": none,
        "FieldLevelEncryptionId": "", "GrpcConfig": {"Enabled": False},
        "AllowedMethods": {"Quantity": 2, "Items": ["HEAD", "GET"]}, **behavior,
    }  # fmt: skip
    methods = full["AllowedMethods"]
    methods["Items"] = sorted(methods["Items"], reverse=True)
    methods.setdefault("CachedMethods", {"Quantity": 2, "Items": ["HEAD", "GET"]})
    methods["CachedMethods"]["Items"] = sorted(methods["CachedMethods"]["Items"], reverse=True)
    return full
