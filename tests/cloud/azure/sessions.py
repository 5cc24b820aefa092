"""Sites of the Azure hosts in tests, and what a stranger sees of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import requests

from core.hosts.registry import find_host
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from tests.cloud.aws.site_kit import BEGAN, CloudSite, PatientClock, cloud_site
from tests.cloud.azure.world import AzureWorld

PAGES = {
    "index.html": "<h1>Hello</h1>",
    "about/index.html": "<h1>About</h1>",
    "assets/app-B2x9Kd3f.js": "let hello;",
    "style.css": "h1 {}",
    "404.html": "<h1>Nothing here</h1>",
}


@contextmanager
def azure_site(
    world: AzureWorld,
    settings: Mapping[str, object] | None = None,
    *,
    site_type: SiteType = SiteType.STATIC,
    clock: PatientClock | None = None,
) -> Iterator[CloudSite]:
    """A data root with one session whose host is this Azure; its source has five files.

    Args:
        clock: A new one means a login of its own; else all sites of this Azure share one.
    """
    clock = clock or world.clock
    chosen = {"azure.cloud": world.setting, **(settings or {})}
    with cloud_site(chosen, site_type, HostProvider.AZURE, clock) as site:
        for path, content in PAGES.items():
            site.write(path, content)
        yield site


def another_session(site: CloudSite, number: int) -> CloudSite:
    """A further session of the same person in the same installation."""
    key = SessionKey(site.key.user_id, f"sess_20260112_1423{number:02d}")
    added = Session(
        key=key, host_provider=HostProvider.AZURE, site_type=site.session.site_type,
        created_at=BEGAN, updated_at=BEGAN,
    )  # fmt: skip
    site.store.sessions.add(added)
    other = replace(site, key=key, runs=0, releases=[], logged=[])
    for folder in other.paths.folders():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, content in PAGES.items():
        other.write(path, content)
    return other


def with_setting(site: CloudSite, key: str, value: str | None) -> CloudSite:
    """The same site after the operator changed a setting."""
    settings = site.environment.settings
    changed = replace(settings, values={**settings.values, key: value})
    environment = replace(site.environment, settings=changed)
    host = find_host(HostProvider.AZURE, site.session.site_type, environment)
    return replace(site, environment=environment, host=host)


def fetched(world: AzureWorld, url: str) -> requests.Response:
    return requests.get(
        url, timeout=20, allow_redirects=False, verify=str(world.certificates.authority)
    )
