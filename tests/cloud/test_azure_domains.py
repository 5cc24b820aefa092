"""A name of the operator's own for a dynamic site: records, proof, and an end without leftovers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from core.errors import CloudRefusedError
from tests.cloud.aws.site_kit import CloudSite
from tests.cloud.azure.arm_dns import CNAMES, DOMAINS, TEXTS, add_zone
from tests.cloud.azure.arm_state import Stored
from tests.cloud.azure.dynamic_sites import dynamic_site, write_program
from tests.cloud.azure.faults import Call, FaultKind
from tests.cloud.azure.machine_fixtures import quick_place, quick_server
from tests.cloud.azure.machine_world import MachineWorld
from tests.cloud.azure.name_proxy import NameProxy
from tests.cloud.azure.sessions import fetched, with_setting

__all__ = ["quick_place", "quick_server"]

ZONE = "sites.example"


@pytest.fixture
def site(quick_place: MachineWorld) -> Iterator[CloudSite]:
    add_zone(quick_place.state, ZONE)
    with dynamic_site(quick_place, {"domain.zone": ZONE}) as opened:
        yield opened


@pytest.fixture
def resolver(quick_place: MachineWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[NameProxy]:
    """This process resolves names of the zone from here on."""

    def resolve(host: str) -> tuple[str, int] | None:
        for one in quick_place.state.of(CNAMES):
            if one.properties["fqdn"] == f"{host}.":
                name, _colon, port = one.properties["CNAMERecord"]["cname"].partition(":")
                return name, int(port)
        return None

    proxy = NameProxy(resolve)
    for name, value in proxy.environ().items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.close()


def alias(world: MachineWorld) -> Stored:
    [found] = world.state.of(CNAMES)
    return found


def test_a_site_answers_at_its_own_name(
    quick_place: MachineWorld, site: CloudSite, resolver: NameProxy
) -> None:
    published = site.publish()
    assert published.url == f"https://{alias(quick_place).name}.{ZONE}"
    assert fetched(quick_place, f"{published.url}/").text.startswith("program of")
    assert site.host.serving(site.session) == site.releases[-1].release_id
    assert site.host.drift(site.session) == ()


def test_until_its_own_name_answers_the_site_is_at_azures(
    quick_place: MachineWorld, site: CloudSite, request: pytest.FixtureRequest
) -> None:
    assert site.publish().url == f"https://{alias(quick_place).properties['CNAMERecord']['cname']}"
    assert any("own name not ready" in message for message, _details in site.logged)
    request.getfixturevalue("resolver")
    write_program(site, "two")
    assert site.publish().url.endswith(ZONE)


def test_the_records_say_whose_they_are_and_prove_the_name(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    published = site.publish()
    [proof], [domain] = quick_place.state.of(TEXTS), quick_place.state.of(DOMAINS)
    assert domain.properties["domainValidationState"] == "Approved"
    assert proof.properties["metadata"]["SessionID"] == site.key.session_id
    kinds = [one.kind for one in published.resources]
    assert (kinds.count("dns_record"), kinds.count("frontdoor_domain")) == (2, 1)


def test_a_plan_names_the_records(quick_place: MachineWorld, site: CloudSite) -> None:
    planned = [
        (one.action, one.resource_id)
        for one in site.host.plan(site.request(site.take())).actions
        if one.kind == "dns_record"
    ]
    assert all(ZONE in resource_id for _action, resource_id in planned)
    assert quick_place.calls.made == []
    site.publish()
    again = site.host.plan(site.request(site.releases[0]))
    assert {one.action for one in again.actions} == {"keep"}


def test_without_its_zone_nothing_is_made(quick_place: MachineWorld, site: CloudSite) -> None:
    missing = with_setting(site, "domain.zone", "nobody.example")
    before = quick_place.ids()
    with pytest.raises(CloudRefusedError) as refused:
        missing.publish()
    assert refused.value.code == "no_zone"
    assert quick_place.ids() == before


def test_somebody_elses_record_is_not_touched(quick_place: MachineWorld, site: CloudSite) -> None:
    site.publish()
    alias(quick_place).properties["metadata"] = {"owner": "somebody"}
    write_program(site, "two")
    with pytest.raises(CloudRefusedError, match="not say that it is this site's"):
        with_setting(site, "azure.cdn", "none").publish()
    assert site.destroy().left == ()
    assert alias(quick_place).properties["metadata"] == {"owner": "somebody"}


def test_a_record_whose_answer_was_lost_is_not_taken_for_somebody_elses(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    lost: list[Call] = []

    def choose(call: Call) -> FaultKind | None:
        if lost or call.method != "PUT" or "/CNAME/" not in call.path:
            return None
        lost.append(call)
        return FaultKind.LOST

    quick_place.calls.choose = choose
    assert site.publish().config_block["own_url"]
    quick_place.calls.choose = None
    assert len(lost) == 1


def test_a_name_that_is_not_wanted_any_more_is_taken_away(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    changed = with_setting(site, "domain.zone", None)
    assert not changed.publish().url.endswith(ZONE)
    left = [quick_place.state.of(kind) for kind in (CNAMES, TEXTS, DOMAINS)]
    assert left == [[], [], []]
    kinds = {one.kind for one in changed.store.sessions.resources(site.key)}
    assert not kinds & {"dns_record", "frontdoor_domain"}


def test_a_site_moves_to_another_zone(quick_place: MachineWorld, site: CloudSite) -> None:
    add_zone(quick_place.state, "other.example", "elsewhere")
    site.publish()
    with_setting(site, "domain.zone", "other.example").publish()
    [domain] = quick_place.state.of(DOMAINS)
    assert domain.properties["hostName"].endswith("other.example")
    assert "/elsewhere/" in alias(quick_place).resource_id


def test_an_alias_that_somebody_turned_away_is_told(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    alias(quick_place).properties["CNAMERecord"]["cname"] = "elsewhere.example"
    assert ("dns_record", "elsewhere.example") in [
        (one.kind, one.found) for one in site.host.drift(site.session)
    ]


def test_destroy_leaves_the_operators_zone_and_nothing_in_it(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    before = quick_place.ids()
    site.publish()
    assert site.destroy().left == ()
    assert quick_place.ids() == before


def test_what_a_record_still_leads_to_is_not_removed(
    quick_place: MachineWorld, site: CloudSite
) -> None:
    site.publish()
    quick_place.state.locked.add(alias(quick_place).resource_id.lower())
    left = {one.kind for one, _reason in site.destroy().left}
    assert left == {"dns_record", "virtual_machine"}
    assert quick_place.machine()
    quick_place.state.locked.clear()
    assert site.destroy().left == ()


def test_without_a_cdn_the_name_leads_to_the_machine(
    quick_place: MachineWorld, site: CloudSite, resolver: NameProxy
) -> None:
    published = with_setting(site, "azure.cdn", "none").publish()
    target = alias(quick_place).properties["CNAMERecord"]["cname"]
    assert target == published.config_block["public_host"]
    assert published.url == f"http://{alias(quick_place).name}.{ZONE}"
    assert requests.get(f"{published.url}/", timeout=20).status_code == 200
