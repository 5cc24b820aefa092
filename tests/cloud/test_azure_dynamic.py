"""The host azure/dynamic on a strict Azure whose machines really run what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from core.errors import AnswerIsNoError
from tests.cloud.aws.site_kit import CloudSite
from tests.cloud.azure.arm_compute import COMMANDS
from tests.cloud.azure.dynamic_sites import PROGRAM, app_host, dynamic_site, write_program
from tests.cloud.azure.edges import BACKBONE, FRONT_DOOR_ID
from tests.cloud.azure.machine_fixtures import machine_server
from tests.cloud.azure.machine_world import MachineWorld
from tests.cloud.azure.machines import Machine, Machines
from tests.cloud.azure.sessions import another_session, fetched, with_setting

__all__ = ["machine_server"]

SECRET = "correct horse battery staple"


@pytest.fixture
def world(machine_server: MachineWorld) -> MachineWorld:
    return machine_server


@pytest.fixture(scope="module")
def life(machine_server: MachineWorld) -> Iterator[CloudSite]:
    """One site for the whole module: its machine is made once, and mended where a test broke it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in machine_server.environ().items():
            patch.setenv(name, value)
        with dynamic_site(machine_server) as opened:
            yield opened


@pytest.fixture
def site(
    machine_server: MachineWorld, life: CloudSite, monkeypatch: pytest.MonkeyPatch
) -> CloudSite:
    """That site with its first program, which says `one`."""
    for name, value in machine_server.environ().items():
        monkeypatch.setenv(name, value)
    write_program(life, "one")
    life.publish()
    life.logged.clear()
    return life


@pytest.fixture
def other(site: CloudSite) -> Iterator[CloudSite]:
    """A second site that was never deployed, and that leaves nothing."""
    found = another_session(site, 1)
    write_program(found, "one")
    yield found
    assert found.destroy().left == ()


def machine_of(world: MachineWorld) -> Machine:
    assert isinstance(world.machines, Machines)
    return world.machines.at(world.machine().resource_id)


def test_a_program_answers_through_front_door(world: MachineWorld, site: CloudSite) -> None:
    url = str(site.session.url)
    assert url.startswith("https://")
    assert fetched(world, f"{url}/").text == "one"
    assert site.host.serving(site.session) == site.releases[-1].release_id


def test_what_visitors_send_comes_to_the_program(world: MachineWorld, site: CloudSite) -> None:
    url, ca = site.session.url, str(world.certificates.authority)
    answer = requests.post(f"{url}/form?a=1", data=b"hello", timeout=20, verify=ca)
    assert (answer.status_code, answer.text) == (201, "hello")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nobody_gets_past_front_door(world: MachineWorld, site: CloudSite) -> None:
    host = site.store.sessions.provider_block(site.key)["public_host"]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{host}/", timeout=20)


def test_another_customers_front_door_gets_no_answer(world: MachineWorld, site: CloudSite) -> None:
    """It comes from the addresses that the filter lets in."""
    block = site.store.sessions.provider_block(site.key)
    own, url = str(block["frontdoor_id"]), f"http://{block['public_host']}/"
    for shown, status in ((own, 200), (str(uuid4()), 403), ("", 403)):
        through = {BACKBONE: world.edges.backbone, FRONT_DOOR_ID: shown}
        assert requests.get(url, headers=through, timeout=20).status_code == status
    forged = {"X-Azure-FDID": "another"}
    answer = requests.get(
        f"{site.session.url}/", headers=forged, timeout=20, verify=str(world.certificates.authority)
    )
    assert answer.text == "one"


def test_a_new_release_takes_the_former_ones_place_and_gives_it_back(
    world: MachineWorld, site: CloudSite
) -> None:
    first = site.releases[-1]
    write_program(site, "two")
    url = site.publish().url
    assert fetched(world, f"{url}/").text == "two"
    world.calls.begin()
    site.publish(first)
    assert fetched(world, f"{url}/").text == "one"
    assert world.calls.count("blob", "PUT") == 0


def test_the_same_release_again_starts_no_other_program(
    world: MachineWorld, site: CloudSite
) -> None:
    before = app_host(site).app_log(site.session, lines=50).count("program began")
    assert site.publish().files_changed == 0
    assert app_host(site).app_log(site.session, lines=50).count("program began") == before


def test_a_program_that_does_not_start_leaves_the_former_one(
    world: MachineWorld, site: CloudSite
) -> None:
    url = site.session.url
    write_program(site, "", "print('no port here'); raise SystemExit(3)\n")
    with pytest.raises(AnswerIsNoError, match="no port here") as refused:
        site.publish()
    assert refused.value.code == "app_not_started"
    assert fetched(world, f"{url}/").text == "one"


def test_a_variable_reaches_the_program_and_nothing_else(
    world: MachineWorld, site: CloudSite
) -> None:
    url, host = site.session.url, app_host(site)
    host.set_variable(site.session, "GREETING", SECRET)
    assert fetched(world, f"{url}/").text == SECRET
    assert host.variables(site.session) == ("GREETING",)
    told = [one.document for one in world.state.of(COMMANDS)]
    assert SECRET not in f"{told}{site.logged}{site.session}"
    assert _with(site.root.path, SECRET) == []
    host.unset_variable(site.session, "GREETING")
    assert fetched(world, f"{url}/").text == "one"
    assert host.variables(site.session) == ()


def test_a_variable_set_before_the_first_deploy_is_there_from_the_start(
    world: MachineWorld, other: CloudSite
) -> None:
    app_host(other).set_variable(other.session, "GREETING", "early")
    assert app_host(other).app_log(other.session, lines=5) == ""
    assert fetched(world, f"{other.publish().url}/").text == "early"


def test_a_variable_that_breaks_the_program_is_taken_back(
    world: MachineWorld, site: CloudSite
) -> None:
    write_program(site, "one", f"import os\nassert 'BREAK' not in os.environ\n{PROGRAM}")
    url, host = site.publish().url, app_host(site)
    with pytest.raises(AnswerIsNoError):
        host.set_variable(site.session, "BREAK", "now")
    assert host.variables(site.session) == ()
    assert fetched(world, f"{url}/").text == "one"


def test_the_programs_own_lines_are_shown(world: MachineWorld, site: CloudSite) -> None:
    fetched(world, f"{site.session.url}/seen")
    assert "asked for /seen" in app_host(site).app_log(site.session, lines=5)


def test_a_stopped_machine_is_started_where_its_site_is_wanted(
    world: MachineWorld, site: CloudSite
) -> None:
    url = site.session.url
    world.turn_off()
    assert fetched(world, f"{url}/").status_code >= 500
    assert site.host.ensure_served(site.session) == url
    assert fetched(world, f"{url}/").text == "one"


def test_a_machine_that_somebody_deleted_is_made_anew(world: MachineWorld, site: CloudSite) -> None:
    url = site.session.url
    world.state.remove(world.machine().resource_id)
    write_program(site, "two")
    assert site.publish().url == url
    assert fetched(world, f"{url}/").text == "two"


def test_an_agent_that_is_killed_comes_back_with_the_same_release(
    world: MachineWorld, site: CloudSite
) -> None:
    url = site.session.url
    machine = machine_of(world)
    machine.stop()
    machine.start()
    assert fetched(world, f"{url}/").text == "one"


def test_without_a_cdn_the_machine_answers_by_itself_and_it_is_said_that_there_is_no_tls(
    world: MachineWorld, other: CloudSite
) -> None:
    plain = with_setting(other, "azure.cdn", "none")
    plan = plain.host.plan(plain.request(plain.take()))
    published = plain.publish()
    url = published.url
    assert list(published.warnings) == ["no_tls"]
    assert url.startswith("http://")
    assert requests.get(f"{url}/", timeout=20).text == "one"
    assert "no TLS" in plan.warnings[0]
    assert any("no TLS" in message for message, _details in plain.logged)


def _with(folder: Path, text: str) -> list[Path]:
    """Files below the folder that hold the text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]
