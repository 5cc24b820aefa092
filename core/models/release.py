"""A release: the published files of a site by content, and what a host answers about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.models.execution import Json
from core.models.session import SessionKey

MARKER_PATH = ".well-known/tmux-builder-release"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """One published file; `path` is relative with forward slashes."""

    path: str
    sha256: str
    size_bytes: int
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An immutable site. The id is the hash of the manifest: same content, same release."""

    release_id: str
    tree: str
    """The git tree in the product's own repository."""
    files: tuple[ReleaseFile, ...]
    left_out: tuple[str, ...] = ()
    """Paths of `source/` that are not published (rules of the product), for the warnings."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """A release put on a host: the n-th deploy of its session."""

    key: SessionKey
    deploy: int
    release_id: str
    tree: str
    execution_id: str
    url: str
    files_total: int
    files_changed: int
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something that a host made and that destroy must find again."""

    kind: str
    resource_id: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAction:
    """One line of a dry run."""

    action: str
    kind: str
    resource_id: str
    tags: Mapping[str, str]
    est_usd_day: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a publish would do, as data."""

    actions: tuple[PlannedAction, ...]
    files_total: int
    files_changed: int
    files_deleted: int
    size_bytes: int
    warnings: tuple[str, ...] = ()
    """What the operator should know before anything is done, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedObject:
    """One object of a site as the product last wrote it."""

    path: str
    sha256: str
    etag: str
    """What the object store answered to the write; another one in a listing is a drift."""
    headers: str
    """Digest of the headers it was written with: other rules mean another write."""
    is_announced: bool = True
    """Whether the CDN was told after the write; what is not, is told by the next publish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something that is not as the product left it."""

    kind: str
    resource_id: str
    what: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A host's answer: the release answers at `url`."""

    url: str
    files_total: int
    files_changed: int
    size_bytes: int
    resources: tuple[Resource, ...]
    config_block: Mapping[str, Json] = field(default_factory=dict)
    """The provider's own keys of `deployment/config.json`."""
    timings: Mapping[str, int] = field(default_factory=dict)
    """Milliseconds: `publish_ms` is the product's own work, `cdn_ms` what the CDN took after."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """What the operator should know of how it is served: sentences by code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """What destroy deleted, and what is left with the reason."""

    deleted: tuple[Resource, ...]
    left: tuple[tuple[Resource, str], ...] = ()
