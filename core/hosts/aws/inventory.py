"""What AWS says that a session has: found by tags, whatever the records know."""

from __future__ import annotations

from typing import Any

from core.cloud.aws import GLOBAL_REGION
from core.hosts.aws.distribution import find_distributions
from core.hosts.aws.site import BUCKET, DISTRIBUTION, AwsSite

OWN_TAGS = ("Project", "InstallationID", "UserGUID", "SessionID")


def tagged_arns(site: AwsSite, region: str, *types: str) -> list[str]:
    """ARNs of what carries the session's tags in a region.

    Args:
        types: As the tagging service names them: `cloudfront:distribution`, `s3`.
    """
    filters = [{"Key": name, "Values": [site.tags[name]]} for name in OWN_TAGS]
    with site.doing("find the site's resources by their tags"):
        pages = site.client("resourcegroupstaggingapi", region).get_paginator("get_resources")
        found = pages.paginate(TagFilters=filters, ResourceTypeFilters=list(types))
        return [str(one["ResourceARN"]) for page in found for one in page["ResourceTagMappingList"]]


def own_filters(site: AwsSite) -> list[dict[str, Any]]:
    """The session's tags as EC2's own lists take them; they lag behind less than the others."""
    return [{"Name": f"tag:{name}", "Values": [site.tags[name]]} for name in OWN_TAGS]


def own_distributions(site: AwsSite) -> list[str]:
    """Ids by records, by tags and by name: each of them alone may lag behind or be lost."""
    arns = tagged_arns(site, GLOBAL_REGION, "cloudfront:distribution")
    by_tags = [arn.rpartition("/")[2] for arn in arns]
    by_name = [one.distribution_id for one in find_distributions(site)]
    return sorted({*site.recorded(DISTRIBUTION), *by_tags, *by_name})


def own_buckets(site: AwsSite, expected: str) -> list[str]:
    """Names by records, by tags, and the one that the session's bucket would have."""
    by_tags = [arn.rpartition(":")[2] for arn in tagged_arns(site, site.region, "s3")]
    return sorted({expected, *site.recorded(BUCKET), *by_tags})
