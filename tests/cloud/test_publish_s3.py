"""The byte path against a strict S3 on loopback, counted request by request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.cloud.aws import AwsAccount
from core.errors import BuilderError, CloudRefusedError, CloudUnreachableError, LoginNeededError
from core.models.release import MARKER_PATH
from core.publish import object_stores, object_uploads
from core.publish.object_stores import s3_objects
from tests.cloud.s3_counting_process import BUCKET, CHECKOUT, CountingS3, counting_s3
from tests.cloud.s3_site import PublishedSite, log_in, new_site

FILES = {"index.html", "404.html", "about/index.html", "style.css", "app.3f9a1c2b.js"}


@pytest.fixture(scope="module")
def running() -> Iterator[CountingS3]:
    with counting_s3() as server:
        yield server


@pytest.fixture
def server(running: CountingS3) -> CountingS3:
    running.forget(empty=True)
    return running


@pytest.fixture
def account(server: CountingS3, monkeypatch: pytest.MonkeyPatch) -> AwsAccount:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    return log_in(server.endpoint)


@pytest.fixture
def site(account: AwsAccount, tmp_path: Path) -> PublishedSite:
    return new_site(tmp_path, s3_objects(account, BUCKET))


def test_a_first_publish_is_one_listing_and_one_put_for_each_file(
    server: CountingS3, site: PublishedSite
) -> None:
    site.publish()
    assert server.counts() == {"LIST": 1, "PUT": 6}
    assert set(server.objects()) == {*FILES, MARKER_PATH}
    assert server.objects()["app.3f9a1c2b.js"]["headers"] == {
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": "public, max-age=31536000, immutable",
    }


def test_an_unchanged_site_and_a_lost_record_cost_one_listing(
    server: CountingS3, site: PublishedSite
) -> None:
    site.publish()
    for known in (site.known, {}):
        site.known = known
        os.utime(site.paths.source / "index.html", (1, 1))
        server.forget()
        site.publish()
        assert server.counts() == {"LIST": 1}


def test_stale_files_are_deleted_in_one_request_after_everything_else(
    server: CountingS3, site: PublishedSite
) -> None:
    site.write(*(f"old/{number}.txt" for number in range(20)))
    site.publish()
    for file in (site.paths.source / "old").iterdir():
        file.unlink()
    server.forget()
    assert site.publish().files_deleted == 20
    assert [operation for operation, _key in server.log()] == ["LIST", "PUT", "BULK_DELETE"]
    assert set(server.objects()) == {*FILES, MARKER_PATH}


def test_a_listing_takes_a_request_for_every_thousand_objects(
    server: CountingS3, site: PublishedSite
) -> None:
    site.publish()
    server.forget(put={f"x/{number}": "x" for number in range(2000)})
    assert len(site.objects.list()) == 2006
    assert server.counts() == {"LIST": 3}


def test_every_name_arrives_as_it_is_and_is_known_again(
    server: CountingS3, site: PublishedSite
) -> None:
    names = {
        "a b.html", "[slug].js", "x~1.png", "100%.txt", "é.html", "@2x.png", "a+b&c=d.txt",
        "q'\"<>.txt", "日本/語.css", "..hidden..", "a\\b",
    }  # fmt: skip
    site.write(*names)
    site.publish()
    assert set(server.objects()) == {*FILES, *names, MARKER_PATH}
    server.forget()
    site.publish()
    assert server.counts() == {"LIST": 1}


def test_an_empty_file_is_published(server: CountingS3, site: PublishedSite) -> None:
    (site.paths.source / "empty.txt").write_bytes(b"")
    site.publish()
    assert server.objects()["empty.txt"]["size"] == 0


def test_a_big_file_goes_in_parts_and_is_known_by_its_own_etag(
    server: CountingS3, site: PublishedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_uploads, "BIG_FILE_BYTES", 10_000_000)
    (site.paths.source / "film.mp4").write_bytes(os.urandom(20_000_000))
    site.publish()
    film = server.objects()["film.mp4"]
    assert film["etag"].endswith("-3")
    assert film["headers"]["content-type"] == "video/mp4"
    server.forget()
    site.publish()
    assert server.counts() == {"LIST": 1}


def test_a_big_file_that_cannot_be_read_leaves_no_half_upload(
    server: CountingS3, site: PublishedSite
) -> None:
    def torn() -> Iterator[bytes]:
        yield b"x" * 12_000_000
        raise LoginNeededError("torn", remedy="none")

    with pytest.raises(LoginNeededError, match="torn"):
        site.objects.put("film.mp4", torn(), {"Content-Type": "video/mp4"})
    assert "film.mp4" not in server.objects()
    assert server.told()["uploads"] == 0


def test_a_server_that_is_busy_now_and_then_gets_every_file(
    server: CountingS3, site: PublishedSite
) -> None:
    site.write(*(f"img/{number}.png" for number in range(200)))
    server.forget(every=20)
    site.publish()
    assert len(server.objects()) == 206
    assert server.counts()["PUT"] > 206


def test_a_dropped_connection_is_no_failure(server: CountingS3, site: PublishedSite) -> None:
    server.forget(
        at=[
            {"operation": "LIST", "number": 1, "what": "drop"},
            {"operation": "PUT", "number": 2, "what": "drop"},
        ]
    )
    site.publish()
    assert set(server.objects()) == {*FILES, MARKER_PATH}


@pytest.mark.parametrize("operation", ["LIST", "PUT", "BULK_DELETE"])
def test_a_missing_right_is_said_as_one(
    server: CountingS3, site: PublishedSite, operation: str
) -> None:
    server.forget(put={"stale.txt": "x"}, at=[{"operation": operation, "number": 1, "what": 403}])
    with pytest.raises(CloudRefusedError, match="AccessDenied") as caught:
        site.publish()
    assert caught.value.code == "access_denied"
    site.publish()
    assert set(server.objects()) == {*FILES, MARKER_PATH}


def test_a_bucket_that_is_gone_is_said_as_one(account: AwsAccount, tmp_path: Path) -> None:
    site = new_site(tmp_path, s3_objects(account, "gone"))
    with pytest.raises(CloudRefusedError, match="bucket gone is not there") as caught:
        site.publish()
    assert caught.value.code == "store_missing"


def test_an_object_with_an_impossible_name_is_named(
    server: CountingS3, site: PublishedSite
) -> None:
    server.forget(put={"a//b": "x"})
    with pytest.raises(CloudRefusedError, match="a//b") as caught:
        site.publish()
    assert caught.value.code == "foreign_object"


def test_a_server_that_is_not_there_is_unreachable(
    account: AwsAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_stores, "_ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    unreachable = AwsAccount(account.profile, account.region, SystemClock())
    site = new_site(tmp_path, s3_objects(unreachable, BUCKET))
    with pytest.raises(CloudUnreachableError, match=f"bucket {BUCKET}"):
        site.publish()


def test_a_profile_without_a_key_is_a_login_that_is_needed(
    account: AwsAccount, tmp_path: Path
) -> None:
    (Path(os.environ["HOME"]) / ".aws" / "credentials").write_text("")
    no_key = AwsAccount(account.profile, account.region, SystemClock())
    with pytest.raises(LoginNeededError, match="sunwaretech"):
        new_site(tmp_path, s3_objects(no_key, BUCKET)).publish()


def test_the_environments_own_settings_of_other_tools_change_nothing(
    server: CountingS3, account: AwsAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_SKIP_SIGNATURE": "true", "AWS_ACCESS_KEY_ID": "other", "AWS_BUCKET": "other",
        "AWS_SECRET_ACCESS_KEY": "other", "AWS_ENDPOINT_URL_S3": server.endpoint,
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    new_site(tmp_path, s3_objects(account, BUCKET)).publish()
    assert set(server.objects()) == {*FILES, MARKER_PATH}


def test_below_a_prefix_only_the_prefix_is_the_site(
    server: CountingS3, account: AwsAccount, tmp_path: Path
) -> None:
    server.forget(put={"other/index.html": "x", "sites/b/index.html": "x"})
    site = new_site(tmp_path, s3_objects(account, BUCKET, "sites/a"))
    assert site.publish().files_deleted == 0
    server.forget()
    site.publish()
    assert server.counts() == {"LIST": 1}
    assert "sites/a/about/index.html" in server.objects()
    assert len(server.objects()) == 8


@pytest.mark.parametrize(
    ("url", "address", "is_own_host"),
    [
        ("https://s3.amazonaws.com", "https://b1.s3.amazonaws.com", True),
        ("https://s3.eu-central-1.amazonaws.com", "https://b1.s3.eu-central-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", "https://b1.s3.cn-north-1.amazonaws.com.cn",
         True),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000", False),
        ("https://amazonaws.com.example.org", "https://amazonaws.com.example.org", False),
    ],
)  # fmt: skip
def test_a_bucket_has_a_host_of_its_own_on_aws_alone(
    url: str, address: str, is_own_host: bool
) -> None:
    assert object_stores._s3_endpoint(url, "b1") == (address, is_own_host)


def test_a_refusal_at_any_single_request_ends_well_when_it_is_run_again(
    server: CountingS3, account: AwsAccount, tmp_path: Path
) -> None:
    for number in count(1):
        server.forget(empty=True, put={"stale.txt": "x"})
        (tmp_path / str(number)).mkdir()
        site = new_site(tmp_path / str(number), s3_objects(account, BUCKET))
        operation, nth = ("LIST", 1) if number == 1 else ("PUT", number - 1)
        operation, nth = ("BULK_DELETE", 1) if number == 8 else (operation, nth)
        server.forget(at=[{"operation": operation, "number": nth, "what": 403}])
        with pytest.raises(BuilderError):
            site.publish()
        site.publish()
        assert set(server.objects()) == {*FILES, MARKER_PATH}
        if number == 8:
            return


PROGRAM = """
import sys
from pathlib import Path
from core.publish.object_stores import s3_objects
from tests.cloud.s3_counting_process import BUCKET
from tests.cloud.s3_site import PublishedSite, log_in
from tests.unit.object_memory import KEY
from core.paths import DataRoot
paths = DataRoot(Path(sys.argv[2])).session(KEY.user_id, KEY.session_id)
PublishedSite(paths, s3_objects(log_in(sys.argv[1]), BUCKET)).publish()
"""


def test_a_publish_after_killed_ones_is_as_a_clean_one(
    server: CountingS3, site: PublishedSite, tmp_path: Path
) -> None:
    site.write(*(f"img/{number}.png" for number in range(300)))
    server.forget(latency_s=0.02)
    for enough in (20, 120):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.endpoint, str(tmp_path)], cwd=CHECKOUT
        ) as process:
            while process.poll() is None and server.counts().get("PUT", 0) < enough:
                pass
            process.send_signal(signal.SIGKILL)
    server.forget(latency_s=0)
    there = len(server.objects())
    site.publish()
    assert len(server.objects()) == 306
    assert server.counts()["PUT"] == 306 - there
    assert there >= 120
