"""A session stays in the region where it was begun, whatever `aws.region` says afterwards."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from core.errors import BuilderError, CloudUnreachableError
from core.hosts.registry import find_host
from tests.cloud.aws.ec2_instances import PROFILE_REFUSALS
from tests.cloud.aws.faults import FaultKind, FaultPlan
from tests.cloud.aws.instance_histories import LostAnswer
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_site import app_host, dynamic_site, said
from tests.cloud.aws.site_kit import CloudSite
from tests.cloud.aws.wire import Call

BEGUN, OTHER = "us-east-1", "eu-central-1"
GLOBAL = frozenset({"cloudfront", "iam", "route53", "sts", "acm"})


class Regions(FaultPlan):
    """Fails nothing, and notes where services of a region are asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[tuple[str, str]] = set()

    def meets(self, call: Call) -> FaultKind | None:
        if call.service not in GLOBAL:
            self.asked.add((call.service, call.region))
        return None


@pytest.fixture
def place(instance_place: InstancePlace) -> InstancePlace:
    instance_place.is_quick = True
    return instance_place


def elsewhere(site: CloudSite) -> CloudSite:
    """The same site after the operator has set another region."""
    settings = site.environment.settings
    changed = replace(settings, values={**settings.values, "aws.region": OTHER})
    environment = replace(site.environment, settings=changed)
    session = site.session
    host = find_host(session.host_provider, session.site_type, environment)
    return replace(site, environment=environment, host=host)


def half_made(place: InstancePlace, site: CloudSite) -> None:
    """A first deploy that ends when its instance was asked for."""
    lost = LostAnswer(("ec2", "RunInstances"), PROFILE_REFUSALS + 1)
    place.aws.standin.faults = lost
    with pytest.raises(CloudUnreachableError):
        site.publish()
    place.aws.standin.faults = FaultPlan()


def test_an_unfinished_first_deploy_is_gone_on_with_where_it_was_begun(
    place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        half_made(place, site)
        regions = place.aws.standin.faults = Regions()
        moved = elsewhere(site)
        published = moved.publish(again=True)
        assert published.config_block["region"] == BEGUN
        assert len(place.ec2.region.instances) == 1
        assert {region for service, region in regions.asked if service in ("ec2", "ssm")} == {BEGUN}
        assert said(moved) == "served by the program"


def test_an_unfinished_first_deploy_is_removed_where_it_was_begun(place: InstancePlace) -> None:
    with dynamic_site() as site:
        half_made(place, site)
        regions = place.aws.standin.faults = Regions()
        moved = elsewhere(site)
        # An instance that EC2 does not list yet holds its group for a while.
        assert any(moved.destroy().left == () for _try in range(2))
        assert place.live() == []
        assert {region for service, region in regions.asked if service == "ec2"} == {BEGUN}
        assert not place.aws.s3.backend.buckets


def test_a_variable_that_was_set_before_the_first_deploy_is_found_by_it(
    place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        app_host(site).set_variable(site.session, "API_KEY", "value")
        regions = place.aws.standin.faults = Regions()
        moved = elsewhere(site)
        moved.publish()
        assert app_host(moved).variables(moved.session) == ("API_KEY",)
        assert ("ssm", OTHER) not in regions.asked


def test_a_new_session_goes_where_the_setting_says(place: InstancePlace) -> None:
    with dynamic_site() as site:
        regions = place.aws.standin.faults = Regions()
        with suppress(BuilderError):  # the stand-in's machines are in one region
            elsewhere(site).publish()
        assert {region for service, region in regions.asked if service == "s3"} == {OTHER}
