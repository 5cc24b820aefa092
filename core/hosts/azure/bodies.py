"""What Azure is asked for, as the management plane's own JSON, without names and tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.publish.headers import SECURITY_HEADERS

Document = dict[str, Any]
"""A body or an answer of the management plane, as it travels."""

INDEX_DOCUMENT = "index.html"
MISSING_DOCUMENT = "404.html"

_HSTS = {"strict-transport-security": "max-age=31536000"}
_COMPRESSED = [
    "application/javascript", "application/json", "application/manifest+json",
    "application/rss+xml", "application/xml", "image/svg+xml", "text/css", "text/html",
    "text/javascript", "text/markdown", "text/plain",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where Front Door gets a site from.

    Attributes:
        host: Its name, also the Host header and the name in its certificate.
        is_plain: Whether it talks http only, as a machine without a certificate does.
    """

    host: str
    port: int = 443
    is_plain: bool = False


def account_body(location: str) -> Document:
    """No key opens it and no blob of it is public; its website is."""
    return {
        "location": location,
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
        "properties": {
            "accessTier": "Hot",
            "allowBlobPublicAccess": False,
            "allowSharedKeyAccess": False,
            "defaultToOAuthAuthentication": True,
            "minimumTlsVersion": "TLS1_2",
            "supportsHttpsTrafficOnly": True,
        },
    }


def website_body() -> Document:
    website = {
        "enabled": True,
        "indexDocument": INDEX_DOCUMENT,
        "errorDocument404Path": MISSING_DOCUMENT,
    }
    return {"properties": {"staticWebsite": website}}


def role_body(subscription_id: str, role: str, principal: str, kind: str | None) -> Document:
    """Without its kind Azure looks the principal up, which fails while that is new."""
    definition = f"providers/Microsoft.Authorization/roleDefinitions/{role}"
    properties = {
        "roleDefinitionId": f"/subscriptions/{subscription_id}/{definition}",
        "principalId": principal,
    }
    return {"properties": properties if kind is None else {**properties, "principalType": kind}}


def profile_body() -> Document:
    return {
        "location": "global",
        "sku": {"name": "Standard_AzureFrontDoor"},
        "properties": {"originResponseTimeoutSeconds": 60},
    }


def endpoint_body() -> Document:
    return {"location": "global", "properties": {"enabledState": "Enabled"}}


def origin_group_body(origin: Origin) -> Document:
    """One origin is never taken out for being slow; it is asked for its page every four minutes."""
    probe = {
        "probePath": "/", "probeRequestType": "HEAD", "probeIntervalInSeconds": 255,
        "probeProtocol": "Http" if origin.is_plain else "Https",
    }  # fmt: skip
    balance = {
        "sampleSize": 4, "successfulSamplesRequired": 2, "additionalLatencyInMilliseconds": 50,
    }  # fmt: skip
    return {
        "properties": {
            "healthProbeSettings": probe,
            "loadBalancingSettings": balance,
            "sessionAffinityState": "Disabled",
        }
    }


def origin_body(origin: Origin) -> Document:
    """The Host header is the origin's own name: a web endpoint answers to no other."""
    return {
        "properties": {
            "httpPort" if origin.is_plain else "httpsPort": origin.port,
            "hostName": origin.host,
            "originHostHeader": origin.host,
            "enforceCertificateNameCheck": True,
            "enabledState": "Enabled",
            "priority": 1,
            "weight": 1000,
        }
    }


def rule_body() -> Document:
    """Headers that tell browsers what a site never does; the origin sends none of them."""
    actions = [
        {
            "name": "ModifyResponseHeader",
            "parameters": {
                "typeName": "DeliveryRuleHeaderActionParameters",
                "headerAction": "Overwrite",
                "headerName": name,
                "value": value,
            },
        }
        for name, value in {**_HSTS, **SECURITY_HEADERS}.items()
    ]
    return {"properties": {"order": 1, "matchProcessingBehavior": "Continue", "actions": actions}}


def route_body(
    root: str, name: str, rule_set: str, origin: Origin, *, caches: bool,
    domains: Sequence[str] | None = None,
) -> Document:  # fmt: skip
    """Everything that the endpoint is asked for goes to the one origin."""
    properties: Document = {
        "originGroup": {"id": f"{root}/originGroups/{name}"},
        "ruleSets": [{"id": f"{root}/ruleSets/{rule_set}"}],
        "supportedProtocols": ["Http", "Https"],
        "patternsToMatch": ["/*"],
        "forwardingProtocol": "HttpOnly" if origin.is_plain else "HttpsOnly",
        "linkToDefaultDomain": "Enabled",
        "httpsRedirect": "Enabled",
        "enabledState": "Enabled",
    }
    if domains is not None:
        properties["customDomains"] = [{"id": one} for one in domains]
    if caches:
        properties["cacheConfiguration"] = {
            "queryStringCachingBehavior": "IgnoreQueryString",
            "compressionSettings": {
                "isCompressionEnabled": True,
                "contentTypesToCompress": list(_COMPRESSED),
            },
        }
    return {"properties": properties}
