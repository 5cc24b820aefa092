"""Names and tags of everything that is made in a cloud: deterministic, refused when incomplete.

Every name keeps the readable pattern `tmux-{guid prefix}-{session}[-suffix]` as far as its limit
allows and ends with a piece of base32(sha256(user_id, session_id)): plain truncation once gave two
sessions of one day the same storage account.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from core.errors import UsageError
from core.models.session import SessionKey
from core.models.user import SiteType

PREFIX = "tmux"
SHARED = "shared"
DIGEST_CHARS = 10
STORAGE_DIGEST_CHARS = 12
GUID_CHARS = 8
DEFAULT_ENVIRONMENT = "production"

_SUFFIX = re.compile(r"[a-z0-9]{1,12}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{1,256}")


class NamedKind(StrEnum):
    """What a limit exists for; everything else has the default."""

    S3 = "s3"
    CLOUDFRONT = "cloudfront"
    EC2 = "ec2"
    AZURE_STORAGE = "azure_storage"
    AZURE_CDN = "azure_cdn"
    AZURE_VM = "azure_vm"
    OTHER = "default"


LIMITS: Mapping[NamedKind, int] = {
    NamedKind.S3: 63,
    NamedKind.CLOUDFRONT: 128,
    NamedKind.EC2: 255,
    NamedKind.AZURE_STORAGE: 24,
    NamedKind.AZURE_CDN: 50,
    NamedKind.AZURE_VM: 64,
    NamedKind.OTHER: 63,
}
"""Longest name in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig:
    """Names and tags for one session in one installation.

    Attributes:
        installation_id: Tells this data root's resources from another one's.
        suffix: An operator's word for a name that is taken (`deploy --suffix`).
        environment: The tag `Environment`.
    """

    key: SessionKey
    site_type: SiteType
    installation_id: str
    suffix: str | None = None
    environment: str = DEFAULT_ENVIRONMENT

    def __post_init__(self) -> None:
        if self.suffix is not None and not _SUFFIX.fullmatch(self.suffix):
            raise UsageError(
                f"{self.suffix[:40]!r} cannot be part of a name.",
                remedy="Give --suffix 1 to 12 lower-case letters and digits.",
            )

    def name(self, kind: NamedKind = NamedKind.OTHER) -> str:
        """The name of the session's one resource of that kind: letters, digits and hyphens."""
        if kind is NamedKind.AZURE_STORAGE:
            return self._storage_name()
        parts = [PREFIX, self.key.user_id[:GUID_CHARS], self._stamp]
        if self.suffix is not None:
            parts.append(self.suffix)
        room = LIMITS[kind] - DIGEST_CHARS - 1
        return f"{'-'.join(parts)[:room].rstrip('-')}-{self._digest[:DIGEST_CHARS]}".lower()

    def tags(self, *, execution_id: str, created_at: datetime) -> dict[str, str]:
        """Every tag of a resource that belongs to this session alone.

        Raises:
            ValueError: A value is empty or has characters that not both clouds take.
        """
        return _checked(
            {
                **_common(self.installation_id, self.environment, created_at),
                "UserGUID": self.key.user_id,
                "SessionID": self.key.session_id,
                "ExecutionID": execution_id,
                "SiteType": str(self.site_type),
            }
        )

    def shared_tags(self, *, created_at: datetime) -> dict[str, str]:
        """Tags of a resource that several sessions use: it names none of them."""
        tags = _common(self.installation_id, self.environment, created_at)
        return _checked({**tags, "Scope": SHARED})

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a resource with these tags was made for this session by this installation."""
        wanted = {
            "Project": "tmux-builder",
            "InstallationID": self.installation_id,
            "UserGUID": self.key.user_id,
            "SessionID": self.key.session_id,
        }
        return wanted.items() <= tags.items()

    def owns_shared(self, tags: Mapping[str, str]) -> bool:
        """Whether it is one of this installation's shared resources."""
        wanted = {
            "Project": "tmux-builder",
            "InstallationID": self.installation_id,
            "Scope": SHARED,
        }
        return wanted.items() <= tags.items()

    def shared_name(self, purpose: str, kind: NamedKind = NamedKind.OTHER) -> str:
        """The name of an installation's shared resource, such as a Front Door profile."""
        digest = _base32(f"{self.installation_id}\n{purpose}")[:DIGEST_CHARS]
        room = LIMITS[kind] - DIGEST_CHARS - 1
        return f"{f'{PREFIX}-{SHARED}-{purpose}'[:room].rstrip('-')}-{digest}"

    def _storage_name(self) -> str:
        readable = self.key.user_id.replace("-", "")[:GUID_CHARS]
        digest = self._digest if self.suffix is None else _base32(f"{self._named}\n{self.suffix}")
        return f"{PREFIX}{readable}{digest[:STORAGE_DIGEST_CHARS]}".lower()

    @property
    def _stamp(self) -> str:
        """The session without what every session has: `20260112142233`."""
        return self.key.session_id.removeprefix("sess_").replace("_", "")

    @property
    def _digest(self) -> str:
        return _base32(self._named)

    @property
    def _named(self) -> str:
        return f"{self.key.user_id}\n{self.key.session_id}"


def _base32(text: str) -> str:
    return b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()


def _common(installation_id: str, environment: str, created_at: datetime) -> dict[str, str]:
    return {
        "Project": "tmux-builder",
        "Environment": environment,
        "CreatedAt": created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
        "CreatedBy": "tmux-builder-automation",
        "CostCenter": "user-sites",
        "InstallationID": installation_id,
    }


def _checked(tags: dict[str, str]) -> dict[str, str]:
    """One spelling that both clouds take; an empty value would make a resource unfindable."""
    for name, value in tags.items():
        if not _TAG_VALUE.fullmatch(value):
            raise ValueError(f"the tag {name} cannot be {value!r}")
    return tags
