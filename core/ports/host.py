"""What the pipeline needs of a host: plan, publish a release, say what is served, destroy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.models.execution import Json
from core.models.release import Destroyed, Plan, Published, Release
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType

Log = Callable[[str, Mapping[str, Json]], None]


class ReleaseTrees(Protocol):
    """The product's own repository of a session: bytes by release."""

    def export(self, release: Release, destination: Path) -> None:
        """Write the release's files below an existing empty folder."""

    def read(self, release: Release, path: str) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """One release for one session's host; `idempotency_key` is `execution:step`."""

    session: Session
    execution_id: str
    idempotency_key: str
    release: Release
    previous: Release | None
    trees: ReleaseTrees
    log: Log = field(default=lambda _message, _details: None)
    cancelled: Callable[[], bool] = field(default=lambda: False)


class Host(Protocol):
    """One provider and site type. Publishing a former release is how a rollback works."""

    host_provider: HostProvider
    site_type: SiteType

    def plan(self, request: PublishRequest) -> Plan:
        """What `publish` would do; needs no login and changes nothing."""

    def publish(self, request: PublishRequest) -> Published:
        """Make the release answer at the session's URL. Repeatable: same key, same end state."""

    def serving(self, session: Session) -> str | None:
        """The release id that the host says it serves, None where nothing is deployed."""

    def ensure_served(self, session: Session) -> str | None:
        """Bring a deployed site back up if the host lost it; its URL, None if never deployed."""

    def destroy(self, key: SessionKey) -> Destroyed:
        """Remove everything that publish made. Local files of the session stay."""
