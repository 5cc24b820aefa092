"""The plan of a static site on AWS, from the records alone: nobody is asked, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from core.cloud.config import NamedKind
from core.cloud.prices import usd_per_day
from core.hosts.aws.domain import RECORD, domain_name
from core.hosts.aws.opening import names_of
from core.hosts.aws.site import ACCESS_CONTROL, BUCKET, DISTRIBUTION, FUNCTION
from core.hosts.aws.static_wish import configuration_digest, read_record
from core.hosts.environment import HostEnvironment
from core.models.release import Plan, PlannedAction, PublishedObject, Resource
from core.ports.host import PublishRequest
from core.ports.objects import StoredObject
from core.publish.object_site import ObjectSite, SiteChange

KINDS = (BUCKET, ACCESS_CONTROL, FUNCTION, DISTRIBUTION)


def plan_static(environment: HostEnvironment, request: PublishRequest, change: SiteChange) -> Plan:
    """What is made, changed and kept, and what the files would do.

    Args:
        change: What publishing the files would do.
    """
    sessions, key = environment.store.sessions, request.session.key
    names = names_of(environment, request.session)
    tags = names.tags(execution_id=request.execution_id, created_at=environment.clock.now())
    cloudfront_name, bucket = names.name(NamedKind.CLOUDFRONT), names.name(NamedKind.S3)
    record = read_record(sessions.provider_block(key))
    domain = domain_name(names.name(), environment.settings.domain_zone)
    digest = configuration_digest(cloudfront_name, bucket, domain)
    is_current = record is not None and record.configuration == digest
    made = {one.kind: one for one in sessions.resources(key)}
    actions = [
        planned_action(
            kind, made.get(kind), is_current=is_current,
            tags={} if kind in (ACCESS_CONTROL, RECORD) else tags,
            name={BUCKET: bucket, RECORD: str(domain)}.get(kind, cloudfront_name),
            usd_day=usd_per_day(kind, size_bytes=change.size_bytes),
        )
        for kind in (KINDS if domain is None else (*KINDS, RECORD))
    ]  # fmt: skip
    return Plan(
        actions=tuple(actions),
        files_total=change.files_total,
        files_changed=change.files_changed,
        files_deleted=change.files_deleted,
        size_bytes=change.size_bytes,
    )


def previewed(request: PublishRequest, known: Mapping[str, PublishedObject]) -> SiteChange:
    """What publishing the files would do if nobody touched them; asks nobody."""
    return ObjectSite(_Unreached(), known, lambda _objects: None).preview(request)


class _Unreached:
    """The bucket of a plan: it may not exist, and there may be no login for it."""

    def list(self) -> dict[str, StoredObject]:
        raise NotImplementedError

    def put(self, path: str, content: bytes | Iterator[bytes], headers: Mapping[str, str]) -> str:
        raise NotImplementedError

    def delete(self, paths: Sequence[str]) -> None:
        raise NotImplementedError


def planned_action(
    kind: str, made: Resource | None, *, is_current: bool, tags: Mapping[str, str], name: str,
    usd_day: float | None,
) -> PlannedAction:  # fmt: skip
    """A resource that has no id yet is shown by its name; what exists keeps its tags."""
    action = "create" if made is None else "keep" if is_current else "update"
    return PlannedAction(
        action=action,
        kind=kind,
        resource_id=name if made is None else made.resource_id,
        tags=tags if made is None else {**tags, **made.tags},
        est_usd_day=usd_day,
    )
