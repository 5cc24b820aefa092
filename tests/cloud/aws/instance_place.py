"""An AWS account with instances on loopback, beside what static sites need of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from core.cloud.aws_policy import POLICY_NAME, aws_policy
from tests.cloud.aws.acm import Acm
from tests.cloud.aws.ec2 import Ec2
from tests.cloud.aws.ec2_region import Instance, Machine
from tests.cloud.aws.fixtures import AwsPlace
from tests.cloud.aws.iam import Iam
from tests.cloud.aws.identity import ACCOUNT
from tests.cloud.aws.instance_rights import Guarded, Rights, allows
from tests.cloud.aws.machines import QuickMachine, RealMachine
from tests.cloud.aws.required_tags import lacking
from tests.cloud.aws.route53 import Route53
from tests.cloud.aws.snapshot import untagged
from tests.cloud.aws.ssm import Ssm


@dataclass(kw_only=True)
class InstancePlace:
    """The account; `is_quick` machines act the agent instead of running it."""

    aws: AwsPlace
    iam: Iam
    ec2: Ec2
    ssm: Ssm
    route53: Route53
    acm: Acm
    is_quick: bool = False

    def empty(self) -> None:
        """A new account at the same address."""
        self.ec2.empty()
        self.ssm.empty()
        self.route53.empty()
        self.acm.empty()
        self.aws.empty()
        self.iam.empty()

    def live(self) -> list[Instance]:
        return [one for one in self.ec2.region.instances.values() if not one.is_ended]

    def machine(self) -> RealMachine:
        """The computer of the one instance that lives."""
        (one,) = self.live()
        assert isinstance(one.machine, RealMachine)
        return one.machine

    def untagged(self) -> list[str]:
        """What carries not all of its tags."""
        parameters = {one.name: one.tags for one in self.ssm.parameters.values()}
        found = {**self.ec2.tagged(), **self.iam.tagged(), **self.acm.tagged(), **parameters}
        return [*untagged(self.aws), *(name for name, tags in found.items() if lacking(tags))]

    def rights_of(self, instance_id: str) -> Rights:
        return self.iam.rights_of(self.ec2.region.instances[instance_id].profile)

    def boot(self, instance_id: str, user_data: str) -> Machine:
        if not self.is_quick:
            return RealMachine(instance_id, user_data, self.aws.url)
        return QuickMachine(
            lambda url: self._fetched(instance_id, url),
            lambda path: self._variables(instance_id, path),
        )

    def _fetched(self, instance_id: str, url: str) -> bytes | None:
        where = urlsplit(url)
        resource = f"arn:aws:s3:::{where.netloc}{where.path}"
        if not allows(self.rights_of(instance_id), "s3:GetObject", resource):
            return None
        if self.aws.s3.bucket(where.netloc) is None:
            return None
        found = self.aws.s3.backend.get_object(where.netloc, where.path.lstrip("/"))
        return None if found is None else bytes(found.value)

    def keep_policy(self) -> str:
        """The account has what the doctor prints, and the login has no more; the policy's ARN."""
        arn = f"arn:aws:iam::{ACCOUNT}:policy/{POLICY_NAME}"
        self.iam.policies[arn] = dict(aws_policy())
        self.iam.needs_boundary = arn
        return arn

    def _variables(self, instance_id: str, path: str) -> dict[str, str]:
        resource = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{path}"
        if not allows(self.rights_of(instance_id), "ssm:GetParametersByPath", resource):
            raise LookupError(f"no right to read {path}", "fetch_refused")
        return {
            one.name.rpartition("/")[2]: one.value
            for one in self.ssm.parameters.values()
            if one.name.startswith(f"{path}/")
        }


def with_instances(aws: AwsPlace) -> InstancePlace:
    """Put the services of instances beside those that are there."""
    iam, route53 = Iam(ACCOUNT), Route53()

    def boot(instance_id: str, user_data: str) -> Machine:
        return place.boot(instance_id, user_data)

    ec2 = Ec2(iam.role_of, boot, aws.world.origins, lambda name: _leads_to(aws, name))
    ssm = Ssm(lambda: ec2.region)
    acm = Acm(lambda name: _proof(route53, name), lambda arn: _shows(aws, arn))
    place = InstancePlace(aws=aws, iam=iam, ec2=ec2, ssm=ssm, route53=route53, acm=acm)
    services = aws.standin.services
    guarded = {
        name: Guarded(service, place.rights_of, ACCOUNT)
        for name, service in (("s3", aws.s3), ("ssm", ssm))
    }
    services.update(guarded)
    services.update({"ec2": ec2, "iam": iam, "route53": route53, "acm": acm})
    return place


@pytest.fixture(scope="module")
def instance_server(aws_server: AwsPlace) -> Iterator[InstancePlace]:
    """One server for all tests of a module."""
    place = with_instances(aws_server)
    yield place
    place.empty()


@pytest.fixture
def instance_place(instance_server: InstancePlace, aws_place: AwsPlace) -> InstancePlace:
    """An empty account with real machines, and this process's environment pointing at it."""
    instance_server.empty()
    instance_server.is_quick = False
    return instance_server


def _proof(route53: Route53, name: str) -> str | None:
    for zone in route53.zones.values():
        found = zone.records.get((name, "CNAME"))
        if found is not None:
            return str(found["ResourceRecords"][0]["Value"])
    return None


def _shows(aws: AwsPlace, arn: str) -> bool:
    return any(
        one.config["ViewerCertificate"].get("ACMCertificateArn") == arn
        for one in aws.cloudfront.distributions.values()
    )


def _leads_to(aws: AwsPlace, name: str) -> bool:
    return any(
        origin["DomainName"] == name
        for one in aws.cloudfront.distributions.values()
        for origin in one.config["Origins"]["Items"]
    )
