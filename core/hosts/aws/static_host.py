"""Static sites on AWS: a private bucket behind CloudFront."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from core.errors import BuilderError
from core.hosts.aws.access_control import ensure_access_control, find_access_control
from core.hosts.aws.bucket import (
    SiteBucket,
    allow_distribution,
    bucket_name,
    ensure_bucket,
    find_bucket,
)
from core.hosts.aws.distribution import (
    DISTRIBUTION_MISSING,
    SiteDistribution,
    await_deployed,
    distribution_arn,
    distribution_name,
    ensure_distribution,
    invalidate,
)
from core.hosts.aws.domain import (
    RECORD,
    domain_name,
    ensure_domain,
    lead_domain,
    recorded_domain,
)
from core.hosts.aws.domain_drift import domain_drift
from core.hosts.aws.drift import (
    bucket_drift,
    distribution_drift,
    function_drift,
    missing,
)
from core.hosts.aws.edge_function import ensure_function, find_function
from core.hosts.aws.opening import open_site
from core.hosts.aws.serving import await_marker, marker_at
from core.hosts.aws.site import ACCESS_CONTROL, BUCKET, DISTRIBUTION, AwsSite
from core.hosts.aws.static_plan import KINDS, plan_static, previewed
from core.hosts.aws.static_teardown import remove_static_site
from core.hosts.aws.static_wish import StaticRecord, configuration_digest, read_record, static_wish
from core.hosts.aws.stopwatch import Stopwatch
from core.hosts.environment import HostEnvironment
from core.models.release import Destroyed, Drift, Plan, Published
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from core.ports.host import PublishRequest
from core.publish.object_site import ObjectSite, SiteChange
from core.publish.object_stores import s3_objects

_LOST = frozenset({"store_missing", DISTRIBUTION_MISSING})
"""What is recorded is not there any more: it is made anew."""

logger = logging.getLogger(__name__)


class AwsStaticHost:
    """Implements `core.ports.host.Host`.

    A site that is wholly recorded, by the rules of today, is published without asking AWS about
    anything but its account and the list of its files.
    """

    host_provider = HostProvider.AWS
    site_type = SiteType.STATIC

    def __init__(self, environment: HostEnvironment) -> None:
        self._environment = environment
        self._store = environment.store
        self._ahead: ObjectSite | None = None

    def plan(self, request: PublishRequest) -> Plan:
        """What `publish` would do, by the records; needs no login and changes nothing."""
        known = self._store.published.get(request.session.key)
        return plan_static(self._environment, request, previewed(request, known))

    def prepare(self, session: Session) -> None:
        """List the files of a site that is wholly recorded, while its next release is taken."""
        if not self._store.sessions.resources(session.key):
            return
        site = open_site(self._environment, session)
        record = self._current(site)
        if record is not None:
            self._ahead = self._objects(site, record)
            self._ahead.look_ahead()

    def publish(self, request: PublishRequest) -> Published:
        """Make what is missing, bring the files up, and return when the public address has them.

        Raises:
            LoginNeededError: The profile has no usable login.
            CloudRefusedError: Another account, a taken name, or a right that is missing.
            CloudUnreachableError: AWS did not answer; running it again goes on.
            TimedOutError: CloudFront is not ready in time; it goes on, and so does running again.
            CancelledError: It was cancelled; what was made is kept and recorded.
        """
        site = open_site(
            self._environment, request.session, execution_id=request.execution_id, request=request
        )
        record = self._current(site)
        if record is not None:
            try:
                return self._put_files(site, request, record, None)
            except BuilderError as error:
                if error.code not in _LOST:
                    raise
                logger.warning("recorded resources are gone", extra={"code": error.code})
        record, distribution = self._ensure(site)
        return self._put_files(site, request, record, distribution)

    def serving(self, session: Session) -> str | None:
        """The release that the public address answers with.

        Raises:
            CloudUnreachableError: It does not answer.
        """
        record = read_record(self._store.sessions.provider_block(session.key))
        return None if record is None else marker_at(record.edge_url)

    def ensure_served(self, session: Session) -> str | None:
        """The site's URL: AWS brings its servers back by itself."""
        stored = self._store.sessions.get(session.key)
        return None if stored is None else stored.url

    def drift(self, session: Session) -> tuple[Drift, ...]:
        """Configuration, rights, tags and files against what the last publish left."""
        if not self._store.sessions.resources(session.key):
            return ()
        return tuple(self._drifts(open_site(self._environment, session)))

    def destroy(self, key: SessionKey) -> Destroyed:
        """Delete what the session has on AWS; what cannot be deleted now is told, and recorded."""
        session = self._store.sessions.get(key)
        if session is None or session.account_id is None:
            return Destroyed(deleted=())
        destroyed = remove_static_site(open_site(self._environment, session))
        if all(resource.kind != BUCKET for resource, _reason in destroyed.left):
            self._store.published.forget(key)
        return destroyed

    def _current(self, site: AwsSite) -> StaticRecord | None:
        """The record, if all of it was made by today's rules."""
        record = read_record(self._store.sessions.provider_block(site.names.key))
        domain = domain_name(site.names.name(), self._environment.settings.domain_zone)
        wanted = configuration_digest(distribution_name(site), bucket_name(site), domain)
        if record is None or record.configuration != wanted:
            return None
        kinds = KINDS if domain is None else (*KINDS, RECORD)
        is_whole = all(site.recorded(kind) for kind in kinds)
        return record if is_whole else None

    def _ensure(self, site: AwsSite) -> tuple[StaticRecord, SiteDistribution]:
        """Make, adopt or mend every part; the distribution may still be on its way to the edges."""
        bucket = ensure_bucket(site)
        control_id = ensure_access_control(site)
        function_arn = ensure_function(site)
        name, zone = distribution_name(site), self._environment.settings.domain_zone
        domain = None if zone is None else ensure_domain(site, zone)
        wish = static_wish(name, bucket, control_id, function_arn, domain)
        distribution = ensure_distribution(site, wish)
        allow_distribution(site, bucket, distribution.arn)
        if domain is not None:
            lead_domain(site, domain, distribution.domain)
        record = StaticRecord(
            bucket=bucket.name,
            region=bucket.region,
            distribution_id=distribution.distribution_id,
            domain=distribution.domain,
            url=distribution.url if domain is None else domain.url,
            configuration=configuration_digest(
                name, bucket.name, None if domain is None else domain.name
            ),
        )
        return record, distribution

    def _put_files(
        self, site: AwsSite, request: PublishRequest, record: StaticRecord,
        distribution: SiteDistribution | None,
    ) -> Published:  # fmt: skip
        """Upload what changed, and wait for CloudFront where there is something to wait for.

        Args:
            distribution: The one that was just ensured; None where nobody was asked about it.
        """
        whole, cdn = Stopwatch(site.clock), Stopwatch(site.clock)
        reference = f"{request.idempotency_key}:{request.release.release_id}"

        def announce(paths: Sequence[str]) -> None:
            if distribution is None or not distribution.is_new:
                with cdn.running():
                    invalidate(site, record.distribution_id, paths, reference)

        with whole.running():
            objects, self._ahead = self._ahead or self._objects(site, record), None
            change = objects.publish(request, announce)
            with cdn.running():
                self._await_edges(site, request, record, change, distribution)
        resources = tuple(self._store.sessions.resources(site.names.key))
        return Published(
            url=record.url,
            files_total=change.files_total,
            files_changed=change.files_changed,
            size_bytes=change.size_bytes,
            resources=resources,
            config_block=record.block(),
            timings={"publish_ms": whole.ms - cdn.ms, "cdn_ms": cdn.ms},
        )

    def _await_edges(
        self, site: AwsSite, request: PublishRequest, record: StaticRecord, change: SiteChange,
        distribution: SiteDistribution | None,
    ) -> None:  # fmt: skip
        if distribution is not None:
            await_deployed(site, record.distribution_id)
        if distribution is not None or change.invalidated:
            await_marker(site, record.edge_url, request.release.release_id)

    def _objects(self, site: AwsSite, record: StaticRecord) -> ObjectSite:
        key = site.names.key
        account = site.account_in(record.region)
        return ObjectSite(
            s3_objects(account, record.bucket),
            self._store.published.get(key),
            lambda objects: self._store.published.put(key, objects),
        )

    def _drifts(self, site: AwsSite) -> Iterator[Drift]:
        bucket = find_bucket(site, bucket_name(site))
        control_id, function_arn = find_access_control(site), find_function(site)
        yield from function_drift(site, function_arn)
        if control_id is None:
            yield missing(ACCESS_CONTROL, (*site.recorded(ACCESS_CONTROL), "none")[0])
        wished = bucket or SiteBucket(
            name=bucket_name(site), region=site.region, partition=site.account.partition()
        )
        domain = recorded_domain(site, self._environment.settings.domain_zone)
        wish = static_wish(
            distribution_name(site), wished, control_id or "", function_arn or "", domain
        )
        record = read_record(self._store.sessions.provider_block(site.names.key))
        if domain is not None and record is not None:
            yield from domain_drift(site, domain, record.domain)
        for distribution_id in site.recorded(DISTRIBUTION):
            yield from distribution_drift(site, distribution_id, wish)
            if bucket is not None:
                arn = distribution_arn(site, distribution_id)
                yield from bucket_drift(site, bucket, arn)
        yield from self._files_drift(site, bucket)

    def _files_drift(self, site: AwsSite, bucket: SiteBucket | None) -> Iterator[Drift]:
        if bucket is None:
            yield missing(BUCKET, bucket_name(site))
            return
        known = self._store.published.get(site.names.key)
        objects = s3_objects(site.account_in(bucket.region), bucket.name)
        yield from ObjectSite(objects, known, lambda _objects: None).drift(BUCKET, bucket.name)
