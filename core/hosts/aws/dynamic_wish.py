"""What a dynamic site consists of on AWS, as data: the wish, its digest, its record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.hosts.aws.bucket import bucket_settings
from core.hosts.aws.distribution_body import (
    ALL_METHODS,
    DistributionWish,
    ServerOrigin,
    wanted_body,
)
from core.hosts.aws.domain import SiteDomain, nominal_domain
from core.hosts.aws.instance import instance_settings
from core.hosts.aws.managed_policies import (
    ALL_VIEWER_EXCEPT_HOST,
    CACHING_DISABLED,
    PolicyIds,
    PolicyNames,
)
from core.hosts.aws.security_group import CLOUDFRONT_LIST, wanted_rule
from core.hosts.instance.commands import Instance
from core.hosts.instance.variables import ORIGIN_HEADER
from core.models.execution import Json

POLICIES = PolicyNames(cache=CACHING_DISABLED, origin_request=ALL_VIEWER_EXCEPT_HOST)
ANSWERS_WITHIN_S = 60
"""CloudFront gives up on a program that is silent for longer."""
_OPTIONAL = frozenset({"guard", "boundary"})
RULES = 2
"""Raised when the product makes its resources by other rules that the digest does not see."""


def dynamic_wish(
    name: str, origin: str, domain: SiteDomain | None, key: str | None
) -> DistributionWish:
    """The instance behind CloudFront: nothing is cached, every method goes through.

    CloudFront speaks http with the instance, which only CloudFront's servers can reach. They work
    for other customers too, so ours show a key.

    Args:
        key: None for what was deployed before there were keys.
    """
    headers = {} if key is None else {ORIGIN_HEADER: key}
    return DistributionWish(
        name=name,
        origin=ServerOrigin(domain=origin, read_timeout_s=ANSWERS_WITHIN_S, headers=headers),
        policies=POLICIES,
        methods=ALL_METHODS,
        aliases=() if domain is None else (domain.name,),
        certificate_arn=None if domain is None else domain.certificate_arn,
    )


def configuration_digest(name: str, domain_name: str | None) -> str:
    """Tells whether what is recorded was made by the same rules as today's; ids play no part."""
    ids = PolicyIds(
        cache=POLICIES.cache,
        response_headers=POLICIES.response_headers,
        origin_request=POLICIES.origin_request,
    )
    desired: Mapping[str, Any] = {
        "bucket": bucket_settings(),
        "distribution": wanted_body(dynamic_wish(name, "", nominal_domain(domain_name), ""), ids),
        "firewall": wanted_rule(CLOUDFRONT_LIST),
        "instance": instance_settings(),
        "rules": RULES,
    }
    return hashlib.sha256(json.dumps(desired, sort_keys=True).encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicRecord:
    """The AWS part of `deployment/config.json`: what a redeploy needs to ask nobody.

    Attributes:
        domain: Of the distribution; the site's own name is in `url` where it has one.
        origin: The instance's public name, which only CloudFront reaches.
        image_id: What the instance was started from, kept so that a replacement is alike.
        guard: Whom the instance answers; None where that was deployed before it had a guard.
        boundary: The policy beyond which the instance's role cannot go; None without one.
    """

    bucket: str
    region: str
    distribution_id: str
    domain: str
    url: str
    instance_id: str
    image_id: str
    origin: str
    variables: str
    configuration: str
    guard: str | None = None
    boundary: str | None = None

    @property
    def edge_url(self) -> str:
        return f"https://{self.domain}"

    def block(self) -> dict[str, Json]:
        return dict(asdict(self))

    def instance(self) -> Instance:
        """How its instance reaches what the product keeps for it."""
        return Instance(
            store_url=f"s3://{self.bucket}", variables=f"ssm:{self.variables}",
            region=self.region, guard=self.guard,
        )  # fmt: skip


def read_record(block: Mapping[str, Json]) -> DynamicRecord | None:
    """The record in a stored block; None where a deploy never got so far."""
    values = {name: block.get(name) for name in DynamicRecord.__dataclass_fields__}
    texts = {name: value for name, value in values.items() if isinstance(value, str) and value}
    if values.keys() - texts.keys() - _OPTIONAL:
        return None
    return DynamicRecord(**texts)
