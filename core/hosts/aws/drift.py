"""What somebody changed by hand on AWS: each part compared with what the last publish left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.cloud.aws_errors import error_code
from core.hosts.aws.bucket import (
    BLOCKED,
    SiteBucket,
    bucket_policy,
    bucket_tags,
    is_policy,
)
from core.hosts.aws.distribution import (
    distribution_arn,
    distribution_config,
    distribution_tags,
)
from core.hosts.aws.distribution_body import (
    DistributionWish,
    ServerOrigin,
    differences,
    untouched_body,
    veiled,
    wanted_body,
)
from core.hosts.aws.edge_function import (
    code_digest,
    function_code,
    function_name,
    function_tags,
    live_code,
)
from core.hosts.aws.managed_policies import resolve_policies
from core.hosts.aws.site import BUCKET, DISTRIBUTION, FUNCTION, AwsSite
from core.models.release import Drift

NOTHING = "none"
CHANGED_TAGS = frozenset({"ExecutionID", "CreatedAt"})
"""Differ between runs: a resource keeps those of the run that made it."""


def distribution_drift(
    site: AwsSite, distribution_id: str, wish: DistributionWish
) -> Iterator[Drift]:
    """Field by field and tag by tag; members that nobody set must still be unset."""
    found = distribution_config(site, distribution_id)
    if found is None:
        yield missing(DISTRIBUTION, distribution_id)
        return
    wanted = {**untouched_body(wish), **wanted_body(wish, resolve_policies(site, wish.policies))}
    own = wish.origin.headers if isinstance(wish.origin, ServerOrigin) else {}
    for path, expected, is_there in differences(veiled(wanted, own), veiled(found, own)):
        yield Drift(
            kind=DISTRIBUTION, resource_id=distribution_id, what=path,
            expected=expected, found=is_there,
        )  # fmt: skip
    tags = distribution_tags(site, distribution_arn(site, distribution_id))
    yield from tag_drift(site, DISTRIBUTION, distribution_id, tags)


def tag_drift(
    site: AwsSite, kind: str, resource_id: str, found: Mapping[str, str]
) -> Iterator[Drift]:
    for name, expected in site.tags.items():
        is_there = found.get(name)
        if is_there is None or (name not in CHANGED_TAGS and is_there != expected):
            yield Drift(
                kind=kind, resource_id=resource_id, what=f"tag {name}",
                expected="set" if name in CHANGED_TAGS else expected, found=is_there or NOTHING,
            )  # fmt: skip


def function_drift(site: AwsSite, arn: str | None) -> Iterator[Drift]:
    """Whether the edges run our code, by its hash."""
    name = function_name(site)
    if arn is None:
        yield missing(FUNCTION, name)
        return
    found, expected = live_code(site), code_digest(function_code())
    digest = NOTHING if found is None else code_digest(found)
    if digest != expected:
        yield Drift(kind=FUNCTION, resource_id=name, what="code", expected=expected, found=digest)
    yield from tag_drift(site, FUNCTION, name, function_tags(site, arn))


def bucket_drift(
    site: AwsSite, bucket: SiteBucket, distribution_arn: str | None
) -> Iterator[Drift]:
    """Nobody but the distribution may read it, and its settings are as they were made.

    Args:
        distribution_arn: None where the bucket has no policy: roles of the account read it.
    """
    yield from tag_drift(site, BUCKET, bucket.name, bucket_tags(site, bucket))
    s3 = site.client("s3", bucket.region)
    block = _setting(site, bucket, s3.get_public_access_block, "PublicAccessBlockConfiguration")
    for name, expected in BLOCKED.items():
        if block.get(name) is not expected:
            yield _bucket(bucket, name, str(expected), str(block.get(name, NOTHING)))
    status = _setting(site, bucket, s3.get_bucket_policy_status, "PolicyStatus")
    if status.get("IsPublic"):
        yield _bucket(bucket, "policy status", "not public", "public")
    found = str(_setting(site, bucket, s3.get_bucket_policy, None).get("Policy", ""))
    if distribution_arn is None and found:
        yield _bucket(bucket, "policy", NOTHING, found)
    elif distribution_arn and not is_policy(found, bucket_policy(bucket, distribution_arn)):
        yield _bucket(bucket, "policy", "read by the distribution", found or NOTHING)
    versioning = _setting(site, bucket, s3.get_bucket_versioning, None).get("Status", NOTHING)
    if versioning != "Enabled":
        yield _bucket(bucket, "versioning", "Enabled", str(versioning))


def _setting(
    site: AwsSite, bucket: SiteBucket, call: Callable[..., Any], member: str | None
) -> dict[str, Any]:
    """What a `get` answers; empty where nothing is set."""
    with site.doing(f"read the settings of the bucket {bucket.name}"):
        try:
            answer = call(Bucket=bucket.name, ExpectedBucketOwner=site.account_id)
        except Exception as error:
            if not error_code(error).startswith("NoSuch"):
                raise
            return {}
    return dict(answer if member is None else answer[member])


def _bucket(bucket: SiteBucket, what: str, expected: str, found: str) -> Drift:
    return Drift(
        kind=BUCKET, resource_id=bucket.name, what=what, expected=expected, found=found[:300]
    )


def missing(kind: str, resource_id: str) -> Drift:
    return Drift(
        kind=kind, resource_id=resource_id, what="existence", expected="there", found=NOTHING
    )
