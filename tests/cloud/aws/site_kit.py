"""A data root with one session on the AWS stand-in: publish, roll back, look, destroy."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.clock import Clock
from core.config import load_settings
from core.hosts.environment import HostEnvironment
from core.hosts.registry import find_host
from core.models.execution import Json
from core.models.release import Destroyed, Published, Release
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType, User, make_user_id
from core.paths import DataRoot, RuntimePaths, SessionPaths
from core.ports.host import Host, PublishRequest
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees
from core.store.store import Store, open_store

SESSION_ID = "sess_20260112_142233"
BEGAN = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)


class PatientClock:
    """Waiting costs nothing: a pause only moves the hands."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds


@dataclass(kw_only=True)
class CloudSite:
    """One session on a cloud host. A run that is tried again keeps its number, as the engine's."""

    root: DataRoot
    store: Store
    host: Host
    environment: HostEnvironment
    key: SessionKey
    clock: Clock
    runs: int = 0
    releases: list[Release] = field(default_factory=list)
    logged: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)

    @property
    def session(self) -> Session:
        found = self.store.sessions.get(self.key)
        assert found is not None
        return found

    @property
    def paths(self) -> SessionPaths:
        return self.root.session(self.key.user_id, self.key.session_id)

    def write(self, path: str, content: str) -> None:
        file = self.paths.source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def take(self) -> Release:
        release = take_release(self.key, self.paths, self.paths.source, self.session.site_type)
        self.store.releases.add(self.key, release)
        return release

    def request(
        self, release: Release, cancelled: Callable[[], bool] = lambda: False
    ) -> PublishRequest:
        execution_id = f"{self.key.user_id}_{self.key.session_id}_r{self.runs}"
        return PublishRequest(
            session=self.session,
            execution_id=execution_id,
            idempotency_key=f"{execution_id}:4",
            release=release,
            previous=self.releases[-1] if self.releases else None,
            trees=GitReleaseTrees(self.paths.repository),
            log=lambda message, details: self.logged.append((message, details)),
            cancelled=cancelled,
        )

    def publish(self, release: Release | None = None, *, again: bool = False) -> Published:
        """Step 4: publish and record, as the pipeline does.

        Args:
            again: The same run taken up once more, not a new one.
        """
        release = release or self.take()
        self.runs += 0 if again else 1
        request = self.request(release)
        published = self.host.publish(request)
        self.store.releases.record_deploy(self.key, request.execution_id, release, published)
        self.store.sessions.set_deployed(
            self.key, url=published.url, at=self.clock.now(), count=self.runs,
            block=published.config_block, resources=published.resources,
        )  # fmt: skip
        self.releases.append(release)
        return published

    def destroy(self) -> Destroyed:
        """As the worker does it."""
        destroyed = self.host.destroy(self.key)
        if not destroyed.left:
            self.store.sessions.set_destroyed(self.key)
        return destroyed


@contextmanager
def cloud_site(
    settings: Mapping[str, object] | None = None,
    site_type: SiteType = SiteType.STATIC,
    provider: HostProvider = HostProvider.AWS,
    clock: Clock | None = None,
    **named: str,
) -> Iterator[CloudSite]:
    """A new data root whose host finds its cloud by this process's environment.

    Args:
        clock: Sites with one clock share one login, and with it its clients.
        named: `session_id`, `aws_profile` and `azure_profile` where they are others than those
            of all tests.
    """
    with (
        site_folder() as base,
        opened_site(base, settings, site_type, provider, clock, **named) as site,
    ):
        yield site


@contextmanager
def site_folder() -> Iterator[Path]:
    """Where `opened_site` may be called more than once."""
    base = Path(tempfile.mkdtemp(prefix="tb-cloud-"))
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


@contextmanager
def opened_site(
    base: Path,
    settings: Mapping[str, object] | None = None,
    site_type: SiteType = SiteType.STATIC,
    provider: HostProvider = HostProvider.AWS,
    clock: Clock | None = None,
    session_id: str = SESSION_ID,
    aws_profile: str = "sunwaretech",
    azure_profile: str = "sunwaretech",
) -> Iterator[CloudSite]:
    """The data root below `base`, made where it is not there yet: a process may be killed in it."""
    root, clock = DataRoot(base / "data"), clock or PatientClock()
    root.path.mkdir(mode=0o700, exist_ok=True)
    store = open_store(root, clock)
    environment = HostEnvironment(
        root=root, runtime=RuntimePaths(base / "run"), store=store, clock=clock,
        python=Path(sys.executable), environ=dict(os.environ),
        settings=load_settings(settings or {}, {}, base),
    )  # fmt: skip
    profiles = (aws_profile, azure_profile)
    key = _session(root, store, site_type, provider, session_id, profiles)
    deploys = sorted(store.releases.deploys(key), key=lambda one: one.deploy)
    releases = [store.releases.get(key, one.release_id) for one in deploys]
    try:
        yield CloudSite(
            runs=len(deploys), releases=[one for one in releases if one is not None],
            root=root, store=store, environment=environment, key=key, clock=clock,
            host=find_host(provider, site_type, environment),
        )  # fmt: skip
    finally:
        store.close()


def _session(
    root: DataRoot, store: Store, site_type: SiteType, provider: HostProvider,
    session_id: str, profiles: tuple[str, str],
) -> SessionKey:  # fmt: skip
    user = User(
        user_id=make_user_id("ana@acme.io", "+48600100200"), email="ana@acme.io",
        phone="+48600100200", name=None, created_at=BEGAN,
        host_provider=provider, site_type=site_type,
    )  # fmt: skip
    key = SessionKey(user.user_id, session_id)
    if store.sessions.get(key) is None:
        store.users.add(user)
        store.sessions.add(
            Session(
                key=key, host_provider=provider, site_type=site_type,
                created_at=BEGAN, updated_at=BEGAN, aws_profile=profiles[0],
                azure_profile=profiles[1],
            )
        )  # fmt: skip
    for folder in root.session(key.user_id, key.session_id).folders():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return key
