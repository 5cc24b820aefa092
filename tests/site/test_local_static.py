"""Static sites over real HTTP: what is answered, how it is validated, how it is switched."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests

from core.clock import wait_for
from core.errors import CancelledError, ConflictError, NothingToDeployError, StorageError
from core.models.release import MARKER_PATH, ReleaseFile
from tests.site.local_host_kit import Site, listener_on, local_site, marker_at, second_session


@pytest.fixture
def site() -> Iterator[Site]:
    with local_site() as one:
        one.write("index.html", "<h1>Home</h1>")
        yield one


def raw(url: str, target: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """One request whose path no client tidies up."""
    host, port = url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.putrequest(method, target, skip_host=False)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def test_pages_have_their_type_validators_and_security_headers(site: Site) -> None:
    site.write("app.3f9a1c2b.js", "1")
    site.write("logo.svg", "<svg/>")
    url = site.publish().url
    home = requests.get(f"{url}/", timeout=5)
    assert (home.status_code, home.text) == (200, "<h1>Home</h1>")
    assert home.headers["content-type"] == "text/html; charset=utf-8"
    assert home.headers["cache-control"] == "no-cache"
    assert home.headers["x-content-type-options"] == "nosniff"
    assert "last-modified" not in home.headers
    assert "server" not in home.headers
    hashed = requests.get(f"{url}/app.3f9a1c2b.js", timeout=5)
    assert hashed.headers["cache-control"].endswith("immutable")
    image = requests.get(f"{url}/logo.svg", timeout=5)
    assert image.headers["content-type"].startswith("image/svg+xml")


def test_an_unchanged_page_is_304_and_a_rolled_back_one_is_200(site: Site) -> None:
    url = site.publish().url
    first = site.previous
    old = requests.get(url, timeout=5).headers["etag"]
    assert requests.get(url, headers={"if-none-match": old}, timeout=5).status_code == 304
    assert (
        requests.get(url, headers={"if-none-match": f'W/{old}, "x"'}, timeout=5).status_code == 304
    )
    site.write("index.html", "<h1>New!</h1>")
    site.publish()
    new = requests.get(url, headers={"if-none-match": old}, timeout=5)
    assert (new.status_code, new.text) == (200, "<h1>New!</h1>")
    site.publish(first)
    back = requests.get(
        url,
        headers={
            "if-none-match": new.headers["etag"],
            "if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT",
        },
        timeout=5,
    )
    assert (back.status_code, back.text) == (200, "<h1>Home</h1>")


def test_addresses_without_ending_or_slash_find_their_page(site: Site) -> None:
    site.write("about.html", "about")
    site.write("docs/index.html", "docs")
    url = site.publish().url
    assert requests.get(f"{url}/about", timeout=5).text == "about"
    assert requests.get(f"{url}/docs/", timeout=5).text == "docs"
    status, headers, _ = raw(url, "/docs?a=1&b=%2F")
    assert (status, headers["location"]) == (302, "/docs/?a=1&b=%2F")
    status, headers, _ = raw(url, "/about/")
    assert (status, headers["location"]) == (302, "/about")


def test_a_missing_page_is_the_sites_404_page_with_status_404(site: Site) -> None:
    site.write("404.html", "<p>lost</p>")
    url = site.publish().url
    answer = requests.get(f"{url}/nowhere", timeout=5)
    assert (answer.status_code, answer.text) == (404, "<p>lost</p>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert requests.get(f"{url}/nowhere/", timeout=5).status_code == 404


def test_head_has_the_length_and_no_body_and_other_methods_are_refused(site: Site) -> None:
    url = site.publish().url
    head = requests.head(url, timeout=5)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "13", b"")
    refused = requests.post(url, data="x", timeout=5)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=-50", 206, b"0123456789"),
        ("bytes=4-400", 206, b"456789"),
        ("bytes=10-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=3-1", 200, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_ranges(asked: str, status: int, content: bytes) -> None:
    with local_site() as site:
        site.write("index.html", "x")
        site.write("clip.mp4", b"0123456789")
        url = f"{site.publish().url}/clip.mp4"
        answer = requests.get(url, headers={"range": asked}, timeout=5)
        assert (answer.status_code, answer.content) == (status, content)
        stale = {"range": asked, "if-range": '"other"'}
        assert requests.get(url, headers=stale, timeout=5).content == b"0123456789"


@pytest.mark.parametrize(
    "target",
    [
        "/../site.json", "/..%2fsite.json", "/%2e%2e/%2e%2e/site.json", "/a/../../site.json",
        "//etc/passwd", "/./index.html", "/index.html%00.png", "/..\\site.json", "/.hidden",
        "/a/.hidden/x", "/releases", "/%252e%252e/site.json", "/.well-known/../.hidden",
    ],
)  # fmt: skip
def test_nothing_outside_the_release_can_be_asked_for(site: Site, target: str) -> None:
    site.write(".hidden", "secret")
    site.write("a/.hidden/x", "secret")
    status, _headers, body = raw(site.publish().url, target)
    assert status == 404
    assert b"secret" not in body


def test_a_redirect_never_leaves_the_site(site: Site) -> None:
    site.write("evil.example/index.html", "x")
    url = site.publish().url
    assert raw(url, "//evil.example")[0] == 404
    assert raw(url, "/evil.example")[1]["location"] == "/evil.example/"


def test_published_dot_folders_are_well_known_only(site: Site) -> None:
    site.write(".well-known/security.txt", "Contact: x")
    site.write(f"{MARKER_PATH}", "forged")
    url = site.publish().url
    assert requests.get(f"{url}/.well-known/security.txt", timeout=5).text == "Contact: x"
    assert site.previous is not None
    assert marker_at(url) == site.previous.release_id


def test_bytes_with_carriage_returns_arrive_as_they_are(site: Site) -> None:
    site.write("a.txt", b"one\r\ntwo\r\n\xff")
    site.write(".gitattributes", "* text=auto eol=lf\n")
    url = site.publish().url
    assert requests.get(f"{url}/a.txt", timeout=5).content == b"one\r\ntwo\r\n\xff"


def test_a_reader_during_many_switches_sees_whole_pages_only(site: Site) -> None:
    words = [f"{number:03d}" for number in range(12)]
    pages = {word: word * 30_000 for word in words}
    site.write("index.html", pages[words[0]])
    url = site.publish().url
    done = threading.Event()
    seen: list[str] = []
    wrong: list[str] = []

    def read() -> None:
        with requests.Session() as session:
            while not done.is_set():
                answer = session.get(url, timeout=5)
                marked = session.get(f"{url}/{MARKER_PATH}", timeout=5)
                if answer.status_code != 200 or answer.text != pages[answer.text[:3]]:
                    wrong.append(answer.text[:80])
                if marked.status_code != 200 or len(marked.text) != 20:
                    wrong.append(marked.text[:80])
                seen.append(answer.text[:3])

    with ThreadPoolExecutor(3) as pool:
        reading = [pool.submit(read) for _ in range(3)]
        for word in words[1:]:
            site.write("index.html", pages[word])
            site.publish()
            assert requests.get(url, timeout=5).text == pages[word]
        done.set()
        for one in reading:
            one.result()
    assert not wrong
    assert len(set(seen)) > 3


def test_only_the_last_releases_stay_on_disk_and_older_ones_come_back(site: Site) -> None:
    site.publish()
    first = site.previous
    assert first is not None
    for number in range(12):
        site.write("index.html", f"version {number}")
        site.publish()
    kept = [path for path in (site.folder / "releases").iterdir() if path.is_dir()]
    assert len(kept) == 10
    assert site.folder.joinpath("releases", first.release_id) not in kept
    url = site.publish(first).url
    assert requests.get(url, timeout=5).text == "<h1>Home</h1>"


def test_a_killed_server_comes_back_on_the_same_port_with_the_same_release(site: Site) -> None:
    published = site.publish()
    pid = site.server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not site.server.is_running(), deadline_s=5)
    assert site.host.serving(site.session) is None
    stored = site.store.sessions.get(site.key)
    assert stored is not None
    assert site.host.ensure_served(stored) == published.url
    assert site.previous is not None
    assert marker_at(published.url) == site.previous.release_id
    assert requests.get(published.url, timeout=5).text == "<h1>Home</h1>"


def test_any_use_of_the_server_brings_all_sites_back(site: Site) -> None:
    first = site.publish().url
    other = second_session(site)
    other.write("index.html", "other")
    second = other.publish().url
    assert first != second
    os.kill(site.server.ensure(), signal.SIGKILL)
    assert wait_for(lambda: not site.server.is_running(), deadline_s=5)
    site.server.ensure()
    assert requests.get(first, timeout=5).text == "<h1>Home</h1>"
    assert requests.get(second, timeout=5).text == "other"


def test_a_site_whose_folder_was_lost_is_rebuilt_from_the_repository(site: Site) -> None:
    url = site.publish().url
    stored = site.store.sessions.get(site.key)
    assert stored is not None
    site.server.shutdown()
    site.folder.rename(site.root.path / "moved-away")
    assert site.host.ensure_served(stored) == url
    assert requests.get(url, timeout=5).text == "<h1>Home</h1>"


def test_a_damaged_file_of_a_release_is_mended_by_the_next_publish(site: Site) -> None:
    url = site.publish().url
    assert site.previous is not None
    stored = site.folder / "releases" / site.previous.release_id / "index.html"
    stored.write_text("")
    assert requests.get(url, timeout=5).status_code == 500
    site.publish()
    assert requests.get(url, timeout=5).text == "<h1>Home</h1>"


def test_never_deployed_is_not_served(site: Site) -> None:
    assert site.host.ensure_served(site.session) is None
    assert not site.server.is_running()


def test_a_taken_port_is_said_and_the_site_returns_when_it_is_free(site: Site) -> None:
    published = site.publish()
    port = int(published.url.rsplit(":", 1)[1])
    site.server.shutdown()
    with listener_on(port):
        with pytest.raises(ConflictError, match=f"Port {port} .* taken") as caught:
            site.publish()
        assert caught.value.code == "port_taken"
        assert caught.value.exit_code == 5
    assert wait_for(lambda: site.host.serving(site.session), deadline_s=15)
    assert requests.get(published.url, timeout=5).text == "<h1>Home</h1>"


def test_a_port_that_is_taken_before_the_first_deploy_is_avoided(site: Site) -> None:
    from core.hosts.local_server.choosing_port import candidate_ports  # noqa: PLC0415

    favourite = next(candidate_ports(site.key))
    with listener_on(favourite):
        assert not site.publish().url.endswith(f":{favourite}")


def test_the_server_needs_neither_its_starter_nor_a_credential(site: Site) -> None:
    site.publish()
    pid = site.server.ensure()
    with open(f"/proc/{pid}/environ", "rb") as stream:  # noqa: PTH123
        names = {entry.split(b"=")[0] for entry in stream.read().split(b"\0") if entry}
    assert names <= {b"PATH", b"LANG", b"LC_ALL", b"TMPDIR", b"TZ", b"LC_CTYPE"}
    assert os.getsid(pid) != os.getsid(0)
    assert stat.S_IMODE(site.runtime.host_socket.stat().st_mode) == 0o600


def test_a_slow_client_delays_nobody(site: Site) -> None:
    site.write("big.bin", os.urandom(8_000_000))
    url = site.publish().url
    port = int(url.rsplit(":", 1)[1])
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for number, connection in enumerate(slow):
        wanted = b"GET /big.bin HTTP/1.1\r\nhost: x\r\n\r\n"
        connection.sendall(wanted if number % 2 else wanted[:20])
    assert requests.get(url, timeout=2).status_code == 200
    for connection in slow:
        connection.close()


def test_a_cancelled_publish_changes_nothing(site: Site) -> None:
    url = site.publish().url
    site.write("index.html", "unwanted")
    with pytest.raises(CancelledError):
        site.host.publish(site.request(site.take(), cancelled=lambda: True))
    assert requests.get(url, timeout=5).text == "<h1>Home</h1>"


def test_a_publish_that_died_half_way_leaves_nothing_in_the_way(site: Site) -> None:
    class Dying:
        def export(self, *_arguments: object) -> None:
            raise StorageError("disk full", remedy="free it")

        def read(self, *_arguments: object) -> bytes:
            raise NotImplementedError

        def stream(self, *_arguments: object) -> Iterator[tuple[ReleaseFile, Iterator[bytes]]]:
            raise NotImplementedError

    url = site.publish().url
    site.write("index.html", "next")
    request = replace(site.request(site.take()), trees=Dying())
    with pytest.raises(StorageError):
        site.host.publish(request)
    assert requests.get(url, timeout=5).text == "<h1>Home</h1>"
    site.publish()
    assert requests.get(url, timeout=5).text == "next"
    assert not list((site.folder / "releases").glob(".making-*"))


def test_publishes_at_once_end_with_one_of_them_whole(site: Site) -> None:
    site.publish()
    releases = []
    for word in ("left", "right"):
        site.write("index.html", word)
        releases.append(site.take())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(site.host.publish, [site.request(one) for one in releases * 2]))
    assert site.host.serving(site.session) in {one.release_id for one in releases}


def test_an_empty_source_never_reaches_the_host(site: Site) -> None:
    url = site.publish().url
    (site.paths.source / "index.html").unlink()
    with pytest.raises(NothingToDeployError):
        site.publish()
    assert requests.get(url, timeout=5).text == "<h1>Home</h1>"


def test_destroying_one_site_leaves_the_other_and_the_last_ends_the_server(site: Site) -> None:
    first = site.publish().url
    other = second_session(site)
    other.write("index.html", "other")
    second = other.publish().url
    with requests.Session() as kept_alive:
        kept_alive.get(first, timeout=5)
        site.host.destroy(site.key)
        assert kept_alive.get(first, timeout=5).status_code == 404
    with pytest.raises(requests.ConnectionError):
        requests.get(first, timeout=5)
    assert requests.get(second, timeout=5).text == "other"
    other.host.destroy(other.key)
    assert wait_for(lambda: not site.server.is_running(), deadline_s=10)


def test_the_server_ends_when_its_data_root_is_gone(site: Site) -> None:
    site.publish()
    pid = site.server.ensure()
    site.root.path.rename(site.root.path.with_name("gone"))
    assert wait_for(lambda: not _lives(pid), deadline_s=15)


def test_many_callers_start_one_server(site: Site) -> None:
    with ThreadPoolExecutor(6) as pool:
        pids = set(pool.map(lambda _: site.server.ensure(), range(6)))
    assert len(pids) == 1


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:  # noqa: PTH123
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
