"""The same byte path against Azure's own emulator of blobs: https, bearer tokens, `$web`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.storage.blob import BlobServiceClient, ContainerClient

from core.errors import CloudRefusedError, CloudUnreachableError, LoginNeededError
from core.models.release import MARKER_PATH
from core.ports.objects import ObjectStore
from core.publish import object_stores, object_uploads
from core.publish.object_stores import blob_objects
from tests.cloud.aws.certificates import Certificates, make_certificates
from tests.cloud.azure.tokens import STORAGE_AUDIENCE, make_token
from tests.cloud.azurite import Azurite, pool_account
from tests.cloud.s3_site import PublishedSite, new_site

FILES = {"index.html", "404.html", "about/index.html", "style.css", "app.3f9a1c2b.js"}
NUMBERS = count()


class Login:
    """A credential as azure-identity's are; it fails where it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.scopes: set[str] = set()

    def get_token(self, *scopes: str, **_more: Any) -> AccessToken:
        if self.fails:
            raise RuntimeError("az login has expired")
        self.scopes.update(scopes)
        return AccessToken(make_token(STORAGE_AUDIENCE), 2**33)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def azurite(certificates: Certificates) -> Iterator[Azurite]:
    emulator = Azurite(certificates)
    yield emulator
    emulator.close()


@pytest.fixture
def endpoint(azurite: Azurite) -> str:
    return f"{azurite.url}/{pool_account(next(NUMBERS))}"


@pytest.fixture
def web(endpoint: str, certificates: Certificates) -> ContainerClient:
    """The container, as Azure makes it when a website is switched on."""
    service = BlobServiceClient(
        endpoint, credential=Login(), connection_verify=str(certificates.authority)
    )
    service.create_container("$web")
    return service.get_container_client("$web")


@pytest.fixture
def objects(endpoint: str, web: ContainerClient, certificates: Certificates) -> ObjectStore:
    return blob_objects(endpoint, "$web", Login(), ca_file=str(certificates.authority))


@pytest.fixture
def site(objects: ObjectStore, tmp_path: Path) -> PublishedSite:
    return new_site(tmp_path, objects)


class Counting:
    """Counts what reaches the store; everything else is the real thing."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.list = objects.list
        self.puts: list[str] = []

    def put(self, path: str, content: Any, headers: Any) -> str:
        self.puts.append(path)
        return self._objects.put(path, content, headers)

    def delete(self, paths: Any) -> None:
        self._objects.delete(paths)


def names(web: ContainerClient) -> set[str]:
    return {blob.name for blob in web.list_blobs()}


def test_a_site_arrives_with_its_headers(site: PublishedSite, web: ContainerClient) -> None:
    site.publish()
    assert names(web) == {*FILES, MARKER_PATH}
    settings = web.get_blob_client("app.3f9a1c2b.js").get_blob_properties().content_settings
    assert settings.content_type == "text/javascript; charset=utf-8"
    assert settings.cache_control == "public, max-age=31536000, immutable"


def test_the_etag_of_a_write_is_the_one_of_the_listing(
    site: PublishedSite, objects: ObjectStore
) -> None:
    """Azure quotes it in one place and not in the other."""
    site.publish()
    listed = objects.list()
    assert {path: one.etag for path, one in site.known.items()} == {
        path: one.etag for path, one in listed.items()
    }


def test_unchanged_is_nothing_and_one_page_is_page_and_marker(
    site: PublishedSite, objects: ObjectStore
) -> None:
    site.publish()
    counting = site.objects = Counting(objects)
    site.publish()
    assert counting.puts == []
    site.write("about/index.html", text="two")
    site.publish()
    assert counting.puts == ["about/index.html", MARKER_PATH]


def test_stale_blobs_are_deleted_also_where_one_is_gone_already(
    site: PublishedSite, web: ContainerClient, objects: ObjectStore
) -> None:
    site.write(*(f"old/{number}.txt" for number in range(5)))
    site.publish()
    objects.delete(["old/0.txt", "never/there.txt", "old/1.txt"])
    assert not {"old/0.txt", "old/1.txt"} & names(web)
    for file in (site.paths.source / "old").iterdir():
        file.unlink()
    site.publish()
    assert names(web) == {*FILES, MARKER_PATH}


def test_every_name_arrives_as_it_is(site: PublishedSite, web: ContainerClient) -> None:
    odd = {"a b.html", "[slug].js", "100%.txt", "é.html", "@2x.png", "a+b&c=d.txt", "日本/語.css"}
    site.write(*odd)
    site.publish()
    assert names(web) == {*FILES, *odd, MARKER_PATH}


def test_a_big_file_goes_in_blocks_and_is_known_by_its_etag(
    site: PublishedSite, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_uploads, "BIG_FILE_BYTES", 10_000_000)
    (site.paths.source / "film.mp4").write_bytes(os.urandom(20_000_000))
    site.publish()
    assert objects.list()["film.mp4"].size_bytes == 20_000_000
    counting = site.objects = Counting(objects)
    site.publish()
    assert counting.puts == []


def test_a_container_that_is_not_there_is_said_as_one(
    endpoint: str, certificates: Certificates, tmp_path: Path
) -> None:
    objects = blob_objects(endpoint, "gone", Login(), ca_file=str(certificates.authority))
    with pytest.raises(CloudRefusedError, match="container gone at") as caught:
        new_site(tmp_path, objects).publish()
    assert caught.value.code == "store_missing"


def test_a_login_that_has_expired_is_said_as_one(
    endpoint: str, certificates: Certificates, tmp_path: Path
) -> None:
    login = Login(fails=True)
    objects = blob_objects(endpoint, "$web", login, ca_file=str(certificates.authority))
    with pytest.raises(LoginNeededError, match="az login has expired"):
        new_site(tmp_path, objects).publish()


def test_a_certificate_of_nobody_we_trust_is_refused(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_stores, "_ATTEMPTS", 0)
    objects = blob_objects(endpoint, "$web", Login(), ca_file=None)
    with pytest.raises(CloudUnreachableError):
        new_site(tmp_path, objects).publish()


def test_tokens_are_asked_for_the_storage_service(
    endpoint: str, web: ContainerClient, certificates: Certificates
) -> None:
    login = Login()
    blob_objects(endpoint, "$web", login, ca_file=str(certificates.authority)).list()
    assert login.scopes == {"https://storage.azure.com/.default"}
