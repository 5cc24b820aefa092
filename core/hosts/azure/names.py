"""Names of everything that one session has in Azure, all made from its `CloudConfig`."""

from __future__ import annotations

from dataclasses import dataclass

from core.cloud.config import DIGEST_CHARS, CloudConfig, NamedKind

GROUP = "resource_group"
ACCOUNT = "storage_account"
ROLE = "role_assignment"
PROFILE = "frontdoor_profile"
ENDPOINT = "frontdoor_endpoint"
ROUTE = "frontdoor_route"

BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
"""Azure's built-in role Storage Blob Data Contributor, the same in every tenant."""

BLOB_ROLES = (BLOB_CONTRIBUTOR, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b")
"""Roles that may write blobs; the other one is Storage Blob Data Owner."""

_LONGEST_ENDPOINT = 46


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureNames:
    """Deterministic, so that whatever died half way is found again by name."""

    config: CloudConfig

    @property
    def group(self) -> str:
        return self.config.name()

    @property
    def account(self) -> str:
        return self.config.name(NamedKind.AZURE_STORAGE)

    @property
    def endpoint(self) -> str:
        """Endpoints of Front Door may be shorter only than the rest of its parts."""
        name = self.config.name(NamedKind.AZURE_CDN)
        if len(name) <= _LONGEST_ENDPOINT:
            return name
        head = name[: _LONGEST_ENDPOINT - DIGEST_CHARS - 1].rstrip("-")
        return f"{head}-{name[-DIGEST_CHARS:]}"

    @property
    def rule_set(self) -> str:
        """Rule sets take letters and digits only."""
        return self.endpoint.replace("-", "")

    @property
    def shared_group(self) -> str:
        """The group of what several sites share."""
        return self.config.shared_name("frontdoor")

    def profile(self, number: int) -> str:
        """The n-th shared Front Door profile, from 1 on."""
        return self.config.shared_name(f"frontdoor-{number}", NamedKind.AZURE_CDN)

    def endpoint_id(self, profile: str) -> str:
        """How an endpoint is recorded: with the profile that it lies in."""
        return f"{profile}/{self.endpoint}"

    def route_id(self, profile: str) -> str:
        return f"{self.endpoint_id(profile)}/{self.endpoint}"

    @property
    def role_id(self) -> str:
        """How the role assignment is recorded: its own name depends on who is logged in."""
        return f"{self.account}/{BLOB_CONTRIBUTOR}"
