"""A machine behind Front Door answers one profile: today's, whatever was deployed before."""

from __future__ import annotations

import pytest

from core.hosts.instance import commands
from core.models.execution import Json
from tests.cloud.aws.site_kit import CloudSite
from tests.cloud.azure.arm_front_door import PROFILES
from tests.cloud.azure.dynamic_sites import app_host, dynamic_site, write_program
from tests.cloud.azure.machine_fixtures import quick_place, quick_server
from tests.cloud.azure.machine_world import MachineWorld
from tests.cloud.azure.quick_machines import QuickMachine, QuickMachines
from tests.cloud.azure.sessions import fetched, with_setting

__all__ = ["quick_place", "quick_server"]


def quick_machine(world: MachineWorld) -> QuickMachine:
    assert isinstance(world.machines, QuickMachines)
    return world.machines.at(world.machine().resource_id)


def block_of(site: CloudSite) -> dict[str, Json]:
    return dict(site.store.sessions.provider_block(site.key))


def test_a_machine_of_a_former_version_is_kept_and_told(
    quick_place: MachineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dynamic_site(quick_place) as site:
        site.publish()
        machine_id = quick_place.machine().document["properties"]["vmId"]
        monkeypatch.setattr(commands, "user_data", lambda: "#!/bin/sh\nexit 0\n")
        (drift,) = site.host.drift(site.session)
        assert (drift.kind, drift.what) == ("virtual_machine", "first start")
        assert "destroy and deploy make a new one" in drift.found
        site.store.sessions.distrust(site.key)
        site.publish()
        assert quick_place.machine().document["properties"]["vmId"] == machine_id


def answers(world: MachineWorld, site: CloudSite) -> bool:
    return fetched(world, f"{site.session.url}/").text.startswith("program of")


def test_what_was_deployed_before_machines_asked_begins_to_ask(quick_place: MachineWorld) -> None:
    with dynamic_site(quick_place) as site:
        published = site.publish()
        quick_machine(quick_place).front_door_id = None
        old = {name: value for name, value in block_of(site).items() if name != "frontdoor_id"}
        site.store.sessions.set_deployed(
            site.key, url=published.url, at=site.clock.now(), count=1,
            block={**old, "configuration": "of another version"}, resources=published.resources,
        )  # fmt: skip
        assert site.host.drift(site.session) == ()
        site.publish()
        assert quick_machine(quick_place).front_door_id == block_of(site)["frontdoor_id"]
        assert answers(quick_place, site)


def test_a_profile_of_the_same_name_with_another_id_is_seen_and_followed(
    quick_place: MachineWorld,
) -> None:
    with dynamic_site(quick_place) as site:
        site.publish()
        (profile,) = quick_place.state.of(PROFILES)
        former = profile.properties["frontDoorId"]
        profile.properties["frontDoorId"] = "0f1e2d3c-4b5a-4968-8776-655443322110"
        (drift,) = [one for one in site.host.drift(site.session) if one.what == "front door id"]
        assert (drift.kind, drift.expected) == ("frontdoor_profile", former)
        assert not answers(quick_place, site)
        write_program(site, "two")
        site.publish()
        assert answers(quick_place, site)
        assert site.host.drift(site.session) == ()


def test_a_site_that_leaves_front_door_answers_everybody_again(quick_place: MachineWorld) -> None:
    with dynamic_site(quick_place) as site:
        site.publish()
        app_host(site).set_variable(site.session, "KEY", "value")
        assert quick_machine(quick_place).front_door_id is not None
        plain = with_setting(site, "azure.cdn", "none")
        plain.publish()
        assert quick_machine(quick_place).front_door_id is None
        assert answers(quick_place, plain)
