"""What is around a dynamic site's machine in Azure: made, found again, changed by hand, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from core.errors import CancelledError, CloudRefusedError, NothingToDeployError, UsageError
from core.hosts.azure.vm_bodies import FRONT_DOOR_TAG
from core.hosts.azure.vm_sizes import SIZES
from tests.cloud.aws.site_kit import CloudSite
from tests.cloud.azure.arm_authorization import ROLE_ASSIGNMENTS, SECRETS_USER
from tests.cloud.azure.arm_compute import COMMANDS, DISKS, MACHINES
from tests.cloud.azure.arm_front_door import ENDPOINTS, PROFILES, ROUTES
from tests.cloud.azure.arm_network import ADDRESSES, INTERFACES, SECURITY_GROUPS
from tests.cloud.azure.arm_storage import ACCOUNTS
from tests.cloud.azure.arm_types import ArmError, check_tags
from tests.cloud.azure.arm_vaults import DELETED, VAULTS
from tests.cloud.azure.dynamic_sites import app_host, dynamic_site, write_program
from tests.cloud.azure.machine_fixtures import quick_place, quick_server
from tests.cloud.azure.machine_world import MachineWorld
from tests.cloud.azure.quick_machines import QuickMachines
from tests.cloud.azure.sessions import another_session, fetched, with_setting

__all__ = ["quick_place", "quick_server"]

FRONT = ["resource_group", "frontdoor_profile", "frontdoor_endpoint", "frontdoor_route"]
KINDS = [
    "resource_group", "storage_account", "role_assignment", "network_security_group",
    "virtual_network", "public_ip", *FRONT, "key_vault", "network_interface", "virtual_machine",
    "role_assignment", "role_assignment",
]  # fmt: skip


@pytest.fixture
def site(quick_place: MachineWorld) -> Iterator[CloudSite]:
    with dynamic_site(quick_place) as opened:
        yield opened


def drifts(site: CloudSite) -> set[tuple[str, str]]:
    return {(one.kind, one.what) for one in site.host.drift(site.session)}


def test_everything_that_was_made_is_recorded_in_its_order(site: CloudSite) -> None:
    published = site.publish()
    assert [one.kind for one in published.resources] == KINDS
    assert published.config_block["vm_size"] == SIZES[0]
    assert str(published.config_block["public_ip"]).startswith("203.0.113.")


def test_nothing_is_without_tags_not_even_the_disk(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    types = quick_place.state.types
    taggable = [
        one
        for key, one in quick_place.state.resources.items()
        if (kind := types.get(one.kind.lower())) is None or kind.taggable
    ]
    assert DISKS in {one.kind for one in taggable}
    for one in taggable:
        check_tags(one.tags)


def test_only_front_door_comes_in_and_only_on_the_web_port(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    [group] = quick_place.state.of(SECURITY_GROUPS)
    [rule] = group.properties["securityRules"]
    found = rule["properties"]
    assert (found["sourceAddressPrefix"], found["destinationPortRange"]) == (FRONT_DOOR_TAG, "80")


def test_a_redeploy_asks_for_one_list_and_one_command(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    write_program(site, "two")
    quick_place.calls.begin()
    site.publish()
    assert quick_place.calls.count("blob", "GET") == 1
    assert quick_place.calls.count("blob", "PUT") == 1
    assert quick_place.calls.count("arm", "PUT") == 1


def test_only_the_newest_releases_are_kept_for_the_machine(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    for number in range(14):
        write_program(site, f"release {number}")
        site.publish()
    [account] = quick_place.state.of(ACCOUNTS)
    with quick_place.blobs.container(account.name, "releases") as container:
        names = [one.name for one in container.list_blobs()]
    assert len([one for one in names if one.startswith("releases/")]) == 11
    assert len([one for one in names if one.startswith("agents/")]) == 1
    quick_place.state.settle()
    assert len(quick_place.state.of(COMMANDS)) == 11


def test_a_plan_needs_no_login_and_asks_nobody(quick_place: MachineWorld, site: CloudSite) -> None:
    quick_place.identity.logged_in = False
    plan = site.host.plan(site.request(site.take()))
    assert [(one.action, one.kind) for one in plan.actions] == [("create", one) for one in KINDS]
    [machine] = [one for one in plan.actions if one.kind == "virtual_machine"]
    assert machine.est_usd_day == pytest.approx(0.2256 + 0.08)  # hours, then the disk
    assert machine.tags["SiteType"] == "dynamic"
    assert (plan.files_changed, plan.warnings) == (2, ())
    assert quick_place.calls.made == []


def test_a_plan_after_a_deploy_keeps_what_is_recorded(site: CloudSite) -> None:
    published = site.publish()
    plan = site.host.plan(site.request(site.releases[0]))
    assert {one.action for one in plan.actions} == {"keep"}
    assert [one.resource_id for one in plan.actions] == [
        one.resource_id for one in published.resources
    ]


def test_a_size_without_room_gives_way_to_the_next_and_leaves_nothing(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    quick_place.compute.short = {SIZES[0]}
    quick_place.compute.barred = {SIZES[1]}
    assert site.publish().config_block["vm_size"] == SIZES[2]
    assert [len(quick_place.state.of(one)) for one in (MACHINES, DISKS, INTERFACES)] == [1, 1, 1]


def test_where_no_size_has_room_the_remedy_is_another_place(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    quick_place.compute.short = set(SIZES)
    with pytest.raises(CloudRefusedError) as refused:
        site.publish()
    assert refused.value.code == "no_size"
    assert "azure.location" in refused.value.remedy
    assert quick_place.state.of(MACHINES) == []


def test_a_subscription_without_encryption_on_hosts_gets_a_machine_too(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    quick_place.compute.has_host_encryption = False
    site.publish()
    security = quick_place.machine().properties["securityProfile"]
    assert security["securityType"] == "TrustedLaunch"
    assert "encryptionAtHost" not in security


def test_a_public_name_that_somebody_has_is_refused_with_the_way_out(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    [address] = [
        one.resource_id for one in site.host.plan(site.request(site.take())).actions
        if one.kind == "public_ip"
    ]  # fmt: skip
    quick_place.networks.taken_labels.add(address)
    with pytest.raises(CloudRefusedError, match=address) as refused:
        site.publish()
    assert refused.value.code == "name_taken"


def test_a_machine_of_somebody_else_is_neither_used_nor_removed(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    quick_place.machine().tags["InstallationID"] = "another"
    quick_place.machine().properties["provisioningState"] = "Failed"
    block = {**site.store.sessions.provider_block(site.key), "configuration": "older"}
    site.store.sessions.set_deployed(
        site.key, url="", at=site.clock.now(), count=1, block=block, resources=[]
    )
    with pytest.raises(CloudRefusedError, match="not say that it is this site's"):
        site.publish()
    assert len(quick_place.state.of(MACHINES)) == 1


def test_a_machine_whose_identity_was_taken_gets_a_new_one_with_its_rights(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    url = site.publish().url
    machine = quick_place.machine()
    quick_place.machines.at(machine.resource_id).principal = ""
    machine.document["identity"] = {"type": "None"}
    write_program(site, "two")
    release = site.take()
    assert site.publish(release).url == url
    assert quick_place.machine().document["identity"]["principalId"]
    assert site.host.serving(site.session) == release.release_id


def test_a_stopped_machine_is_started_by_a_deploy(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    quick_place.turn_off()
    write_program(site, "two")
    release = site.take()
    site.publish(release)
    assert site.host.serving(site.session) == release.release_id


@pytest.mark.parametrize("kind", [ROUTES, ENDPOINTS, SECURITY_GROUPS])
def test_what_visitors_need_and_somebody_deleted_is_made_anew_by_a_deploy(
    quick_place: MachineWorld, site: CloudSite, kind: str
) -> None:
    site.publish()
    for one in quick_place.state.of(kind):
        quick_place.state.remove(one.resource_id)
    write_program(site, "two")
    release = site.take()
    site.publish(release)
    assert site.host.serving(site.session) == release.release_id


def test_a_release_without_a_web_line_is_refused_before_anything_is_made(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    (site.paths.source / "Procfile").unlink()
    with pytest.raises(NothingToDeployError, match="web: line"):
        site.publish()
    assert quick_place.calls.made == []


def test_an_answer_of_the_time_before_is_not_taken_for_a_new_one(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    app_host(site).app_log(site.session, lines=5)
    [asked] = [one for one in quick_place.state.of(COMMANDS) if one.name == "log"]
    former = dict(asked.properties["instanceView"])
    quick_place.compute.shows_late = {"name": "log", "view": former}
    write_program(site, "two")
    site.publish()
    assert site.releases[-1].release_id in app_host(site).app_log(site.session, lines=5)


def test_another_subscription_than_the_pinned_one_is_refused_before_anything_is_made(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.store.sessions.pin_account(site.key, "11111111-2222-3333-4444-555555555555")
    with pytest.raises(CloudRefusedError) as refused:
        app_host(site).set_variable(site.session, "A", "b")
    assert refused.value.code == "other_account"
    assert quick_place.ids() == []


def test_a_cancelled_deploy_keeps_and_records_what_was_made(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    request = site.request(site.take(), lambda: len(quick_place.state.of(ADDRESSES)) > 0)
    with pytest.raises(CancelledError):
        site.host.publish(request)
    kinds = [one.kind for one in site.store.sessions.resources(site.key)]
    assert kinds == KINDS[:6]
    assert site.publish().config_block["vm_size"] == SIZES[0]


def test_rights_that_spread_slowly_are_waited_for(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    quick_place.blobs.denied = 5
    quick_place.machines_denied = 4
    began = site.clock.monotonic()
    release = site.take()
    site.publish(release)
    assert site.host.serving(site.session) == release.release_id
    assert site.clock.monotonic() - began > 20


Change = Callable[[MachineWorld], object]


def open_ssh(world: MachineWorld) -> None:
    [group] = world.state.of(SECURITY_GROUPS)
    rule = {"priority": 200, "direction": "Inbound", "access": "Allow", "protocol": "Tcp",
            "sourceAddressPrefix": "*", "destinationPortRange": "22"}  # fmt: skip
    group.properties["securityRules"].append({"name": "ssh", "properties": rule})


def resize(world: MachineWorld) -> None:
    world.machine().properties["hardwareProfile"]["vmSize"] = "Standard_D2s_v5"


def retag(world: MachineWorld) -> None:
    world.machine().tags["CostCenter"] = "somebody"


def take_identity(world: MachineWorld) -> None:
    world.machine().document["identity"] = {"type": "None"}


def open_vault(world: MachineWorld) -> None:
    world.state.of(VAULTS)[0].properties["enableRbacAuthorization"] = False


def take_right(world: MachineWorld) -> None:
    for one in world.state.of(ROLE_ASSIGNMENTS):
        if one.properties["roleDefinitionId"].endswith(SECRETS_USER):
            world.state.remove(one.resource_id)


def serve_another(world: MachineWorld) -> None:
    assert isinstance(world.machines, QuickMachines)
    world.machines.at(world.machine().resource_id).release = "abcdef0123456789"


@pytest.mark.parametrize(
    ("change", "kind", "what"),
    [
        (open_ssh, "network_security_group", "properties.securityRules"),
        (resize, "virtual_machine", "size"),
        (retag, "virtual_machine", "tags.CostCenter"),
        (take_identity, "virtual_machine", "identity"),
        (MachineWorld.turn_off, "virtual_machine", "power state"),
        (open_vault, "key_vault", "properties.enableRbacAuthorization"),
        (take_right, "role_assignment", "existence"),
        (serve_another, "virtual_machine", "release"),
    ],
)
def test_what_was_changed_by_hand_is_told(
    quick_place: MachineWorld, site: CloudSite, change: Change, kind: str, what: str
) -> None:
    site.publish()
    change(quick_place)
    assert (kind, what) in drifts(site)


def test_an_untouched_site_has_no_drift(site: CloudSite) -> None:
    assert site.host.drift(site.session) == ()
    site.publish()
    assert site.host.drift(site.session) == ()


def test_a_deploy_mends_a_filter_that_drifted(quick_place: MachineWorld, site: CloudSite) -> None:
    site.publish()
    open_ssh(quick_place)
    with_setting(site, "azure.cdn", "none").publish()
    [group] = quick_place.state.of(SECURITY_GROUPS)
    assert len(group.properties["securityRules"]) == 1


def test_destroy_leaves_nothing_behind_not_even_a_deleted_vault(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    destroyed = site.destroy()
    assert destroyed.left == ()
    assert quick_place.ids() == []
    assert sorted(one.kind for one in destroyed.deleted) == sorted(KINDS)
    assert site.store.sessions.resources(site.key) == []
    assert site.destroy().deleted == ()


def test_a_vault_that_cannot_be_purged_is_told_and_purged_the_next_time(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    purge = quick_place.state.types[DELETED.lower()]
    quick_place.state.types[DELETED.lower()] = replace(purge, actions={"purge": refused})
    [(left, reason)] = site.destroy().left
    assert (left.kind, "AuthorizationFailed" in reason) == ("key_vault", True)
    quick_place.state.types[DELETED.lower()] = purge
    assert site.destroy().left == ()
    assert quick_place.ids() == []


def test_a_vault_that_somebody_deleted_is_made_anew_without_its_secrets(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    app_host(site).set_variable(site.session, "KEY", "value")
    quick_place.state.remove(quick_place.state.of(VAULTS)[0].resource_id)
    write_program(site, "two")
    site.publish()
    assert app_host(site).variables(site.session) == ()
    assert quick_place.state.of(DELETED) == []


def test_variables_that_no_program_can_have_are_refused_before_azure_is_asked(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    for name, value in (("port", "x"), ("PORT", "x"), ("A", "x\0"), ("A", "x" * 25_001)):
        with pytest.raises(UsageError):
            app_host(site).set_variable(site.session, name, value)
    assert quick_place.calls.made == []


def test_switching_the_cdn_off_opens_the_machine_and_ends_what_front_door_costs(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    changed = with_setting(site, "azure.cdn", "none")
    url = changed.publish().url
    assert url.startswith("http://")
    assert changed.host.serving(changed.session) == changed.releases[-1].release_id
    assert quick_place.state.of(PROFILES) == []
    assert changed.host.drift(changed.session) == ()


def test_two_sites_share_a_profile_that_goes_with_the_last(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    other = another_session(site, 1)
    write_program(other, "other")
    site.publish()
    url = other.publish().url
    assert "frontdoor_profile" not in {one.kind for one in site.destroy().deleted}
    assert fetched(quick_place, f"{url}/").status_code == 200
    other.destroy()
    assert quick_place.ids() == []


def refused(*_words: Any) -> Any:
    raise ArmError(403, "AuthorizationFailed", "The client may not purge.")
