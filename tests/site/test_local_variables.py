"""Variables of a local dynamic site: kept apart, given by environment, proven before a switch."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from core.clock import wait_for
from core.errors import AnswerIsNoError, UsageError
from core.models.user import SiteType
from core.ports.host import AppHost
from core.sandbox import has_bubblewrap
from tests.site.local_host_kit import Site, local_site

SECRET = "sk_live_4242 'and \" $(more)"
APP = """
import http.server, os, sys
KEY = os.environ.get("API_KEY", "none")
if KEY == "broken":
    sys.exit("this key is refused")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(3)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(KEY.encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with local_site(SiteType.DYNAMIC, isolation=has_bubblewrap()) as one:
        one.write("Procfile", "web: exec python app.py\n")
        one.write("app.py", APP)
        yield one


@pytest.fixture
def host(site: Site) -> AppHost:
    assert isinstance(site.host, AppHost)
    return site.host


def said_at(url: str) -> str:
    return requests.get(url, timeout=5).text


def test_a_variable_reaches_the_running_program_and_goes_again(site: Site, host: AppHost) -> None:
    url = site.publish().url
    host.set_variable(site.session, "API_KEY", SECRET)
    assert said_at(url) == SECRET
    assert host.variables(site.session) == ("API_KEY",)
    host.unset_variable(site.session, "API_KEY")
    assert (said_at(url), host.variables(site.session)) == ("none", ())


def test_a_variable_set_before_the_first_deploy_is_there_from_the_start(
    site: Site, host: AppHost
) -> None:
    host.set_variable(site.session, "API_KEY", "early")
    assert said_at(site.publish().url) == "early"


def test_a_program_that_crashed_or_lost_its_server_comes_back_with_its_variables(
    site: Site, host: AppHost
) -> None:
    url = site.publish().url
    host.set_variable(site.session, "API_KEY", "kept")
    requests.get(f"{url}/die", timeout=5)
    assert wait_for(lambda: said_at(url) == "kept", deadline_s=20)
    os.kill(site.server.ensure(), signal.SIGKILL)
    assert wait_for(lambda: not site.server.is_running(), deadline_s=5)
    stored = site.store.sessions.get(site.key)
    assert stored is not None
    site.host.ensure_served(stored)
    assert wait_for(lambda: said_at(url) == "kept", deadline_s=20)


def test_a_value_that_the_program_does_not_come_up_with_is_taken_back(
    site: Site, host: AppHost
) -> None:
    url = site.publish().url
    host.set_variable(site.session, "API_KEY", "good")
    with pytest.raises(AnswerIsNoError, match="this key is refused"):
        host.set_variable(site.session, "API_KEY", "broken")
    assert said_at(url) == "good"
    requests.get(f"{url}/die", timeout=5)
    assert wait_for(lambda: said_at(url) == "good", deadline_s=20)


def test_a_value_lies_in_one_private_file_and_in_no_argument_or_log(
    site: Site, host: AppHost
) -> None:
    site.publish()
    host.set_variable(site.session, "API_KEY", "sk_live_4242")
    kept = site.root.variables(site.key.user_id, site.key.session_id)
    holding = [
        path
        for base in (site.root.path, site.runtime.path)
        for path in base.rglob("*")
        if path.is_file() and b"sk_live_4242" in path.read_bytes()
    ]
    assert holding == [kept]
    assert not kept.is_relative_to(site.paths.root)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept.parent)] == [0o600, 0o700]
    assert not [line for line in command_lines() if b"sk_live_4242" in line]


def command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "name", ["PORT", "PATH", "LD_PRELOAD", "lower", "1ST", "A-B", "A" * 65, ""]
)
def test_a_name_that_is_none_or_the_products_own_is_refused(
    site: Site, host: AppHost, name: str
) -> None:
    with pytest.raises(UsageError):
        host.set_variable(site.session, name, "x")
    assert host.variables(site.session) == ()


@pytest.mark.parametrize("value", ["a\0b", "x" * 32_769])
def test_a_value_that_no_program_can_get_is_refused_and_not_repeated(
    site: Site, host: AppHost, value: str
) -> None:
    with pytest.raises(UsageError) as caught:
        host.set_variable(site.session, "API_KEY", value)
    assert value not in caught.value.message


def test_without_isolation_a_program_with_new_variables_outlives_no_server() -> None:
    with local_site(SiteType.DYNAMIC, isolation=False) as site:
        assert isinstance(site.host, AppHost)
        site.write("Procfile", "web: exec python app.py\n")
        site.write("app.py", APP)
        url = site.publish().url
        former = processes_below(site.folder)
        site.host.set_variable(site.session, "API_KEY", "new")
        assert wait_for(lambda: not former & processes_below(site.folder), deadline_s=15)
        running = processes_below(site.folder)
        os.kill(site.server.ensure(), signal.SIGKILL)
        assert wait_for(lambda: not site.server.is_running(), deadline_s=5)
        site.server.ensure()
        assert wait_for(lambda: said_at(url) == "new", deadline_s=20)
        assert not running & processes_below(site.folder)
        site.host.destroy(site.key)


def processes_below(folder: Path) -> set[int]:
    """Pids whose working folder is in there."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.add(int(process.name))
        except OSError:
            continue
    return found


def test_destroy_deletes_the_variables(site: Site, host: AppHost) -> None:
    site.publish()
    host.set_variable(site.session, "API_KEY", "x")
    site.host.destroy(site.key)
    assert not list(site.root.path.rglob("secrets/*"))


def test_the_programs_output_is_shown_newest_last(site: Site, host: AppHost) -> None:
    url = site.publish().url
    said_at(f"{url}/asked-for")
    assert wait_for(lambda: "asked-for" in host.app_log(site.session, lines=1), deadline_s=5)
    assert len(host.app_log(site.session, lines=2).splitlines()) == 2


def test_a_log_that_a_pane_replaced_by_a_link_is_not_followed(site: Site, host: AppHost) -> None:
    (site.paths.logs / "app.log").symlink_to("/etc/hostname")
    assert host.app_log(site.session, lines=5) == ""
