"""What somebody changed by hand on a dynamic site: each part against what the product left."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from core.hosts.aws.bucket import bucket_name, find_bucket
from core.hosts.aws.distribution import distribution_name
from core.hosts.aws.domain import SiteDomain
from core.hosts.aws.domain_drift import domain_drift
from core.hosts.aws.drift import (
    NOTHING,
    bucket_drift,
    distribution_drift,
    missing,
    tag_drift,
)
from core.hosts.aws.dynamic_wish import DynamicRecord, dynamic_wish
from core.hosts.aws.elastic_ip import ADDRESS, find_address
from core.hosts.aws.instance import (
    INSTANCE,
    INSTANCE_TYPE,
    METADATA,
    START,
    disk_of,
    find_instance,
)
from core.hosts.aws.parameters import PARAMETER, origin_key
from core.hosts.aws.roles import (
    PROFILE,
    ROLE,
    core_policy_arn,
    find_profile,
    role_boundary,
    role_name,
    role_policy,
    role_rights,
    role_tags,
)
from core.hosts.aws.security_group import (
    SECURITY_GROUP,
    cloudfront_prefix_list,
    find_group,
    group_name,
    rules_of,
    wanted_rule,
)
from core.hosts.aws.site import BUCKET, AwsSite, tag_map
from core.hosts.instance.start_drift import start_drift
from core.hosts.instance.variables import ORIGIN_KEY
from core.models.release import Drift


def dynamic_drift(
    site: AwsSite, record: DynamicRecord, domain: SiteDomain | None
) -> Iterator[Drift]:
    """Everything but the release: what the instance serves is asked of its agent."""
    yield from instance_drift(site, record)
    yield from group_drift(site)
    yield from role_drift(site, record)
    yield from _bucket(site)
    key = yield from _key(site, record)
    wish = dynamic_wish(distribution_name(site), record.origin, domain, key)
    yield from distribution_drift(site, record.distribution_id, wish)
    if domain is not None:
        yield from domain_drift(site, domain, record.domain)


def _key(site: AwsSite, record: DynamicRecord) -> Generator[Drift, None, str | None]:
    """What the distribution shows to the instance; None where it was deployed without."""
    if record.guard is None:
        return None
    found = origin_key(site)
    if found is None:
        yield missing(PARAMETER, f"{record.variables}/{ORIGIN_KEY}")
    return found or ""


def instance_drift(site: AwsSite, record: DynamicRecord) -> Iterator[Drift]:
    """State, kind, image, rights, firewall, address, disk and tags."""
    found = find_instance(site, record.instance_id)
    if found is None or found["State"]["Name"] in ("terminated", "shutting-down"):
        yield missing(INSTANCE, record.instance_id)
        return
    options = found.get("MetadataOptions", {})
    profile = str(found.get("IamInstanceProfile", {}).get("Arn", NOTHING)).rpartition("/")[2]
    expected = {
        "state": ("running", found["State"]["Name"]),
        "type": (INSTANCE_TYPE, found["InstanceType"]),
        "image": (record.image_id, found["ImageId"]),
        "profile": (role_name(site), profile),
        "security groups": ([group_name(site)], _groups(found)),
        "public name": (record.origin, found.get("PublicDnsName") or NOTHING),
        **{name: (wanted, options.get(name, NOTHING)) for name, wanted in METADATA.items()},
    }
    yield from _differences(INSTANCE, record.instance_id, expected)
    tags = tag_map(found.get("Tags", []))
    yield from start_drift(INSTANCE, record.instance_id, tags.get(START))
    yield from tag_drift(site, INSTANCE, record.instance_id, tags)
    yield from _disk(site, record.instance_id)
    yield from _address(site, record.instance_id)


def group_drift(site: AwsSite) -> Iterator[Drift]:
    """Exactly one rule lets in exactly CloudFront."""
    group = find_group(site)
    if group is None:
        yield missing(SECURITY_GROUP, group_name(site))
        return
    group_id, wanted = str(group["GroupId"]), wanted_rule(cloudfront_prefix_list(site))
    found = rules_of(group)
    if found != {wanted}:
        yield Drift(
            kind=SECURITY_GROUP, resource_id=group_id, what="rules",
            expected=_rule(wanted), found=", ".join(sorted(map(_rule, found))) or NOTHING,
        )  # fmt: skip
    yield from tag_drift(site, SECURITY_GROUP, group_id, tag_map(group.get("Tags", [])))


def role_drift(site: AwsSite, record: DynamicRecord) -> Iterator[Drift]:
    """The instance may do what it needs and nothing else."""
    name, bucket = role_name(site), find_bucket(site, bucket_name(site))
    tags = role_tags(site, name)
    if not tags:
        yield missing(ROLE, name)
        return
    policy, others = role_rights(site, name)
    if bucket is not None and policy != role_policy(site, bucket):
        yield Drift(
            kind=ROLE, resource_id=name, what="policy", expected="read archives and variables",
            found=json.dumps(policy, sort_keys=True)[:300],
        )  # fmt: skip
    if others != (core_policy_arn(site),):
        yield Drift(
            kind=ROLE, resource_id=name, what="other policies", expected=core_policy_arn(site),
            found=", ".join(others) or NOTHING,
        )  # fmt: skip
    expected, found = record.boundary or NOTHING, role_boundary(site, name) or NOTHING
    yield from _differences(ROLE, name, {"boundary": (expected, found)})
    yield from tag_drift(site, ROLE, name, tags)
    if find_profile(site) is None:
        yield missing(PROFILE, name)


def _bucket(site: AwsSite) -> Iterator[Drift]:
    name = bucket_name(site)
    bucket = find_bucket(site, name)
    if bucket is None:
        yield missing(BUCKET, name)
        return
    yield from bucket_drift(site, bucket, None)


def _disk(site: AwsSite, instance_id: str) -> Iterator[Drift]:
    disk = disk_of(site, instance_id)
    if disk.get("Encrypted") is not True:
        found = str(disk.get("Encrypted", NOTHING))
        yield Drift(
            kind=INSTANCE, resource_id=instance_id, what="disk encryption", expected="True",
            found=found,
        )  # fmt: skip


def _address(site: AwsSite, instance_id: str) -> Iterator[Drift]:
    for allocation_id in site.recorded(ADDRESS):
        found = find_address(site, allocation_id)
        if found is None:
            yield missing(ADDRESS, allocation_id)
            continue
        leads = {"leads to": (instance_id, found.get("InstanceId") or NOTHING)}
        yield from _differences(ADDRESS, allocation_id, leads)
        yield from tag_drift(site, ADDRESS, allocation_id, tag_map(found.get("Tags", [])))


def _differences(
    kind: str, resource_id: str, compared: Mapping[str, tuple[Any, Any]]
) -> Iterator[Drift]:
    for what, (expected, found) in compared.items():
        if expected != found:
            yield Drift(
                kind=kind, resource_id=resource_id, what=what, expected=_shown(expected),
                found=_shown(found)[:300],
            )  # fmt: skip


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _groups(found: dict[str, Any]) -> list[str]:
    return sorted(str(one["GroupName"]) for one in found.get("SecurityGroups", []))


def _rule(rule: tuple[str, int, int, str]) -> str:
    protocol, first, last, source = rule
    return f"{protocol} {first}-{last} from {source}"
