"""The plan of a dynamic site on AWS, from the records alone: nobody is asked, nothing changed."""

from __future__ import annotations

from core.cloud.config import CloudConfig, NamedKind
from core.cloud.prices import usd_per_day
from core.hosts.aws.domain import RECORD, domain_name
from core.hosts.aws.dynamic_wish import configuration_digest, read_record
from core.hosts.aws.elastic_ip import ADDRESS
from core.hosts.aws.instance import DISK_GB, INSTANCE, INSTANCE_TYPE
from core.hosts.aws.opening import names_of
from core.hosts.aws.roles import PROFILE, ROLE
from core.hosts.aws.security_group import SECURITY_GROUP
from core.hosts.aws.site import BUCKET, DISTRIBUTION
from core.hosts.aws.static_plan import planned_action
from core.hosts.environment import HostEnvironment
from core.models.release import Plan, Release
from core.ports.host import PublishRequest

KINDS = (BUCKET, ROLE, PROFILE, SECURITY_GROUP, ADDRESS, INSTANCE, DISTRIBUTION)
"""In the order in which they are made."""


def plan_dynamic(environment: HostEnvironment, request: PublishRequest) -> Plan:
    """What is made, changed and kept, and which files differ from the former release."""
    sessions, key = environment.store.sessions, request.session.key
    names, zone = names_of(environment, request.session), environment.settings.domain_zone
    tags = names.tags(execution_id=request.execution_id, created_at=environment.clock.now())
    record = read_record(sessions.provider_block(key))
    domain = domain_name(names.name(), zone)
    digest = configuration_digest(names.name(NamedKind.CLOUDFRONT), domain)
    is_current = record is not None and record.configuration == digest
    made = {one.kind: one for one in reversed(sessions.resources(key))}
    actions = tuple(
        planned_action(
            kind, made.get(kind), is_current=is_current, name=_name(names, kind, domain),
            tags={} if kind == RECORD else tags, usd_day=_usd_day(kind, request.release),
        )
        for kind in (KINDS if domain is None else (*KINDS, RECORD))
    )  # fmt: skip
    changed, deleted = changed_files(request.release, request.previous)
    return Plan(
        actions=actions,
        files_total=len(request.release.files),
        files_changed=changed,
        files_deleted=deleted,
        size_bytes=request.release.size_bytes,
    )


def changed_files(release: Release, previous: Release | None) -> tuple[int, int]:
    """How many files are new or other ones, and how many are gone."""
    former = {} if previous is None else {one.path: one for one in previous.files}
    changed = sum(former.get(one.path) != one for one in release.files)
    return changed, len(former.keys() - {one.path for one in release.files})


def _name(names: CloudConfig, kind: str, domain: str | None) -> str:
    if kind == RECORD:
        return str(domain)
    kinds = {
        BUCKET: NamedKind.S3, INSTANCE: NamedKind.EC2, DISTRIBUTION: NamedKind.CLOUDFRONT,
    }  # fmt: skip
    return names.name(kinds.get(kind, NamedKind.OTHER))


def _usd_day(kind: str, release: Release) -> float | None:
    if kind == INSTANCE:
        return usd_per_day(kind, INSTANCE_TYPE, size_bytes=DISK_GB * 10**9)
    return usd_per_day(kind, size_bytes=release.size_bytes)
