"""Our own publish, as step 4 does it in a worker that is up, but without a worker around it.

Everything between "running" and "ok" of the step takes part: the release is taken and recorded,
published over the real path with the real store behind it, a log line for every file, the deploy
recorded. Only the control plane of a cloud is missing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from core.clock import SystemClock
from core.cloud.aws import AwsAccount
from core.models.execution import Json, LogLevel
from core.models.release import Published, Release
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType, User
from core.paths import SessionPaths
from core.ports.host import Log, PublishRequest
from core.ports.objects import ObjectStore
from core.publish.object_site import ObjectSite, SiteChange
from core.publish.object_stores import s3_objects
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees
from core.store.store import Store, open_store
from tests.benchmarks.places import new_place
from tests.cloud.s3_counting_process import BUCKET, CountingS3

USER_ID = "7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa"
PROFILE = "bench"
CONFIG = f"[profile {PROFILE}]\nregion = eu-central-1\n"
CREDENTIALS = f"[{PROFILE}]\naws_access_key_id = bench\naws_secret_access_key = bench-secret\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One publish: how long it took in all, and of that the taking of the release."""

    seconds: float
    take_s: float
    change: SiteChange


@dataclass(slots=True)
class OurSite:
    """One session whose source is `source`."""

    store: Store
    session: Session
    source: Path
    objects: ObjectStore
    runs: int = 0
    invalidations: list[Sequence[str]] = field(default_factory=list)

    def deploy(self) -> Deployed:
        """The step's work; as the step does, the store is listed while the release is taken."""
        begin, key = time.perf_counter(), self.session.key
        site = ObjectSite(
            self.objects,
            self.store.published.get(key),
            lambda known: self.store.published.put(key, known),
        )
        site.look_ahead()
        release = self._take()
        taken = time.perf_counter()
        self.runs += 1
        request = self._request(release)
        change = site.publish(request, self.invalidations.append)
        self._record(request, change)
        end = time.perf_counter()
        return Deployed(seconds=end - begin, take_s=taken - begin, change=change)

    @property
    def paths(self) -> SessionPaths:
        return self.store.root.session(self.session.key.user_id, self.session.key.session_id)

    def _take(self) -> Release:
        release = take_release(self.session.key, self.paths, self.source, SiteType.STATIC)
        self.store.releases.add(self.session.key, release)
        return release

    def _request(self, release: Release) -> PublishRequest:
        execution_id = f"{self.session.key.session_id}_r{self.runs}"
        return PublishRequest(
            session=self.session,
            execution_id=execution_id,
            idempotency_key=f"{execution_id}:4",
            release=release,
            previous=None,
            trees=GitReleaseTrees(self.paths.repository),
            log=self._log(execution_id),
        )

    def _log(self, execution_id: str) -> Log:
        def append(message: str, details: Mapping[str, Json]) -> None:
            self.store.logs.append(
                execution_id, LogLevel.INFO, message, step=4, step_name="deploy", details=details
            )

        return append

    def _record(self, request: PublishRequest, change: SiteChange) -> None:
        published = Published(
            url="http://127.0.0.1/", files_total=change.files_total,
            files_changed=change.files_changed, size_bytes=change.size_bytes, resources=(),
        )  # fmt: skip
        key = self.session.key
        with self.store.transaction():
            self.store.releases.record_deploy(key, request.execution_id, request.release, published)
            self.store.sessions.set_deployed(
                key, url=published.url, at=datetime.now(UTC), count=self.runs, block={},
                resources=(),
            )  # fmt: skip


class OurPlace:
    """A data root whose sessions publish to one server."""

    def __init__(self, store: Store, objects: ObjectStore) -> None:
        self._store, self._objects = store, objects
        self._sessions = 0

    def site(self, source: Path) -> OurSite:
        """A session that never published."""
        self._sessions += 1
        now = datetime.now(UTC)
        session = Session(
            key=SessionKey(USER_ID, f"sess_20260112_{self._sessions:06d}"),
            host_provider=HostProvider.AWS, site_type=SiteType.STATIC, created_at=now,
            updated_at=now,
        )  # fmt: skip
        self._store.sessions.add(session)
        return OurSite(self._store, session, source, self._objects)


@contextmanager
def our_place(server: CountingS3, warm: Path) -> Iterator[OurPlace]:
    """Warmed with one publish of the small site `warm`, as a worker that deployed before."""
    with new_place() as root, aws_profile(server, Path(os.environ["HOME"])):
        store = open_store(root)
        store.users.add(our_user())
        account = AwsAccount(PROFILE, "eu-central-1", SystemClock())
        place = OurPlace(store, s3_objects(account, BUCKET))
        place.site(warm).deploy()
        yield place
        store.close()


@contextmanager
def aws_profile(server: CountingS3, home: Path) -> Iterator[None]:
    """A login that leads to the server and to nothing else."""
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(CONFIG)
    (home / ".aws" / "credentials").write_text(CREDENTIALS)
    os.environ["AWS_ENDPOINT_URL"] = server.endpoint
    try:
        yield
    finally:
        del os.environ["AWS_ENDPOINT_URL"]


def our_user() -> User:
    return User(
        user_id=USER_ID, email="ana@acme.io", phone="48600100200", name=None,
        created_at=datetime.now(UTC), host_provider=HostProvider.AWS, site_type=SiteType.STATIC,
    )  # fmt: skip
