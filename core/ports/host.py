"""What the pipeline needs of a host: plan, publish a release, say what is served, destroy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from core.models.execution import Json
from core.models.release import Destroyed, Drift, Plan, Published, Release, ReleaseFile
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType

Log = Callable[[str, Mapping[str, Json]], None]

MAX_DELETE = 256


class ReleaseTrees(Protocol):
    """The product's own repository of a session: bytes by release."""

    def export(self, release: Release, destination: Path) -> None:
        """Write the release's files below an existing empty folder."""

    def read(self, release: Release, path: str) -> bytes: ...

    def stream(
        self, release: Release, files: Sequence[ReleaseFile]
    ) -> Iterator[tuple[ReleaseFile, Iterator[bytes]]]:
        """These files in this order; the chunks of each are read before the next is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """One release for one session's host; `idempotency_key` is `execution:step`."""

    session: Session
    execution_id: str
    idempotency_key: str
    release: Release
    previous: Release | None
    trees: ReleaseTrees
    max_delete: int = MAX_DELETE
    """More stale files than this are not deleted: the publish is refused before it begins."""
    log: Log = field(default=lambda _message, _details: None)
    cancelled: Callable[[], bool] = field(default=lambda: False)


class Host(Protocol):
    """One provider and site type. Publishing a former release is how a rollback works."""

    host_provider: HostProvider
    site_type: SiteType

    def plan(self, request: PublishRequest) -> Plan:
        """What `publish` would do; needs no login and changes nothing."""

    def prepare(self, session: Session) -> None:
        """A release is about to be taken: begin asking what its publish will want to know.

        Changes nothing. What fails in the background is raised by `publish`.
        """

    def publish(self, request: PublishRequest) -> Published:
        """Make the release answer at the session's URL. Repeatable: same key, same end state."""

    def serving(self, session: Session) -> str | None:
        """The release id that the host says it serves, None where nothing is deployed."""

    def ensure_served(self, session: Session) -> str | None:
        """Bring a deployed site back up if the host lost it; its URL, None if never deployed."""

    def drift(self, session: Session) -> tuple[Drift, ...]:
        """What is not as the last publish left it: what somebody changed by hand."""

    def destroy(self, key: SessionKey) -> Destroyed:
        """Remove everything that publish made. Local files of the session stay."""


@runtime_checkable
class AppHost(Protocol):
    """What a host of dynamic sites can do besides: the program's output and its variables."""

    def app_log(self, session: Session, *, lines: int) -> str:
        """The newest lines that the site's program wrote."""

    def variables(self, session: Session) -> tuple[str, ...]:
        """Names of the variables that the site's program gets; never their values."""

    def set_variable(self, session: Session, name: str, value: str) -> None:
        """Keep it in the host's facility for secrets and hand it to the program from now on."""

    def unset_variable(self, session: Session, name: str) -> None: ...
