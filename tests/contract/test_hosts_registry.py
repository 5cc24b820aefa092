"""Every host that the registry finds keeps the port's promises; the rest is refused honestly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.errors import UsageError
from core.hosts.registry import built_hosts, find_host
from core.models.user import HostProvider, SiteType
from tests.site.local_host_kit import Site, local_site, marker_at


@pytest.fixture(params=[pair[1] for pair in built_hosts() if pair[0] is HostProvider.LOCAL])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with local_site(request.param) as one:
        yield one


def write(site: Site, word: str) -> None:
    if site.session.site_type is SiteType.STATIC:
        site.write("index.html", word)
    else:
        site.write_app(word)


def test_both_local_hosts_are_built() -> None:
    assert {(HostProvider.LOCAL, kind) for kind in SiteType} <= set(built_hosts())


def test_a_host_says_which_one_it_is(site: Site) -> None:
    assert site.host.host_provider is HostProvider.LOCAL
    assert site.host.site_type is site.session.site_type


def test_a_host_that_is_not_built_is_refused_with_what_to_do() -> None:
    missing = [
        (provider, kind)
        for provider in HostProvider
        for kind in SiteType
        if (provider, kind) not in built_hosts()
    ]
    with local_site() as site:
        environment = site.host._environment  # type: ignore[attr-defined]
        for provider, kind in missing:
            with pytest.raises(UsageError, match=f"{provider}/{kind} is not built yet") as caught:
                find_host(provider, kind, environment)
            assert "--host-provider local" in caught.value.remedy


def test_a_plan_tells_and_changes_nothing(site: Site) -> None:
    write(site, "one")
    release = site.take()
    plan = site.host.plan(site.request(release))
    assert [(action.action, action.kind) for action in plan.actions] == [("create", "local_site")]
    assert plan.files_total == plan.files_changed == len(release.files)
    assert plan.actions[0].tags["SessionID"] == site.key.session_id
    assert plan.actions[0].tags["ExecutionID"].startswith(site.key.user_id)
    assert not site.folder.exists()
    assert not site.server.is_running()
    stored = site.store.sessions.get(site.key)
    assert stored is not None
    assert stored.port is None


def test_published_means_that_the_url_answers_with_the_marker(site: Site) -> None:
    write(site, "one")
    assert site.host.serving(site.session) is None
    published = site.publish()
    release = site.previous
    assert release is not None
    assert marker_at(published.url) == release.release_id == site.host.serving(site.session)
    assert published.files_total == published.files_changed == len(release.files)
    assert published.size_bytes == release.size_bytes
    assert published.resources[0].kind == "local_site"


def test_publishing_again_ends_in_the_same_state(site: Site) -> None:
    write(site, "one")
    first = site.publish()
    before = sorted(path.name for path in (site.folder / "releases").iterdir())
    again = site.publish()
    assert again.url == first.url
    assert again.files_changed == 0
    assert sorted(path.name for path in (site.folder / "releases").iterdir()) == before


def test_a_change_counts_what_differs_and_a_rollback_is_a_publish(site: Site) -> None:
    write(site, "one")
    first = site.publish()
    former = site.previous
    assert former is not None
    write(site, "two")
    assert site.publish().files_changed == 1
    back = site.publish(former)
    assert back.url == first.url
    assert back.files_changed == 1
    assert marker_at(back.url) == former.release_id


def test_destroy_stops_the_site_frees_its_port_and_can_be_repeated(site: Site) -> None:
    write(site, "one")
    published = site.publish()
    destroyed = site.host.destroy(site.key)
    assert [resource.resource_id for resource in destroyed.deleted] == [
        published.resources[0].resource_id
    ]
    assert not destroyed.left
    assert not site.folder.exists()
    assert site.host.serving(site.session) is None
    stored = site.store.sessions.get(site.key)
    assert stored is not None
    assert stored.port is None
    assert site.paths.source.exists()
    assert site.host.destroy(site.key).deleted == ()
