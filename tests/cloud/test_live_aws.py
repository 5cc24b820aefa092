"""The same life in a real AWS account. It makes things that cost money, and takes half an hour.

`TMUX_LIVE_AWS_PROFILE` names the profile, `TMUX_LIVE_AWS_ACCOUNT` the account that it must be in,
`TMUX_LIVE_AWS_REGION` the region, us-east-1 without it. Run with `pytest -m live`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from core.clock import SystemClock, wait_for
from core.cloud.aws import AwsAccount
from core.errors import AnswerIsNoError
from core.models.release import MARKER_PATH
from core.models.user import SiteType
from tests.cloud.aws.instance_site import app_host, write_app
from tests.cloud.aws.site_kit import CloudSite, cloud_site

ORIGINAL = dict(os.environ)
"""As it was before tests get an account of their own."""
FROM_THE_OPERATOR = ("AWS_", "HOME", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE")

pytestmark = [pytest.mark.live, pytest.mark.timeout(5400)]


@pytest.fixture
def live_site(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudSite]:
    with live(monkeypatch, SiteType.STATIC) as site:
        yield site


@pytest.fixture
def live_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudSite]:
    with live(monkeypatch, SiteType.DYNAMIC) as site:
        yield site


@contextmanager
def live(monkeypatch: pytest.MonkeyPatch, site_type: SiteType) -> Iterator[CloudSite]:
    """A site in the account that the operator named, and nothing left of it afterwards."""
    profile, account_id = (
        ORIGINAL["TMUX_LIVE_AWS_PROFILE"], ORIGINAL["TMUX_LIVE_AWS_ACCOUNT"],
    )  # fmt: skip
    for name, value in ORIGINAL.items():
        if name.startswith(FROM_THE_OPERATOR):
            monkeypatch.setenv(name, value)
    region = ORIGINAL.get("TMUX_LIVE_AWS_REGION", "us-east-1")
    assert AwsAccount(profile, region, SystemClock()).account_id() == account_id
    clock, settings = SystemClock(), {"aws.region": region}
    session_id = clock.now().strftime("sess_%Y%m%d_%H%M%S")
    with cloud_site(
        settings, site_type, clock=clock, session_id=session_id, aws_profile=profile
    ) as site:
        try:
            yield site
        finally:
            left = site.destroy().left
            assert not left


def test_a_site_lives_and_leaves_nothing(live_site: CloudSite) -> None:
    site = live_site
    site.write("index.html", "<h1>one</h1>")
    site.write("blog/index.html", "<h1>blog</h1>")
    site.write("app.0a1b2c3d.js", "one()")
    url = site.publish().url
    assert _served(url, "/") == (200, "<h1>one</h1>")
    assert _served(url, "/blog/") == (200, "<h1>blog</h1>")
    assert _served(url, "/nothing.html")[0] == 404
    moved = requests.get(f"{url}//example.org/x?a=1&a=2", timeout=20, allow_redirects=False)
    assert moved.headers["location"] == "/example.org/x/?a=1&a=2"
    assert site.host.drift(site.session) == ()
    assert site.publish().files_changed == 0

    site.write("index.html", "<h1>two</h1>")
    site.publish()
    assert wait_for(lambda: _served(url, "/")[1] == "<h1>two</h1>", deadline_s=60, interval_s=1)
    site.publish(site.releases[0])
    assert wait_for(lambda: _served(url, "/")[1] == "<h1>one</h1>", deadline_s=60, interval_s=1)
    assert site.host.serving(site.session) == site.releases[0].release_id
    assert _served(url, f"/{MARKER_PATH}")[1] == site.releases[0].release_id

    assert not site.destroy().left
    assert site.store.sessions.resources(site.key) == []


def test_a_program_lives_on_an_instance_and_leaves_nothing(live_app: CloudSite) -> None:
    site, host = live_app, app_host(live_app)
    write_app(site, "one")
    url = site.publish().url
    assert _served(url, "/") == (200, "one -")
    host.set_variable(site.session, "API_KEY", "a value")
    assert _served(url, "/") == (200, "one a value")
    assert host.variables(site.session) == ("API_KEY",)
    assert "starting one" in host.app_log(site.session, lines=20)
    assert site.host.drift(site.session) == ()
    assert site.publish().files_changed == 0

    write_app(site, "two", before="raise SystemExit('no database')")
    with pytest.raises(AnswerIsNoError, match="no database"):
        site.publish()
    write_app(site, "two")
    site.publish()
    assert _served(url, "/") == (200, "two a value")
    site.publish(site.releases[0])
    assert _served(url, "/") == (200, "one a value")
    assert site.host.serving(site.session) == site.releases[0].release_id

    assert not site.destroy().left
    assert site.store.sessions.resources(site.key) == []


def _served(url: str, path: str) -> tuple[int, str]:
    answer = requests.get(f"{url}{path}", timeout=20)
    return answer.status_code, answer.text
