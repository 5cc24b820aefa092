"""Dynamic sites on AWS: plan, life of the resources, names, drift and destroy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.cloud.aws import IDENTITY_LASTS_S
from core.errors import (
    BuilderError,
    CancelledError,
    CloudRefusedError,
    CloudUnreachableError,
    NothingToDeployError,
)
from core.hosts.aws.dynamic_plan import KINDS
from core.hosts.instance import commands
from core.models.release import Plan
from tests.cloud.aws.ec2_instances import PROFILE_REFUSALS
from tests.cloud.aws.ec2_region import Group
from tests.cloud.aws.faults import FaultPlan
from tests.cloud.aws.instance_histories import LostAnswer
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_rights import allows
from tests.cloud.aws.instance_site import app_host, dynamic_site, said, write_app

ZONE = "sites.example"


@pytest.fixture
def quick_place(instance_place: InstancePlace) -> InstancePlace:
    """Machines act the agent."""
    instance_place.is_quick = True
    return instance_place


def test_a_plan_needs_no_login_and_names_everything_with_tags_and_prices(
    quick_place: InstancePlace,
) -> None:
    quick_place.aws.sts.expired = True
    with dynamic_site() as site:
        plan = site.host.plan(site.request(site.take()))
        assert tuple(one.kind for one in plan.actions) == KINDS
        assert {one.action for one in plan.actions} == {"create"}
        assert all(one.tags["SessionID"] == site.key.session_id for one in plan.actions)
        prices = {one.kind: one.est_usd_day for one in plan.actions}
        assert prices["ec2_instance"] == pytest.approx(0.0084 * 24 + 16 * 0.08 / 30, abs=1e-3)
        assert not quick_place.aws.standin.log


def test_a_plan_after_a_deploy_keeps_what_is_there(quick_place: InstancePlace) -> None:
    with dynamic_site() as site:
        site.publish()
        write_app(site, "two")
        plan = site.host.plan(site.request(site.take()))
        assert {one.action for one in plan.actions} == {"keep"}
        assert (plan.files_total, plan.files_changed, plan.files_deleted) == (2, 1, 0)


def test_a_release_without_a_web_line_is_refused_before_anything_is_made(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.write("Procfile", "worker: python app.py\n")
        with pytest.raises(NothingToDeployError):
            site.publish()
        assert not quick_place.aws.standin.log


def test_a_stopped_instance_is_started_by_the_next_deploy(quick_place: InstancePlace) -> None:
    with dynamic_site() as site:
        site.publish()
        (one,) = quick_place.live()
        quick_place.ec2.stop(one.instance_id)
        site.publish()
        assert one.state == "running"


def test_a_stopped_instance_is_started_when_the_site_is_to_be_served(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        assert site.host.ensure_served(site.session) is None
        url = site.publish().url
        (one,) = quick_place.live()
        quick_place.ec2.stop(one.instance_id)
        assert site.host.ensure_served(site.session) == url
        assert one.state == "running"


def test_an_ended_instance_is_replaced_behind_the_same_address_and_from_the_same_image(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        first = site.publish()
        (old,) = quick_place.live()
        quick_place.ec2.end(old.instance_id)
        quick_place.ssm.image = "ami-0c0ffee0000000009"
        second = site.publish()
        (new,) = quick_place.live()
        assert new.tags["instance"]["Generation"] == "2"
        assert new.asked["ImageId"] == old.asked["ImageId"]
        assert (first.url, first.config_block["origin"]) == (
            second.url, second.config_block["origin"],
        )  # fmt: skip
        assert len(quick_place.ec2.region.addresses) == 1


def test_an_instance_whose_answer_was_lost_is_found_by_a_later_run(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        third = PROFILE_REFUSALS + 1
        quick_place.aws.standin.faults = LostAnswer(("ec2", "RunInstances"), third)
        with pytest.raises(CloudUnreachableError):
            site.publish()
        quick_place.aws.standin.faults = FaultPlan()
        site.clock.sleep(60)
        site.publish()
        assert len(quick_place.ec2.region.instances) == 1


def test_what_somebody_let_in_is_shut_when_the_parts_are_looked_at(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        (one,), (group,) = quick_place.live(), quick_place.ec2.region.groups.values()
        before = set(group.rules)
        open_ssh(quick_place)
        quick_place.ec2.stop(one.instance_id)
        site.publish()
        assert group.rules == before


def test_an_address_that_was_allocated_twice_is_given_back(quick_place: InstancePlace) -> None:
    with dynamic_site() as site:
        site.publish()
        (one,), addresses = quick_place.live(), quick_place.ec2.region.addresses
        (kept,) = addresses.values()
        extra = replace(kept, allocation_id="eipalloc-0", association_id=None, instance_id=None)
        addresses["eipalloc-0"] = extra
        quick_place.ec2.stop(one.instance_id)
        site.publish()
        assert list(addresses.values()) == [kept]


def test_a_site_that_was_destroyed_is_made_anew(quick_place: InstancePlace) -> None:
    with dynamic_site() as site:
        site.publish()
        assert site.destroy().left == ()
        site.publish()
        assert len(quick_place.live()) == 1
        assert said(site) == "served by the program"


def test_destroy_says_what_is_left_and_goes_on_when_it_is_run_again(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        (one,) = quick_place.live()
        other = Group(group_id="sg-1", name="other", description="", tags={})
        quick_place.ec2.region.groups["sg-1"] = other
        quick_place.ec2.hold(one.groups[0])
        left = {resource.kind for resource, _reason in site.destroy().left}
        assert left == {"security_group"}
        quick_place.ec2.hold(None)
        assert site.destroy().left == ()
        assert set(quick_place.ec2.region.groups) == {"sg-1"}


def test_a_security_group_of_somebody_else_is_neither_adopted_nor_deleted(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        name = _name(site.host.plan(site.request(site.take())), "security_group")
        foreign = Group(group_id="sg-1", name=name, description="", tags={"Project": "other"})
        quick_place.ec2.region.groups["sg-1"] = foreign
        with pytest.raises(CloudRefusedError) as caught:
            site.publish()
        assert caught.value.code == "name_taken"
        assert "--suffix" in caught.value.remedy
        site.destroy()
        assert quick_place.ec2.region.groups == {"sg-1": foreign}
        assert not quick_place.iam.state()["roles"]


def test_another_account_is_refused_before_anything_is_touched(quick_place: InstancePlace) -> None:
    with dynamic_site() as site:
        site.publish()
        quick_place.aws.sts.account_id = "999999999999"
        site.clock.sleep(IDENTITY_LASTS_S + 1)
        quick_place.aws.standin.forget_calls()
        with pytest.raises(CloudRefusedError) as caught:
            site.publish()
        assert caught.value.code == "other_account"
        assert set(quick_place.aws.standin.calls) == {("sts", "GetCallerIdentity")}
        quick_place.aws.sts.account_id = "123456789012"
        site.clock.sleep(IDENTITY_LASTS_S + 1)


def test_a_deploy_that_is_cancelled_while_it_waits_keeps_what_it_made(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.runs += 1
        request = site.request(site.take(), cancelled=lambda: bool(quick_place.live()))
        with pytest.raises(CancelledError):
            site.host.publish(request)
        assert site.store.sessions.resources(site.key)
        site.publish(again=True)
        assert len(quick_place.live()) == 1


def test_a_rule_that_somebody_removed_is_mended_by_the_next_deploy(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        (group,) = quick_place.ec2.region.groups.values()
        group.rules.clear()
        quick_place.ec2.reroute()
        site.publish()
        assert group.lets_cloudfront_in()


def test_only_the_newest_archives_stay_in_the_bucket(quick_place: InstancePlace) -> None:
    with dynamic_site() as site:
        for number in range(12):
            write_app(site, f"word {number}")
            published = site.publish()
        bucket = quick_place.aws.s3.bucket(str(published.config_block["bucket"]))
        kept = [
            key for key in bucket.keys if key.startswith("releases/") and _is_there(bucket, key)
        ]
        assert len(kept) == 10


def test_an_archive_that_somebody_deleted_is_written_again(quick_place: InstancePlace) -> None:
    with dynamic_site() as site:
        name = str(site.publish().config_block["bucket"])
        key = f"releases/{site.releases[0].release_id}.tar.gz"
        quick_place.aws.s3.backend.delete_object(name, key)
        site.publish()
        assert _is_there(quick_place.aws.s3.bucket(name), key)


def test_an_instance_may_read_its_own_archives_and_variables_and_nobody_elses(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        block = site.publish().config_block
        (one,) = quick_place.live()
        rights = quick_place.rights_of(one.instance_id)
        root = "arn:aws:ssm:us-east-1:123456789012:parameter"
        assert allows(rights, "ssm:GetParametersByPath", f"{root}{block['variables']}")
        assert allows(rights, "s3:GetObject", f"arn:aws:s3:::{block['bucket']}/releases/x.tar.gz")
        assert not allows(rights, "ssm:GetParameter", f"{root}/tmux-builder/another/API_KEY")
        assert not allows(rights, "ssm:GetParametersByPath", f"{root}/tmux-builder/another")
        assert not allows(rights, "s3:PutObject", f"arn:aws:s3:::{block['bucket']}/releases/x")
        assert not allows(rights, "s3:GetObject", "arn:aws:s3:::another/releases/x.tar.gz")


def open_ssh(place: InstancePlace) -> None:
    (group,) = place.ec2.region.groups.values()
    group.rules.add(("tcp", 22, 22, "IpRanges", "0.0.0.0/0"))


def take_address(place: InstancePlace) -> None:
    (address,) = place.ec2.region.addresses.values()
    address.association_id = address.instance_id = None


def allow_old_metadata(place: InstancePlace) -> None:
    (one,) = place.live()
    one.asked["MetadataOptions"] = {**one.asked["MetadataOptions"], "HttpTokens": "optional"}


def grow(place: InstancePlace) -> None:
    (one,) = place.live()
    one.asked["InstanceType"] = "t4g.medium"


def untag(place: InstancePlace) -> None:
    (one,) = place.live()
    del one.tags["instance"]["CostCenter"]


def widen_role(place: InstancePlace) -> None:
    (role,) = place.iam.backend.roles.values()
    role.policies["more"] = '{"Statement": []}'


def stop(place: InstancePlace) -> None:
    (one,) = place.live()
    place.ec2.stop(one.instance_id)


@pytest.mark.parametrize(
    ("change", "kind", "what"),
    [
        (open_ssh, "security_group", "rules"),
        (take_address, "elastic_ip", "leads to"),
        (allow_old_metadata, "ec2_instance", "HttpTokens"),
        (grow, "ec2_instance", "type"),
        (untag, "ec2_instance", "tag CostCenter"),
        (widen_role, "iam_role", "other policies"),
        (stop, "ec2_instance", "state"),
    ],
)
def test_what_somebody_changed_by_hand_is_told(
    quick_place: InstancePlace, change: Callable[[InstancePlace], None], kind: str, what: str
) -> None:
    with dynamic_site() as site:
        site.publish()
        assert site.host.drift(site.session) == ()
        change(quick_place)
        assert (kind, what) in {(one.kind, one.what) for one in site.host.drift(site.session)}


def test_an_instance_of_a_former_version_is_kept_and_told(
    quick_place: InstancePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dynamic_site() as site:
        site.publish()
        (before,) = quick_place.live()
        monkeypatch.setattr(commands, "user_data", lambda: "#!/bin/sh\nexit 0\n")
        (drift,) = site.host.drift(site.session)
        assert (drift.kind, drift.what) == ("ec2_instance", "first start")
        assert "destroy and deploy make a new one" in drift.found
        site.publish()
        assert quick_place.live() == [before]


def test_a_site_with_a_zone_answers_to_a_name_of_its_own(quick_place: InstancePlace) -> None:
    zone = quick_place.route53.add_zone(ZONE)
    with dynamic_site({"domain.zone": ZONE}) as site:
        published = site.publish()
        name = published.url.removeprefix("https://")
        assert name.endswith(f".{ZONE}")
        assert {(f"{name}.", "A"), (f"{name}.", "AAAA")} < set(zone.records)
        (distribution,) = quick_place.aws.cloudfront.distributions.values()
        assert distribution.config["Aliases"]["Items"] == [name]
        assert zone.records[f"{name}.", "A"]["AliasTarget"]["DNSName"] == distribution.address
        assert site.host.drift(site.session) == ()
        assert site.destroy().left == ()
        assert (zone.records, quick_place.acm.certificates) == ({}, {})


def test_a_zone_that_is_not_in_the_account_is_refused_with_what_to_do(
    quick_place: InstancePlace,
) -> None:
    quick_place.route53.add_zone(ZONE, is_private=True)
    quick_place.route53.add_zone("zzz.example")
    with dynamic_site({"domain.zone": ZONE}) as site:
        with pytest.raises(CloudRefusedError, match="no public zone"):
            site.publish()
        assert site.destroy().left == ()


def test_a_record_that_the_product_has_not_made_is_not_overwritten(
    quick_place: InstancePlace,
) -> None:
    zone = quick_place.route53.add_zone(ZONE)
    with dynamic_site({"domain.zone": ZONE}) as site:
        name = _name(site.host.plan(site.request(site.take())), "route53_record")
        theirs = {
            "Name": f"{name}.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}],
        }  # fmt: skip
        zone.records[f"{name}.", "A"] = theirs
        with pytest.raises(CloudRefusedError) as caught:
            site.publish()
        assert caught.value.code == "name_taken"
        site.destroy()
        assert zone.records == {(f"{name}.", "A"): theirs}


def test_a_reserved_or_oversized_variable_is_refused_before_any_call(
    quick_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        quick_place.aws.standin.forget_calls()
        for name, value in (("PATH", "x"), ("lower", "x"), ("KEY", "x" * 9000)):
            with pytest.raises(BuilderError):
                app_host(site).set_variable(site.session, name, value)
        assert not quick_place.aws.standin.log


def _name(plan: Plan, kind: str) -> str:
    found = [one.resource_id for one in plan.actions if one.kind == kind]
    return str(found[0])


def _is_there(bucket: Any, key: str) -> bool:
    return hasattr(bucket.keys[key], "etag")
