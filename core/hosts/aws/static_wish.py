"""What a static site consists of on AWS, as data: the wish, its digest, its record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.hosts.aws.access_control import SIGNING
from core.hosts.aws.bucket import SiteBucket, bucket_settings
from core.hosts.aws.distribution_body import (
    NOT_FOUND_PAGE,
    BucketOrigin,
    DistributionWish,
    wanted_body,
)
from core.hosts.aws.domain import SiteDomain, nominal_domain
from core.hosts.aws.edge_function import code_digest, function_code
from core.hosts.aws.managed_policies import PolicyIds
from core.models.execution import Json
from core.publish.source_state import HOME_PAGE


def static_wish(
    name: str, bucket: SiteBucket, access_control_id: str, function_arn: str,
    domain: SiteDomain | None = None,
) -> DistributionWish:  # fmt: skip
    """A private bucket's pages with folders, error pages and a cache."""
    return DistributionWish(
        name=name,
        origin=BucketOrigin(bucket=bucket, access_control_id=access_control_id),
        function_arn=function_arn,
        default_root=HOME_PAGE,
        not_found_page=NOT_FOUND_PAGE,
        aliases=() if domain is None else (domain.name,),
        certificate_arn=None if domain is None else domain.certificate_arn,
    )


def configuration_digest(name: str, bucket_name: str, domain_name: str | None = None) -> str:
    """Tells whether what is recorded was made by the same rules as today's; ids play no part."""
    bucket = SiteBucket(name=bucket_name, region="", partition="")
    wish = static_wish(name, bucket, "", "", nominal_domain(domain_name))
    names = wish.policies
    ids = PolicyIds(
        cache=names.cache,
        response_headers=names.response_headers,
        origin_request=names.origin_request,
    )
    desired: Mapping[str, Any] = {
        "bucket": bucket_settings(),
        "distribution": wanted_body(wish, ids),
        "function": code_digest(function_code()),
        "signing": SIGNING,
    }
    text = json.dumps(desired, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRecord:
    """The AWS part of `deployment/config.json`: what a redeploy needs to ask nobody.

    Attributes:
        domain: Of the distribution; the site's own name is in `url` where it has one.
    """

    bucket: str
    region: str
    distribution_id: str
    domain: str
    url: str
    configuration: str

    @property
    def edge_url(self) -> str:
        """By the distribution's own name, which needs no other DNS than CloudFront's."""
        return f"https://{self.domain}"

    def block(self) -> dict[str, Json]:
        return {
            "bucket": self.bucket,
            "distribution_id": self.distribution_id,
            "region": self.region,
            "domain": self.domain,
            "url": self.url,
            "configuration": self.configuration,
        }


def read_record(block: Mapping[str, Json]) -> StaticRecord | None:
    """The record in a stored block; None where a deploy never got so far."""
    names = ("bucket", "region", "distribution_id", "domain", "url", "configuration")
    values = {name: block.get(name) for name in names}
    if not all(isinstance(value, str) and value for value in values.values()):
        return None
    return StaticRecord(**{name: str(value) for name, value in values.items()})
