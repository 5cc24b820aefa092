"""Requests against Azure's own emulator of blobs: nothing for nothing, two for one page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken
from azure.storage.blob import BlobServiceClient

from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from core.ports.objects import ObjectStore, StoredObject
from core.publish.object_stores import blob_objects
from core.store.store import open_store
from tests.benchmarks.places import new_place
from tests.benchmarks.publish_input import change_page, make_site
from tests.benchmarks.publish_ours import USER_ID, OurSite, our_user
from tests.benchmarks.rows import Measure, Row
from tests.cloud.aws.certificates import make_certificates
from tests.cloud.azure.tokens import STORAGE_AUDIENCE, make_token
from tests.cloud.azurite import Azurite, pool_account

FILES = 200


class Login:
    """A token that the emulator accepts."""

    def get_token(self, *_scopes: str, **_more: Any) -> AccessToken:
        return AccessToken(make_token(STORAGE_AUDIENCE), 2**33)


class CountedObjects:
    """Counts the writes on their way to the store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.writes = 0

    def list(self) -> dict[str, StoredObject]:
        return self._objects.list()

    def put(
        self, path: str, content: bytes | Iterator[bytes], headers: Mapping[str, str]
    ) -> str:  # fmt: skip
        self.writes += 1
        return self._objects.put(path, content, headers)

    def delete(self, paths: Sequence[str]) -> None:
        self.writes += len(paths)
        self._objects.delete(paths)


def measure(*, full: bool) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="tbb-site-") as folder, web(Path(folder)) as objects:
        source, counted = make_site(Path(folder, "site"), FILES), CountedObjects(objects)
        with new_place() as root:
            store = open_store(root)
            store.users.add(our_user())
            now = datetime.now(UTC)
            session = Session(
                key=SessionKey(USER_ID, "sess_20260112_000001"), created_at=now, updated_at=now,
                host_provider=HostProvider.AZURE, site_type=SiteType.STATIC,
            )  # fmt: skip
            store.sessions.add(session)
            site = OurSite(store, session, source, counted)
            first = site.deploy()
            counted.writes = 0
            site.deploy()
            unchanged, counted.writes = counted.writes, 0
            change_page(source, 1)
            site.deploy()
            store.close()
    seconds = {"first_s": round(first.seconds, 3), "files": FILES}
    return [
        Row(name="azurite_unchanged_puts", value=unchanged, unit="requests", limit=0),
        Row(
            name="azurite_onepage_puts", value=counted.writes, unit="requests", limit=2,
            peers=seconds,
        ),
    ]  # fmt: skip


@contextmanager
def web(folder: Path) -> Iterator[ObjectStore]:
    """The container of a static website, as Azure makes it."""
    certificates = make_certificates(folder)
    azurite = Azurite(certificates)
    try:
        endpoint, authority = f"{azurite.url}/{pool_account(0)}", str(certificates.authority)
        service = BlobServiceClient(endpoint, credential=Login(), connection_verify=authority)
        service.create_container("$web")
        yield blob_objects(endpoint, "$web", Login(), ca_file=authority)
    finally:
        azurite.close()


MEASURE = Measure(rows=("azurite_unchanged_puts", "azurite_onepage_puts"), run=measure)
