"""CloudFront's managed policies: ids are drawn for each run, so that nobody can know them."""

from __future__ import annotations

import uuid
from typing import Any

SECURITY_HEADERS = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-XSS-Protection": "1; mode=block",
}
_NAMES = {
    "cache": ("Managed-Amplify", "Managed-CachingDisabled", "Managed-CachingOptimized"),
    "origin-request": (
        "Managed-AllViewer", "Managed-AllViewerExceptHostHeader", "Managed-CORS-S3Origin",
    ),
    "response-headers": (
        "Managed-CORS-and-SecurityHeadersPolicy", "Managed-SecurityHeadersPolicy",
        "Managed-SimpleCORS",
    ),
}  # fmt: skip
_PAGE = 2


class ManagedPolicies:
    """Names and ids by kind, in pages."""

    def __init__(self) -> None:
        self.ids = {
            kind: {name: str(uuid.uuid4()) for name in names} for kind, names in _NAMES.items()
        }

    def knows(self, kind: str, policy_id: str) -> bool:
        return policy_id in self.ids[kind].values()

    def name_of(self, kind: str, policy_id: str) -> str:
        names = {known: name for name, known in self.ids[kind].items()}
        return names[policy_id]

    def on_ListCachePolicies(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"CachePolicyList": self._page("cache", "CachePolicy", values)}

    def on_ListOriginRequestPolicies(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {
            "OriginRequestPolicyList": self._page("origin-request", "OriginRequestPolicy", values)
        }

    def on_ListResponseHeadersPolicies(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {
            "ResponseHeadersPolicyList": self._page(
                "response-headers", "ResponseHeadersPolicy", values
            )
        }

    def _page(self, kind: str, member: str, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("Type") != "managed":
            return {"MaxItems": _PAGE, "Quantity": 0, "Items": []}
        known = sorted(self.ids[kind].items())
        start = int(values.get("Marker", 0))
        shown = known[start : start + _PAGE]
        listed: dict[str, Any] = {
            "MaxItems": _PAGE,
            "Quantity": len(shown),
            "Items": [
                {"Type": "managed", member: {"Id": policy_id, f"{member}Config": {"Name": name}}}
                for name, policy_id in shown
            ],
        }
        if start + _PAGE < len(known):
            listed["NextMarker"] = str(start + _PAGE)
        return listed
