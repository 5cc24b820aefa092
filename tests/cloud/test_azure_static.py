"""The host azure/static on a strict Azure: made, changed, rolled back, looked at, removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.cloud.config import SHARED
from core.errors import CancelledError, CloudRefusedError, LoginNeededError
from tests.cloud.aws.site_kit import CloudSite, PatientClock
from tests.cloud.azure.arm_front_door import ENDPOINTS, PROFILES, RULES
from tests.cloud.azure.arm_storage import ACCOUNTS
from tests.cloud.azure.sessions import another_session, azure_site, fetched, with_setting
from tests.cloud.azure.world import AzureWorld

KINDS = [
    "resource_group", "storage_account", "role_assignment", "resource_group",
    "frontdoor_profile", "frontdoor_endpoint", "frontdoor_route",
]  # fmt: skip


@pytest.fixture
def site(azure_place: AzureWorld) -> Iterator[CloudSite]:
    with azure_site(azure_place) as opened:
        yield opened


def test_a_new_site_answers_through_front_door(azure_place: AzureWorld, site: CloudSite) -> None:
    url = site.publish().url
    assert fetched(azure_place, f"{url}/").text == "<h1>Hello</h1>"
    assert fetched(azure_place, f"{url}/about/").text == "<h1>About</h1>"
    missing = fetched(azure_place, f"{url}/nowhere")
    assert (missing.status_code, missing.text) == (404, "<h1>Nothing here</h1>")


def test_pages_are_asked_for_again_and_hashed_assets_stay_at_the_edge(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    url = site.publish().url
    caches = []
    for path in ("/", "/", "/assets/app-B2x9Kd3f.js", "/assets/app-B2x9Kd3f.js"):
        answer = fetched(azure_place, url + path)
        caches.append((answer.headers["Cache-Control"], answer.headers["X-Cache"]))
    year = "public, max-age=31536000, immutable"
    assert caches == [
        ("no-cache", "TCP_MISS"), ("no-cache", "TCP_MISS"), (year, "TCP_MISS"), (year, "TCP_HIT"),
    ]  # fmt: skip


def test_every_answer_has_the_security_headers(azure_place: AzureWorld, site: CloudSite) -> None:
    headers = fetched(azure_place, f"{site.publish().url}/").headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_the_host_says_which_release_is_served(site: CloudSite) -> None:
    release = site.take()
    assert site.host.serving(site.session) is None
    site.publish(release)
    assert site.host.serving(site.session) == release.release_id
    assert site.host.ensure_served(site.session) == site.session.url


def test_shared_resources_name_no_session(azure_place: AzureWorld, site: CloudSite) -> None:
    site.publish()
    [profile] = azure_place.state.of(PROFILES)
    [endpoint] = azure_place.state.of(ENDPOINTS)
    assert profile.tags["Scope"] == SHARED
    assert "SessionID" not in profile.tags
    assert endpoint.tags["SessionID"] == site.key.session_id
    assert endpoint.tags["ExecutionID"].endswith("_r1")


def test_everything_that_was_made_is_recorded(site: CloudSite) -> None:
    published = site.publish()
    assert [one.kind for one in published.resources] == KINDS
    assert published.config_block["storage_account"] == published.resources[1].resource_id


def test_an_unchanged_site_costs_one_listing_and_nothing_else(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    site.publish()
    azure_place.calls.begin()
    published = site.publish()
    assert [(one.plane, one.method) for one in azure_place.calls.made] == [("blob", "GET")]
    assert published.files_changed == 0


def test_a_changed_page_costs_two_puts_and_purges_its_own_addresses(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    site.publish()
    site.write("about/index.html", "<h1>About us</h1>")
    azure_place.calls.begin()
    url = site.publish().url
    assert azure_place.calls.count("blob", "PUT") == 2
    assert azure_place.calls.count("arm", "PUT") == 0
    purged = {path for _endpoint, path in azure_place.edges.purged}
    assert purged == {"/about/", "/about/index.html", "/.well-known/tmux-builder-release"}
    assert fetched(azure_place, f"{url}/about/").text == "<h1>About us</h1>"


def test_a_new_endpoint_needs_no_purge(azure_place: AzureWorld, site: CloudSite) -> None:
    site.publish()
    assert azure_place.edges.purged == []


def test_a_former_release_comes_back_whole(azure_place: AzureWorld, site: CloudSite) -> None:
    first = site.take()
    url = site.publish(first).url
    site.write("index.html", "<h1>Second</h1>")
    site.write("late.html", "late")
    site.publish()
    site.publish(first)
    assert fetched(azure_place, f"{url}/").text == "<h1>Hello</h1>"
    assert fetched(azure_place, f"{url}/late.html").status_code == 404


def test_a_plan_needs_no_login_and_asks_nobody(azure_place: AzureWorld, site: CloudSite) -> None:
    azure_place.identity.logged_in = False
    plan = site.host.plan(site.request(site.take()))
    assert [(one.action, one.kind) for one in plan.actions] == [("create", one) for one in KINDS]
    assert plan.actions[1].tags["ExecutionID"].startswith(site.key.user_id)
    assert "SessionID" not in plan.actions[4].tags
    assert plan.files_changed == 5
    assert azure_place.calls.made == []


def test_a_plan_after_a_deploy_keeps_everything(site: CloudSite) -> None:
    published = site.publish()
    plan = site.host.plan(site.request(site.releases[0]))
    assert {one.action for one in plan.actions} == {"keep"}
    assert [one.resource_id for one in plan.actions] == [
        one.resource_id for one in published.resources
    ]
    assert plan.files_changed == 0


def test_an_untouched_site_has_no_drift(site: CloudSite) -> None:
    site.publish()
    assert site.host.drift(site.session) == ()


def test_what_was_changed_by_hand_is_told(azure_place: AzureWorld, site: CloudSite) -> None:
    account = site.publish().resources[1].resource_id
    [stored] = azure_place.state.of(ACCOUNTS)
    stored.properties["minimumTlsVersion"] = "TLS1_0"
    stored.tags["CostCenter"] = "somebody"
    azure_place.state.remove(azure_place.state.of(RULES)[0].resource_id)
    with azure_place.blobs.container(account) as container:
        container.upload_blob("style.css", b"hacked", overwrite=True)
    found = {(one.kind, one.what.split(" of ")[0]) for one in site.host.drift(site.session)}
    assert ("storage_account", "properties.minimumTlsVersion") in found
    assert ("storage_account", "tags.CostCenter") in found
    assert ("frontdoor_route", "existence") in found
    assert any(kind == "storage_account" and "style.css" in what for kind, what in found)


def test_a_lost_role_is_a_drift_that_does_not_stop_the_others(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    site.publish()
    [role] = azure_place.state.of("Microsoft.Authorization/roleAssignments")
    azure_place.state.remove(role.resource_id)
    assert [one.kind for one in site.host.drift(site.session)] == ["role_assignment"]


def test_destroy_leaves_nothing_behind(azure_place: AzureWorld, site: CloudSite) -> None:
    site.publish()
    destroyed = site.destroy()
    assert azure_place.ids() == []
    assert sorted(one.kind for one in destroyed.deleted) == sorted(KINDS)
    assert site.store.sessions.resources(site.key) == []
    assert site.destroy().deleted == ()


def test_a_destroyed_site_can_be_deployed_again(azure_place: AzureWorld, site: CloudSite) -> None:
    site.publish()
    site.destroy()
    assert fetched(azure_place, f"{site.publish().url}/").text == "<h1>Hello</h1>"


def test_two_sites_share_a_profile_that_goes_with_the_last(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    other = another_session(site, 1)
    site.publish()
    url = other.publish().url
    assert len(azure_place.state.of(PROFILES)) == 1
    destroyed = site.destroy()
    assert "frontdoor_profile" not in {one.kind for one in destroyed.deleted}
    assert fetched(azure_place, f"{url}/").status_code == 200
    other.destroy()
    assert azure_place.ids() == []


def test_the_eleventh_site_gets_a_second_profile(azure_place: AzureWorld, site: CloudSite) -> None:
    sites = [site, *(another_session(site, number) for number in range(10))]
    for one in sites:
        planned = site.host.plan(one.request(one.take())).actions[4].resource_id
        assert one.publish().config_block["frontdoor_profile"] == planned
    counts = [
        len(azure_place.state.of(ENDPOINTS, f"{one.resource_id}/"))
        for one in azure_place.state.of(PROFILES)
    ]
    assert counts == [10, 1]


def test_a_taken_account_name_is_refused_with_the_way_out(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    taken = site.host.plan(site.request(site.take())).actions[1].resource_id
    azure_place.state.taken_names.add(taken)
    with pytest.raises(CloudRefusedError, match=taken) as refused:
        site.publish()
    assert refused.value.code == "name_taken"
    assert "--suffix" in refused.value.remedy
    site.store.sessions.set_name_suffix(site.key, "x1")
    assert fetched(azure_place, f"{site.publish().url}/").status_code == 200


def test_destroy_takes_the_group_of_a_former_suffix_too(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    azure_place.state.taken_names.add(
        site.host.plan(site.request(site.take())).actions[1].resource_id
    )
    with pytest.raises(CloudRefusedError):
        site.publish()
    site.store.sessions.set_name_suffix(site.key, "x1")
    site.publish()
    assert site.destroy().left == ()
    assert azure_place.ids() == []


def test_a_group_of_somebody_else_is_neither_used_nor_removed(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    site.publish()
    name = site.store.sessions.resources(site.key)[0].resource_id
    [group] = [one for one in azure_place.ids() if one.endswith(f"resourcegroups/{name}")]
    azure_place.state.resources[group].tags["InstallationID"] = "another"
    site.store.sessions.set_destroyed(site.key)
    with pytest.raises(CloudRefusedError, match="not say that it is this site's"):
        site.publish()
    site.destroy()
    assert group in azure_place.ids()


def test_another_subscription_than_the_pinned_one_is_refused_before_anything_is_made(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    site.store.sessions.pin_account(site.key, "11111111-2222-3333-4444-555555555555")
    with pytest.raises(CloudRefusedError) as refused:
        site.publish()
    assert refused.value.code == "other_account"
    assert azure_place.ids() == []


def test_without_a_login_the_remedy_is_to_log_in(azure_place: AzureWorld) -> None:
    azure_place.identity.logged_in = False
    with (
        azure_site(azure_place, clock=PatientClock()) as site,
        pytest.raises(LoginNeededError) as needed,
    ):
        site.publish()
    assert "az login" in needed.value.remedy
    assert azure_place.ids() == []


def test_a_role_that_spreads_slowly_is_waited_for(azure_place: AzureWorld, site: CloudSite) -> None:
    azure_place.blobs.denied = 9
    began = site.clock.monotonic()
    assert fetched(azure_place, f"{site.publish().url}/").status_code == 200
    assert site.clock.monotonic() - began > 20
    assert azure_place.calls.count("blob", "GET") == 10


def test_an_older_management_plane_is_gone_around(azure_place: AzureWorld, site: CloudSite) -> None:
    azure_place.storage.management_websites = False
    assert fetched(azure_place, f"{site.publish().url}/about/").text == "<h1>About</h1>"
    assert site.host.drift(site.session) == ()


def test_a_login_that_may_not_assign_roles_can_have_one_already(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    with azure_place.no_role_may_be_assigned():
        with pytest.raises(CloudRefusedError) as refused:
            site.publish()
        assert "doctor --policy azure" in refused.value.remedy
        azure_place.give_role_on_subscription()
        assert fetched(azure_place, f"{site.publish().url}/").status_code == 200
    assert "role_assignment" not in {one.kind for one in site.store.sessions.resources(site.key)}
    assert site.host.drift(site.session) == ()


def test_without_a_cdn_the_accounts_own_endpoint_is_the_url(azure_place: AzureWorld) -> None:
    with azure_site(azure_place, {"azure.cdn": "none"}) as site:
        published = site.publish()
        assert published.url == str(published.config_block["web_endpoint"]).rstrip("/")
        assert fetched(azure_place, f"{published.url}/").text == "<h1>Hello</h1>"
        assert [one.kind for one in published.resources] == KINDS[:3]
        assert azure_place.state.of(PROFILES) == []


def test_switching_the_cdn_off_ends_what_it_costs(azure_place: AzureWorld, site: CloudSite) -> None:
    site.publish()
    url = with_setting(site, "azure.cdn", "none").publish().url
    assert fetched(azure_place, f"{url}/").status_code == 200
    assert azure_place.state.of(PROFILES) == []
    assert [one.kind for one in site.store.sessions.resources(site.key)] == KINDS[:3]


def test_a_cancelled_deploy_keeps_and_records_what_was_made(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    release = site.take()
    request = site.request(release, lambda: len(azure_place.ids()) >= 2)
    with pytest.raises(CancelledError):
        site.host.publish(request)
    kinds = [one.kind for one in site.store.sessions.resources(site.key)]
    assert kinds == ["resource_group", "storage_account"]
    assert fetched(azure_place, f"{site.publish().url}/").status_code == 200


def test_an_account_that_somebody_deleted_is_made_anew(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    site.publish()
    [account] = azure_place.state.of(ACCOUNTS)
    azure_place.state.remove(account.resource_id)
    assert fetched(azure_place, f"{site.publish().url}/").text == "<h1>Hello</h1>"


def test_an_endpoint_that_somebody_deleted_is_made_anew(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    site.publish()
    [endpoint] = azure_place.state.of(ENDPOINTS)
    azure_place.state.remove(endpoint.resource_id)
    site.write("index.html", "<h1>Back</h1>")
    assert fetched(azure_place, f"{site.publish().url}/").text == "<h1>Back</h1>"


def test_what_cannot_be_deleted_is_told_and_goes_with_the_next_destroy(
    azure_place: AzureWorld, site: CloudSite
) -> None:
    site.publish()
    [endpoint] = azure_place.state.of(ENDPOINTS)
    azure_place.state.locked.add(endpoint.resource_id.lower())
    destroyed = site.destroy()
    assert {one.kind for one, _why in destroyed.left} == {"frontdoor_endpoint", "storage_account"}
    assert azure_place.state.of(ACCOUNTS) != []
    azure_place.state.locked.clear()
    assert site.destroy().left == ()
    assert azure_place.ids() == []
