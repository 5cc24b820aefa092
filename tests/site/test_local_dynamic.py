"""Dynamic sites: a real program in a real sandbox, switched, crashed, restarted, stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from core.clock import wait_for
from core.errors import AnswerIsNoError, CancelledError
from core.models.user import SiteType
from core.sandbox import has_bubblewrap
from tests.site.local_host_kit import Site, local_site, marker_at

contained = pytest.mark.skipif(not has_bubblewrap(), reason="needs bubblewrap")


@pytest.fixture
def site() -> Iterator[Site]:
    with local_site(SiteType.DYNAMIC, isolation=has_bubblewrap()) as one:
        one.write_app("one")
        yield one


def text(url: str) -> str:
    return requests.get(url, timeout=5).text


def processes_with(word: str) -> list[int]:
    """Pids whose working folder or arguments name `word`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "cmdline").read_bytes().decode() + str((folder / "cwd").readlink())
        except OSError:
            continue
        if word in said:
            found.append(int(folder.name))
    return found


def test_the_program_answers_through_the_lasting_port(site: Site) -> None:
    url = site.publish().url
    assert text(url) == "one"
    assert site.previous is not None
    assert marker_at(url) == site.previous.release_id
    posted = requests.post(f"{url}/x?y=1", data=b"a" * 300_000, timeout=5)
    assert (posted.status_code, len(posted.content)) == (201, 300_000)
    assert "starting one" in (site.paths.logs / "app.log").read_text()


@contained
def test_the_program_sees_its_release_read_only_and_nothing_else(site: Site) -> None:
    url = site.publish().url
    assert text(f"{url}/write") == "refused"
    assert (site.folder / "data" / "kept").read_text() == "x"
    assert text(f"{url}/reach") == "False"
    names = set(text(f"{url}/env").split())
    assert {"PORT", "HOST", "PYTHONUNBUFFERED"} <= names
    assert names <= {
        "PORT", "HOST", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PATH", "HOME", "TMPDIR",
        "DATA_DIR", "LANG", "PWD", "LC_CTYPE", "OLDPWD", "SHLVL", "_",
    }  # fmt: skip


def test_a_switch_and_a_rollback_lose_no_request(site: Site) -> None:
    url = site.publish().url
    first = site.previous
    done = threading.Event()
    statuses: list[int] = []

    def read() -> None:
        while not done.is_set():
            statuses.append(requests.get(url, timeout=5).status_code)

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        site.write_app("two")
        site.publish()
        assert text(url) == "two"
        site.publish(first)
        assert text(url) == "one"
        done.set()
        for one in reading:
            one.result()
    assert set(statuses) == {200}


def test_the_former_program_is_ended_after_a_switch(site: Site) -> None:
    site.publish()
    assert site.previous is not None
    former = site.previous.release_id
    assert processes_with(former)
    site.write_app("two")
    site.publish()
    assert wait_for(lambda: not processes_with(former), deadline_s=15)


def test_answers_are_streamed_and_a_visitor_who_leaves_is_noticed(site: Site) -> None:
    site.write(
        "stream.py",
        """
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path == "/":
            return
        try:
            while True:
                self.wfile.write(b"tick\\n")
                time.sleep(0.05)
        except OSError:
            open(os.path.join(os.environ["DATA_DIR"], "left"), "w").close()
    def do_HEAD(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
""",
    )
    site.write("Procfile", "web: exec python stream.py\n")
    url = site.publish().url
    with requests.get(f"{url}/endless", stream=True, timeout=5) as answer:
        assert next(answer.iter_content(5)) == b"tick\n"
    assert wait_for((site.folder / "data" / "left").exists, deadline_s=10)
    assert requests.head(url, timeout=5).headers["content-length"] == "5"


def test_a_crashed_program_is_said_and_started_again(site: Site) -> None:
    url = site.publish().url
    answer = requests.get(f"{url}/die", timeout=5)
    assert answer.status_code == 502
    assert site.key.session_id in answer.text
    assert wait_for(lambda: requests.get(url, timeout=5).status_code == 200, deadline_s=20)
    assert wait_for(lambda: site.host.serving(site.session) is not None, deadline_s=5)


@pytest.mark.parametrize(
    ("web", "reason"),
    [
        ("echo no such luck; exit 7", "ended with code 7.*no such luck"),
        ("no-such-program --port $PORT", "ended with code 127"),
    ],
)
def test_a_program_that_ends_fails_the_deploy_and_the_old_release_stays(
    site: Site, web: str, reason: str
) -> None:
    url = site.publish().url
    site.write("Procfile", f"web: {web}\n")
    with pytest.raises(AnswerIsNoError, match=reason) as caught:
        site.publish()
    assert caught.value.code == "app_did_not_start"
    assert text(url) == "one"


def test_a_program_that_never_listens_fails_with_what_it_said(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("Procfile", "web: echo waiting for nothing; exec sleep 600\n")
    with pytest.raises(AnswerIsNoError, match=r"did not answer on .*waiting for nothing"):
        site.publish()
    assert site.previous is None
    assert wait_for(lambda: not processes_with(str(site.folder)), deadline_s=10)


def test_cancel_during_a_start_ends_the_new_program(site: Site) -> None:
    url = site.publish().url
    site.write("Procfile", "web: exec sleep 600\n")
    release = site.take()
    asked = iter([False, False])
    with pytest.raises(CancelledError):
        site.host.publish(site.request(release, cancelled=lambda: next(asked, True)))
    assert text(url) == "one"
    assert wait_for(lambda: not processes_with(release.release_id), deadline_s=10)


def test_a_killed_server_takes_its_programs_along_and_comes_back(site: Site) -> None:
    url = site.publish().url
    assert site.previous is not None
    release_id = site.previous.release_id
    pid = site.server.ensure()
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not site.server.is_running(), deadline_s=5)
    stored = site.store.sessions.get(site.key)
    assert stored is not None
    assert site.host.ensure_served(stored) == url
    assert wait_for(lambda: requests.get(url, timeout=5).status_code == 200, deadline_s=20)
    assert len(processes_with(release_id)) <= 3
    site.host.destroy(site.key)
    assert wait_for(lambda: not processes_with(release_id), deadline_s=15)


def test_without_isolation_a_program_outlives_no_server(tmp_path: Path) -> None:
    with local_site(SiteType.DYNAMIC, isolation=False) as site:
        site.write_app("bare")
        url = site.publish().url
        assert text(url) == "bare"
        assert site.previous is not None
        before = set(processes_with(site.previous.release_id))
        os.kill(site.server.ensure(), signal.SIGKILL)
        assert wait_for(lambda: not site.server.is_running(), deadline_s=5)
        site.server.ensure()
        assert wait_for(lambda: requests.get(url, timeout=5).status_code == 200, deadline_s=20)
        assert not before & set(processes_with(site.previous.release_id))
        site.host.destroy(site.key)
        release_id = site.previous.release_id
        assert wait_for(lambda: not processes_with(release_id), deadline_s=15)


def test_the_log_of_the_program_is_bounded_and_follows_no_link(site: Site) -> None:
    victim = site.root.path / "victim"
    victim.write_text("mine")
    (site.paths.logs / "app.log").symlink_to(victim)
    site.write("Procfile", "web: head -c 3000000 /dev/zero | tr '\\0' 'x'; exec python app.py\n")
    site.publish()
    assert victim.read_text() == "mine"
    (site.paths.logs / "app.log").unlink()
    site.write("extra.txt", "so that it is another release")
    site.publish()
    sizes = [path.stat().st_size for path in site.paths.logs.glob("app.log*")]
    assert sizes
    assert max(sizes) < 1_200_000
