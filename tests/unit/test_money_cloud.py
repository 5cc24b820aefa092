"""What a session's cloud resources cost in a day, from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.models.release import Resource
from core.models.session import SessionKey
from tests.unit.services_place import Place, make_place

DAY_OF_AN_ADDRESS, DAY_OF_FRONT_DOOR = 0.12, 1.1667


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def site(place: Place, host: str, *resources: Resource, **block: str) -> SessionKey:
    """A session on that host with these records."""
    number = len(place.store.sessions.all())
    user = place.services.users.create(
        f"u{number}@acme.io", f"+4860010{number:04}", start=False, host_provider=host
    ).user
    key = place.services.sessions.create(user.user_id, start=False).session.key
    place.store.sessions.set_deployed(
        key, url="https://x", at=place.clock.now(), count=1, block=block, resources=resources
    )
    return key


def resource(kind: str, name: str = "r", **tags: str) -> Resource:
    return Resource(kind=kind, resource_id=f"{kind}/{name}", tags=tags)


def daily(place: Place, key: SessionKey) -> float | None:
    one = place.services.sessions.row(key).cost.cloud_usd_day
    in_list = {row.key: row.cost.cloud_usd_day for row in place.services.sessions.rows()}
    assert in_list[key] == one, "the list and the session agree"
    return one


def test_a_machine_on_aws_costs_its_hours_disk_and_address(place: Place) -> None:
    key = site(
        place, "aws", resource("s3_bucket"), resource("iam_role"), resource("elastic_ip"),
        resource("ec2_instance"), resource("cloudfront_distribution"),
    )  # fmt: skip
    expected = 0.0084 * 24 + 16 * 0.08 / 30 + DAY_OF_AN_ADDRESS
    assert daily(place, key) == pytest.approx(expected, abs=1e-3)


def test_a_machine_on_azure_costs_by_the_size_that_was_to_be_had(place: Place) -> None:
    small = site(place, "azure", resource("virtual_machine"), vm_size="Standard_B2ats_v2")
    large = site(place, "azure", resource("virtual_machine", "b"), vm_size="Standard_B2ls_v2")
    assert daily(place, small) == pytest.approx(0.2256 + 0.08)
    assert daily(place, large) == pytest.approx(0.9984 + 0.08)


@pytest.mark.parametrize(
    "unknown", [resource("virtual_machine"), resource("quantum_computer")], ids=lambda one: one.kind
)
def test_an_unknown_price_makes_the_sum_unknown(place: Place, unknown: Resource) -> None:
    key = site(place, "azure", resource("public_ip"), unknown)
    assert daily(place, key) is None
    figures: Any = place.services.costs.document("session")["rows"]
    assert [row["cloud_usd_day"] for row in figures] == [None]
    total: Any = place.services.costs.document()["total"]
    assert total["cloud_usd_day"] is None


def test_what_sessions_share_is_divided_among_them(place: Place) -> None:
    profile = resource("frontdoor_profile", "shared_%_x", Scope="shared")
    first = site(place, "azure", profile)
    assert daily(place, first) == pytest.approx(DAY_OF_FRONT_DOOR, abs=1e-3)
    second = site(place, "azure", profile, resource("public_ip"))
    assert daily(place, first) == pytest.approx(DAY_OF_FRONT_DOOR / 2, abs=1e-3)
    assert daily(place, second) == pytest.approx(
        DAY_OF_FRONT_DOOR / 2 + DAY_OF_AN_ADDRESS, abs=1e-3
    )
    total: Any = place.services.costs.document("host")["total"]
    expected = DAY_OF_FRONT_DOOR + DAY_OF_AN_ADDRESS
    assert total["cloud_usd_day"] == pytest.approx(expected, abs=1e-3)


def test_a_site_on_this_computer_costs_nothing(place: Place) -> None:
    key = place.session()
    place.deploy(key)
    assert daily(place, key) == 0.0
