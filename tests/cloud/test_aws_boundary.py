"""Roles of instances are bounded by the product's own policy, where the account has it."""

from __future__ import annotations

import pytest

from core.errors import CloudRefusedError
from tests.cloud.aws.identity import ACCOUNT
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_rights import allows
from tests.cloud.aws.instance_site import app_host, dynamic_site, said

ANYTHING = '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
PARAMETERS = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter"


@pytest.fixture
def place(instance_place: InstancePlace) -> InstancePlace:
    """An account whose login may do what the doctor prints and no more."""
    instance_place.is_quick = True
    instance_place.keep_policy()
    return instance_place


def test_a_bounded_instance_serves_its_site_and_is_drift_free(place: InstancePlace) -> None:
    with dynamic_site() as site:
        site.publish()
        (role,) = place.iam.state()["roles"].values()
        assert role["boundary"] == f"arn:aws:iam::{ACCOUNT}:policy/tmux-builder"
        app_host(site).set_variable(site.session, "API_KEY", "reaches it")
        assert said(site) == "served by the program"
        assert site.host.drift(site.session) == ()
        assert site.destroy().left == ()


def test_whatever_is_written_into_a_role_it_may_no_more_than_the_login(
    place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        (role,) = place.iam.backend.roles.values()
        role.policies.clear()
        role.policies["more"] = ANYTHING
        (one,) = place.live()
        rights = place.rights_of(one.instance_id)
        for action, resource in (
            ("iam:CreateUser", "*"), ("s3:GetObject", "arn:aws:s3:::payroll/2026.csv"),
            ("ssm:GetParameter", f"{PARAMETERS}/payroll/PASSWORD"), ("kms:Decrypt", "*"),
            ("iam:PutRolePolicy", role.arn), ("secretsmanager:GetSecretValue", "*"),
        ):  # fmt: skip
            assert not allows(rights, action, resource), action
        for action, resource in (
            ("ssmmessages:OpenDataChannel", "*"), ("ec2messages:GetMessages", "*"),
            ("ssm:UpdateInstanceInformation", "*"),
            ("s3:GetObject", "arn:aws:s3:::tmux-x/releases/y.tar.gz"),
            ("ssm:GetParametersByPath", f"{PARAMETERS}/tmux-builder/x"),
        ):  # fmt: skip
            assert allows(rights, action, resource), action


def test_a_login_without_the_policy_of_that_name_is_told_what_to_do(place: InstancePlace) -> None:
    place.iam.policies.clear()
    with dynamic_site() as site:
        with pytest.raises(CloudRefusedError) as caught:
            site.publish()
        assert caught.value.code == "no_boundary"
        assert "--policy-name tmux-builder" in caught.value.remedy
        assert site.destroy().left == ()


def test_a_role_from_before_the_policy_is_bounded_by_the_next_full_look(
    place: InstancePlace,
) -> None:
    arn, place.iam.needs_boundary = str(place.iam.needs_boundary), None
    kept = dict(place.iam.policies)
    place.iam.policies.clear()
    with dynamic_site() as site:
        site.publish()
        (role,) = place.iam.backend.roles.values()
        assert bounds(place) == [None]
        assert site.host.drift(site.session) == ()
        place.iam.policies.update(kept)
        place.iam.needs_boundary = arn
        site.store.sessions.distrust(site.key)
        site.publish()
        assert bounds(place) == [arn]
        role.permissions_boundary_arn = None
        (found,) = site.host.drift(site.session)
        assert (found.what, found.expected, found.found) == ("boundary", arn, "none")


def bounds(place: InstancePlace) -> list[str | None]:
    return [one["boundary"] for one in place.iam.state()["roles"].values()]
