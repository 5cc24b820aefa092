"""A site whose objects lie on the counting server, published by the real path."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.clock import SystemClock
from core.cloud.aws import AwsAccount
from core.models.release import PublishedObject, Release
from core.models.session import Session
from core.models.user import SiteType
from core.paths import DataRoot, SessionPaths
from core.ports.host import PublishRequest
from core.ports.objects import ObjectStore
from core.publish.object_site import ObjectSite, SiteChange
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees
from tests.unit.object_memory import KEY, SESSION

PROFILE, REGION = "sunwaretech", "eu-central-1"


def log_in(endpoint: str) -> AwsAccount:
    """A profile in this process's home that leads to `endpoint`."""
    folder = Path(os.environ["HOME"]) / ".aws"
    folder.mkdir(exist_ok=True)
    (folder / "config").write_text(f"[profile {PROFILE}]\nregion = {REGION}\n")
    (folder / "credentials").write_text(
        f"[{PROFILE}]\naws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    return AwsAccount(PROFILE, REGION, SystemClock())


@dataclass
class PublishedSite:
    """What a host keeps between publishes: source, repository and record."""

    paths: SessionPaths
    objects: ObjectStore
    session: Session = SESSION
    known: dict[str, PublishedObject] = field(default_factory=dict)
    told: list[tuple[str, ...]] = field(default_factory=list)

    def write(self, *paths: str, text: str = "one") -> None:
        for path in paths:
            file = self.paths.source / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(f"{path} {text}".encode())

    def take(self) -> Release:
        return take_release(KEY, self.paths, self.paths.source, SiteType.STATIC)

    def publish(self, cancelled: Callable[[], bool] = lambda: False) -> SiteChange:
        request = PublishRequest(
            session=self.session, execution_id="run", idempotency_key="run:4", previous=None,
            release=self.take(), trees=GitReleaseTrees(self.paths.repository),
            cancelled=cancelled, max_delete=10_000,
        )  # fmt: skip
        return ObjectSite(self.objects, self.known, self._remember).publish(request, self._told)

    def _remember(self, known: dict[str, PublishedObject]) -> None:
        self.known = known

    def _told(self, paths: Sequence[str]) -> None:
        self.told.append(tuple(paths))


def new_site(folder: Path, objects: ObjectStore) -> PublishedSite:
    folder.chmod(0o700)
    paths = DataRoot(folder).session(KEY.user_id, KEY.session_id)
    paths.source.mkdir(parents=True)
    site = PublishedSite(paths, objects)
    site.write("index.html", "404.html", "about/index.html", "style.css", "app.3f9a1c2b.js")
    return site
