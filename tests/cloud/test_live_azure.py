"""The same life in a real Azure subscription. It makes things that cost money, and takes an hour.

`TMUX_LIVE_AZURE_SUBSCRIPTION` names the subscription, `TMUX_LIVE_AZURE_ID` the id that it must
have, `TMUX_LIVE_AZURE_LOCATION` the location, eastus without it. Run with `pytest -m live`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import requests

from core.clock import SystemClock, wait_for
from core.cloud.azure import AzureSubscription, azure_cloud
from core.errors import AnswerIsNoError
from core.models.release import MARKER_PATH
from core.models.user import HostProvider, SiteType
from tests.cloud.aws.site_kit import CloudSite, cloud_site
from tests.cloud.azure.dynamic_sites import app_host, write_program

ORIGINAL = dict(os.environ)
"""As it was before tests get an account of their own."""
FROM_THE_OPERATOR = ("AZURE_", "IDENTITY_", "HOME", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE")

pytestmark = [pytest.mark.live, pytest.mark.timeout(7200)]


@pytest.fixture(params=["frontdoor", "none"])
def live_site(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CloudSite]:
    with live(monkeypatch, {"azure.cdn": request.param}) as site:
        yield site


@pytest.fixture
def live_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudSite]:
    with live(monkeypatch, {}, SiteType.DYNAMIC) as site:
        yield site


@contextmanager
def live(
    monkeypatch: pytest.MonkeyPatch,
    chosen: Mapping[str, str],
    site_type: SiteType = SiteType.STATIC,
) -> Iterator[CloudSite]:
    """A site in the subscription that the operator named, and nothing left of it afterwards."""
    name, wanted = (
        ORIGINAL["TMUX_LIVE_AZURE_SUBSCRIPTION"], ORIGINAL["TMUX_LIVE_AZURE_ID"],
    )  # fmt: skip
    for variable, value in ORIGINAL.items():
        if variable.startswith(FROM_THE_OPERATOR):
            monkeypatch.setenv(variable, value)
    clock = SystemClock()
    found = AzureSubscription(name, azure_cloud("public"), clock).subscription_id()
    assert found == wanted.lower()
    settings = {
        **chosen,
        "azure.location": ORIGINAL.get("TMUX_LIVE_AZURE_LOCATION", "eastus"),
    }
    session_id = clock.now().strftime("sess_%Y%m%d_%H%M%S")
    with cloud_site(
        settings, site_type, provider=HostProvider.AZURE, clock=clock, session_id=session_id,
        azure_profile=name,
    ) as site:  # fmt: skip
        try:
            yield site
        finally:
            left = site.destroy().left
            assert not left


def test_a_site_lives_and_leaves_nothing(live_site: CloudSite) -> None:
    site = live_site
    site.write("index.html", "<h1>one</h1>")
    site.write("blog/index.html", "<h1>blog</h1>")
    site.write("late.html", "late")
    url = site.publish().url
    assert _served(url, "/") == (200, "<h1>one</h1>")
    assert _served(url, "/blog/") == (200, "<h1>blog</h1>")
    assert _served(url, "/nothing.html")[0] == 404
    assert site.host.drift(site.session) == ()
    assert site.publish().files_changed == 0

    site.write("index.html", "<h1>two</h1>")
    (site.paths.source / "late.html").unlink()
    site.publish()
    assert wait_for(lambda: _served(url, "/")[1] == "<h1>two</h1>", deadline_s=600, interval_s=2)
    assert wait_for(lambda: _served(url, "/late.html")[0] == 404, deadline_s=600, interval_s=2)
    site.publish(site.releases[0])
    assert wait_for(lambda: _served(url, "/")[1] == "<h1>one</h1>", deadline_s=600, interval_s=2)
    assert site.host.serving(site.session) == site.releases[0].release_id
    assert _served(url, f"/{MARKER_PATH}")[1] == site.releases[0].release_id

    assert not site.destroy().left
    assert site.store.sessions.resources(site.key) == []


def test_a_program_lives_on_a_machine_and_leaves_nothing(live_app: CloudSite) -> None:
    site, host = live_app, app_host(live_app)
    write_program(site, "one")
    url = site.publish().url
    assert _served(url, "/") == (200, "one")
    host.set_variable(site.session, "GREETING", "a value")
    assert _served(url, "/") == (200, "a value")
    assert host.variables(site.session) == ("GREETING",)
    host.unset_variable(site.session, "GREETING")
    assert "program began" in host.app_log(site.session, lines=20)
    assert site.host.drift(site.session) == ()
    assert site.publish().files_changed == 0

    write_program(site, "two", "raise SystemExit('no database')\n")
    with pytest.raises(AnswerIsNoError, match="no database"):
        site.publish()
    write_program(site, "two")
    site.publish()
    assert _served(url, "/") == (200, "two")
    site.publish(site.releases[0])
    assert _served(url, "/") == (200, "one")
    assert site.host.serving(site.session) == site.releases[0].release_id

    assert not site.destroy().left
    assert site.store.sessions.resources(site.key) == []


def _served(url: str, path: str) -> tuple[int, str]:
    answer = requests.get(f"{url}{path}", timeout=20)
    return answer.status_code, answer.text
