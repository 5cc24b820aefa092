"""Only the site's own distribution is answered by its instance: the key, and where it lies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from core.hosts.instance.variables import ORIGIN_HEADER, ORIGIN_KEY
from core.models.release import MARKER_PATH
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_site import app_host, dynamic_site, said, write_app
from tests.cloud.aws.machines import QuickMachine
from tests.cloud.aws.site_kit import CloudSite


@pytest.fixture
def quick_place(instance_place: InstancePlace) -> InstancePlace:
    """Machines act the agent, and refuse without the key whatever they are asked."""
    instance_place.is_quick = True
    return instance_place


def kept_key(place: InstancePlace) -> str:
    (found,) = [one for name, one in place.ssm.parameters.items() if name.endswith(ORIGIN_KEY)]
    return found.value


def origin_headers(place: InstancePlace) -> dict[str, str]:
    """What the one distribution shows to its origin."""
    (one,) = place.aws.cloudfront.distributions.values()
    (origin,) = one.config["Origins"]["Items"]
    items = origin["CustomHeaders"].get("Items", [])
    return {header["HeaderName"]: header["HeaderValue"] for header in items}


def quick_machine(place: InstancePlace) -> QuickMachine:
    (one,) = place.live()
    assert isinstance(one.machine, QuickMachine)
    return one.machine


def change_origin(place: InstancePlace, headers: dict[str, str]) -> None:
    """As somebody would in the console: at the edges too."""
    (one,) = place.aws.cloudfront.distributions.values()
    items = [{"HeaderName": name, "HeaderValue": text} for name, text in headers.items()]
    for config in (one.config, one.live or {}):
        config["Origins"]["Items"][0]["CustomHeaders"] = {"Quantity": len(items), "Items": items}


def make_old(place: InstancePlace, site: CloudSite) -> None:
    """What was deployed before there were keys."""
    change_origin(place, {})
    place.ssm.parameters.clear()
    quick_machine(place).key = None
    block = {name: value for name, value in site.store.sessions.provider_block(site.key).items()
             if name not in ("guard", "boundary")}  # fmt: skip
    resources = [one for one in site.store.sessions.resources(site.key)
                 if one.kind != "ssm_parameter"]  # fmt: skip
    site.store.sessions.set_deployed(
        site.key, url=str(site.session.url), at=site.clock.now(), count=site.runs,
        block={**block, "configuration": "of another version"}, resources=resources,
    )  # fmt: skip


def test_another_customers_distribution_is_refused_and_ones_own_is_not(
    instance_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        url = f"http://127.0.0.1:{instance_place.machine().port}"
        assert said(site) == "one -"
        assert origin_headers(instance_place) == {ORIGIN_HEADER: kept_key(instance_place)}
        for headers in ({}, {ORIGIN_HEADER: "guessed"}):
            assert requests.get(url, headers=headers, timeout=5).status_code == 403
        assert requests.get(f"{url}/{MARKER_PATH}", timeout=5).status_code == 200
        forged = requests.get(str(site.session.url), headers={ORIGIN_HEADER: "x"}, timeout=5)
        assert forged.text == "one -"
        assert site.host.drift(site.session) == ()
        assert site.destroy().left == ()
        assert instance_place.ssm.parameters == {}


def test_the_key_is_told_to_the_distribution_and_to_nobody_else(
    instance_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        app_host(site).set_variable(site.session, "API_KEY", "a value of some length")
        published = site.publish()
        key = kept_key(instance_place)
        drift = site.host.drift(site.session)
        plan = site.host.plan(site.request(site.take()))
        told = [published, drift, plan, site.logged, site.session, app_host(site).variables]
        told += [one.text for one in instance_place.ssm.invocations.values()]
        told += [(one.asked, one.tags) for one in instance_place.live()]
        told += [one.tags for one in instance_place.aws.cloudfront.distributions.values()]
        assert key not in f"{told}{json.dumps(site.store.sessions.provider_block(site.key))}"
        assert files_with(site.root.path, key) == []
        machine = instance_place.machine()
        assert files_with(machine.root, key) == [machine.root / "guard.json"]
        assert (machine.root / "guard.json").stat().st_mode & 0o777 == 0o600
        assert app_host(site).variables(site.session) == ("API_KEY",)


def test_one_key_is_made_for_a_session_and_another_for_the_next(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        first = kept_key(quick_place)
        write_app(site, "two")
        site.publish()
        assert kept_key(quick_place) == first
        site.destroy()
        site.publish()
        assert kept_key(quick_place) != first


def test_what_was_deployed_without_a_key_gets_one_when_its_edges_show_it(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        make_old(quick_place, site)
        assert site.host.drift(site.session) == ()
        app_host(site).set_variable(site.session, "API_KEY", "kept")
        assert (quick_machine(quick_place).key, said(site)) == (None, "served by the program")
        quick_place.aws.standin.forget_calls()
        site.publish()
        log = quick_place.aws.standin.log
        last_look = len(log) - log[::-1].index(("cloudfront", "GetDistribution"))
        assert last_look <= log.index(("ssm", "SendCommand"))
        assert origin_headers(quick_place) == {ORIGIN_HEADER: kept_key(quick_place)}
        assert quick_machine(quick_place).key == kept_key(quick_place)
        assert said(site) == "served by the program"


def lose_header(place: InstancePlace) -> None:
    change_origin(place, {})


def change_header(place: InstancePlace) -> None:
    change_origin(place, {ORIGIN_HEADER: "by-hand"})


def add_header(place: InstancePlace) -> None:
    change_origin(place, {ORIGIN_HEADER: kept_key(place), "X-Mine": "by-hand"})


def lose_parameter(place: InstancePlace) -> None:
    del place.ssm.parameters[next(one for one in place.ssm.parameters if ORIGIN_KEY in one)]


def open_guard(place: InstancePlace) -> None:
    quick_machine(place).key = None


@pytest.mark.parametrize(
    ("change", "kind", "what"),
    [
        (lose_header, "cloudfront_distribution", "Origins[].CustomHeaders"),
        (change_header, "cloudfront_distribution", "Origins[].CustomHeaders[].HeaderValue"),
        (add_header, "cloudfront_distribution", "Origins[].CustomHeaders"),
        (lose_parameter, "ssm_parameter", "existence"),
        (open_guard, "ec2_instance", "guard"),
    ],
)
def test_a_key_that_somebody_touched_is_told_without_it_and_mended(
    quick_place: InstancePlace, change: Callable[[InstancePlace], None], kind: str, what: str
) -> None:
    with dynamic_site() as site:
        site.publish()
        key = kept_key(quick_place)
        change(quick_place)
        drift = site.host.drift(site.session)
        assert (kind, what) in {(one.kind, one.what) for one in drift}
        assert key not in f"{drift}"
        assert "by-hand" not in f"{drift}"
        site.store.sessions.distrust(site.key)
        site.publish()
        assert site.host.drift(site.session) == ()
        assert said(site) == "served by the program"


@pytest.mark.parametrize("change", [lose_header, change_header, lose_parameter])
def test_a_deploy_mends_the_key_even_where_nobody_looked(
    quick_place: InstancePlace, change: Callable[[InstancePlace], None]
) -> None:
    with dynamic_site() as site:
        site.publish()
        change(quick_place)
        site.publish()
        assert said(site) == "served by the program"
        assert origin_headers(quick_place) == {ORIGIN_HEADER: kept_key(quick_place)}


def files_with(folder: Path, text: str) -> list[Path]:
    found: list[Any] = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if text.encode() in path.read_bytes()]
