"""Where a site's own name leads, against where it was led."""

from __future__ import annotations

from collections.abc import Iterator

from core.hosts.aws.domain import ADDRESSES, CLOUDFRONT_ZONE, RECORD, SiteDomain, record_in_zone
from core.hosts.aws.drift import NOTHING, missing
from core.hosts.aws.site import AwsSite
from core.models.release import Drift


def domain_drift(site: AwsSite, domain: SiteDomain, distribution_domain: str) -> Iterator[Drift]:
    """Both records lead to the site's distribution."""
    zone = CLOUDFRONT_ZONE[site.account.partition()]
    for kind in ADDRESSES:
        resource_id = f"{domain.zone_id}/{domain.name}/{kind}"
        found = record_in_zone(site, resource_id)
        if found is None:
            yield missing(RECORD, resource_id)
            continue
        target = found.get("AliasTarget", {})
        leads_to = str(target.get("DNSName") or NOTHING).rstrip(".").lower()
        if (target.get("HostedZoneId"), leads_to) != (zone, distribution_domain.lower()):
            yield Drift(
                kind=RECORD, resource_id=resource_id, what="leads to",
                expected=distribution_domain, found=leads_to,
            )  # fmt: skip
