"""Making what a dynamic site consists of on AWS: each part adopted, mended or made, in order."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import CloudRefusedError
from core.hosts.aws.bucket import SiteBucket, ensure_bucket
from core.hosts.aws.distribution import (
    SiteDistribution,
    distribution_name,
    ensure_distribution,
)
from core.hosts.aws.domain import SiteDomain, ensure_domain
from core.hosts.aws.dynamic_wish import DynamicRecord, configuration_digest, dynamic_wish
from core.hosts.aws.elastic_ip import attach_address, ensure_address, find_address
from core.hosts.aws.instance import InstanceWish, ensure_instance, public_name
from core.hosts.aws.machine_image import chosen_image
from core.hosts.aws.parameters import ensure_origin_key, parameter_path
from core.hosts.aws.roles import ensure_profile
from core.hosts.aws.security_group import ensure_security_group
from core.hosts.aws.site import AwsSite
from core.hosts.instance.commands import BY_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicSite:
    """What was ensured; instance and distribution may still be on their way."""

    record: DynamicRecord
    distribution: SiteDistribution
    domain: SiteDomain | None


def ensure_dynamic(site: AwsSite, zone: str | None, recorded_image: str | None) -> DynamicSite:
    """Everything but the release. What takes longest goes on while the rest is made.

    Args:
        zone: Where the site gets a name of its own; None for the distribution's name alone.
        recorded_image: What a former instance was started from.
    """
    bucket = ensure_bucket(site)
    _require_region(site, bucket)
    profile = ensure_profile(site, bucket)
    group_id = ensure_security_group(site)
    allocation_id = ensure_address(site)
    instance = ensure_instance(
        site,
        lambda: InstanceWish(
            image=chosen_image(site, recorded_image), profile=profile.name, group_id=group_id
        ),
    )
    instance_id = str(instance["InstanceId"])
    origin = _lead_address(site, allocation_id, instance_id)
    domain = None if zone is None else ensure_domain(site, zone)
    name = distribution_name(site)
    wish = dynamic_wish(name, origin, domain, ensure_origin_key(site))
    distribution = ensure_distribution(site, wish)
    record = DynamicRecord(
        bucket=bucket.name,
        region=site.region,
        distribution_id=distribution.distribution_id,
        domain=distribution.domain,
        url=distribution.url if domain is None else domain.url,
        instance_id=instance_id,
        image_id=str(instance["ImageId"]),
        origin=origin,
        variables=parameter_path(site),
        configuration=configuration_digest(name, None if domain is None else domain.name),
        guard=BY_KEY,
        boundary=profile.boundary,
    )
    return DynamicSite(record=record, distribution=distribution, domain=domain)


def _lead_address(site: AwsSite, allocation_id: str, instance_id: str) -> str:
    """The public name of the instance behind the site's own address."""
    attach_address(site, allocation_id, instance_id)
    address = site.seen("The public address", lambda: find_address(site, allocation_id))
    return public_name(site, instance_id, str(address["PublicIp"]))


def _require_region(site: AwsSite, bucket: SiteBucket) -> None:
    """All parts of a site lie in one region, so that destroy finds them."""
    if bucket.region == site.region:
        return
    raise CloudRefusedError(
        f"The site was begun in {bucket.region}, but the setting aws.region is {site.region}.",
        remedy=f"tmux-builder config set aws.region {bucket.region}, then deploy or destroy again.",
        code="other_region",
    )
