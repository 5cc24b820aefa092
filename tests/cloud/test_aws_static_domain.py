"""A static site on AWS with a name of its own in the operator's zone."""

from __future__ import annotations

import pytest

from core.errors import CloudRefusedError
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_site import CLOCK
from tests.cloud.aws.site_kit import cloud_site

ZONE = {"domain.zone": "sites.example"}


def test_a_static_site_answers_to_a_name_of_its_own_until_it_is_destroyed(
    instance_place: InstancePlace,
) -> None:
    zone = instance_place.route53.add_zone(ZONE["domain.zone"])
    with cloud_site(ZONE, clock=CLOCK) as site:
        site.write("index.html", "<h1>one</h1>")
        name = site.publish().url.removeprefix("https://")
        (distribution,) = instance_place.aws.cloudfront.distributions.values()
        assert distribution.config["Aliases"]["Items"] == [name]
        assert zone.records[f"{name}.", "AAAA"]["AliasTarget"]["DNSName"] == distribution.address
        assert site.host.serving(site.session) == site.releases[0].release_id
        assert site.host.drift(site.session) == ()
        assert site.destroy().left == ()
        assert (zone.records, instance_place.acm.certificates) == ({}, {})


def test_an_unchanged_redeploy_asks_nothing_about_the_name(instance_place: InstancePlace) -> None:
    instance_place.route53.add_zone(ZONE["domain.zone"])
    with cloud_site(ZONE, clock=CLOCK) as site:
        site.write("index.html", "<h1>one</h1>")
        site.publish()
        instance_place.aws.standin.forget_calls()
        site.publish()
        services = {service for service, _name in instance_place.aws.standin.calls}
        assert services == {"s3"}


def test_a_record_that_somebody_led_elsewhere_is_a_drift(instance_place: InstancePlace) -> None:
    zone = instance_place.route53.add_zone(ZONE["domain.zone"])
    with cloud_site(ZONE, clock=CLOCK) as site:
        site.write("index.html", "<h1>one</h1>")
        name = site.publish().url.removeprefix("https://")
        zone.records[f"{name}.", "A"]["AliasTarget"]["DNSName"] = "d1.cloudfront.net"
        (found,) = site.host.drift(site.session)
        assert (found.kind, found.found) == ("route53_record", "d1.cloudfront.net")


def test_a_name_is_refused_where_the_account_has_no_such_zone(
    instance_place: InstancePlace,
) -> None:
    with cloud_site(ZONE, clock=CLOCK) as site:
        site.write("index.html", "<h1>one</h1>")
        with pytest.raises(CloudRefusedError) as caught:
            site.publish()
        assert caught.value.code == "no_zone"
        assert site.destroy().left == ()
