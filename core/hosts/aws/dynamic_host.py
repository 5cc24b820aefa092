"""Dynamic sites on AWS: a program on an EC2 instance of its own, behind CloudFront."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from core.errors import BuilderError, CloudUnreachableError, TimedOutError
from core.hosts.aws.app_variables import AppVariables
from core.hosts.aws.bucket import bucket_name
from core.hosts.aws.distribution import await_deployed, distribution_name
from core.hosts.aws.domain import RECORD, domain_name, lead_domain, recorded_domain
from core.hosts.aws.dynamic_drift import dynamic_drift
from core.hosts.aws.dynamic_plan import KINDS, changed_files, plan_dynamic
from core.hosts.aws.dynamic_resources import DynamicSite, ensure_dynamic
from core.hosts.aws.dynamic_teardown import remove_dynamic_site
from core.hosts.aws.dynamic_wish import DynamicRecord, configuration_digest, read_record
from core.hosts.aws.instance import INSTANCE, find_instance, running
from core.hosts.aws.instance_commands import INSTANCE_MISSING, await_online, run_command
from core.hosts.aws.opening import open_site
from core.hosts.aws.release_archives import ReleaseArchives
from core.hosts.aws.serving import await_marker, marker_at
from core.hosts.aws.site import BUCKET, AwsSite
from core.hosts.aws.stopwatch import Stopwatch
from core.hosts.environment import HostEnvironment
from core.hosts.instance.commands import (
    READ_TIMEOUT_S,
    AgentAnswer,
    AppState,
    log_command,
    release_command,
    status_command,
)
from core.hosts.instance.web_line import require_web_line
from core.models.release import Destroyed, Drift, Plan, Published
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from core.ports.host import PublishRequest
from core.publish.object_stores import s3_objects

NOT_SERVED = "not_served"
_LOST = frozenset({"store_missing", INSTANCE_MISSING, NOT_SERVED, "no_origin_key"})
"""What is recorded is not there any more, or does not work: it is looked at part by part."""

logger = logging.getLogger(__name__)


class AwsDynamicHost:
    """Implements `core.ports.host.Host` and `AppHost`.

    The agent on the instance proves a release before it switches to it; the public address, which
    is CloudFront's, proves that visitors get it. The instance answers its own distribution alone.
    """

    host_provider = HostProvider.AWS
    site_type = SiteType.DYNAMIC

    def __init__(self, environment: HostEnvironment) -> None:
        self._environment = environment
        self._store = environment.store

    def plan(self, request: PublishRequest) -> Plan:
        """What `publish` would do, by the records; needs no login and changes nothing."""
        return plan_dynamic(self._environment, request)

    def prepare(self, session: Session) -> None:
        """A release goes up as one archive: there is nothing to ask for ahead of it."""

    def publish(self, request: PublishRequest) -> Published:
        """Make what is missing, bring the release up, and return when the public address has it.

        Raises:
            NothingToDeployError: The release has no `web:` line.
            LoginNeededError: The profile has no usable login.
            CloudRefusedError: Another account, a taken name, or a right that is missing.
            AnswerIsNoError: The program does not build or start; the former release is served on.
            CloudUnreachableError: AWS did not answer; running it again goes on.
            TimedOutError: Something is not ready in time; it goes on, and so does running again.
            CancelledError: It was cancelled; what was made is kept and recorded.
        """
        require_web_line(request)
        site = open_site(
            self._environment, request.session, execution_id=request.execution_id, request=request
        )
        record = self._current(site)
        if record is not None:
            try:
                return self._put_release(site, request, record, None)
            except BuilderError as error:
                if error.code not in _LOST:
                    raise
                logger.warning("recorded resources are gone", extra={"code": error.code})
        image_id = self._store.sessions.provider_block(site.names.key).get("image_id")
        made = ensure_dynamic(
            site, self._environment.settings.domain_zone,
            image_id if isinstance(image_id, str) else None,
        )  # fmt: skip
        return self._put_release(site, request, made.record, made)

    def serving(self, session: Session) -> str | None:
        """The release that the public address answers with.

        Raises:
            CloudUnreachableError: It does not answer.
        """
        record = self._record(session.key)
        return None if record is None else marker_at(record.edge_url)

    def ensure_served(self, session: Session) -> str | None:
        """The site's URL; an instance that somebody stopped is started."""
        record = self._record(session.key)
        if record is None:
            return None
        site = open_site(self._environment, session)
        found = find_instance(site, record.instance_id)
        if found is not None and found["State"]["Name"] in ("stopping", "stopped"):
            running(site, record.instance_id)
        return record.url

    def drift(self, session: Session) -> tuple[Drift, ...]:
        """Resources, rights, tags and the release against what the last publish left."""
        if not self._store.sessions.resources(session.key):
            return ()
        record = self._record(session.key)
        if record is None:
            return ()
        return tuple(self._drifts(open_site(self._environment, session), record))

    def destroy(self, key: SessionKey) -> Destroyed:
        """Delete what the session has on AWS; what cannot be deleted now is told, and recorded."""
        session = self._store.sessions.get(key)
        if session is None or session.account_id is None:
            return Destroyed(deleted=())
        destroyed = remove_dynamic_site(open_site(self._environment, session))
        if all(resource.kind != BUCKET for resource, _reason in destroyed.left):
            self._store.published.forget(key)
        return destroyed

    def app_log(self, session: Session, *, lines: int) -> str:
        """The newest lines that the site's program wrote, as many as SSM carries at once."""
        record = self._record(session.key)
        if record is None:
            return ""
        site = open_site(self._environment, session)
        answer = _looked(site, record, log_command(record.instance(), lines))
        return "\n".join(answer.log)

    def variables(self, session: Session) -> tuple[str, ...]:
        """Names of the variables that the site's program gets, sorted."""
        return self._variables(session).names()

    def set_variable(self, session: Session, name: str, value: str) -> None:
        """Keep it in Parameter Store and hand it to a proven new start of the program.

        Raises:
            UsageError: Name or value cannot be given to a program, or there are too many.
            AnswerIsNoError: The program does not come up with it; it runs on as it was.
            CloudRefusedError, CloudUnreachableError: As for `publish`; what is kept is handed over
                by the next deploy.
        """
        self._variables(session).set(name, value)

    def unset_variable(self, session: Session, name: str) -> None:
        """Forget it; nothing where it is not set. Errors are those of `set_variable`."""
        self._variables(session).unset(name)

    def _variables(self, session: Session) -> AppVariables:
        site = open_site(self._environment, session)
        record = self._record(session.key)
        archives = None if record is None else self._archives(site, record)
        return AppVariables(site=site, record=record, archives=archives)

    def _record(self, key: SessionKey) -> DynamicRecord | None:
        return read_record(self._store.sessions.provider_block(key))

    def _current(self, site: AwsSite) -> DynamicRecord | None:
        """The record, if all of it was made by today's rules."""
        record = self._record(site.names.key)
        domain = domain_name(site.names.name(), self._environment.settings.domain_zone)
        wanted = configuration_digest(distribution_name(site), domain)
        if record is None or record.configuration != wanted or record.bucket != bucket_name(site):
            return None
        kinds = KINDS if domain is None else (*KINDS, RECORD)
        return record if all(site.recorded(kind) for kind in kinds) else None

    def _put_release(
        self, site: AwsSite, request: PublishRequest, record: DynamicRecord,
        made: DynamicSite | None,
    ) -> Published:  # fmt: skip
        """Upload, switch on the instance, and wait for what has to be waited for.

        Args:
            made: What was just ensured; None where nobody was asked about it.
        """
        whole, cdn = Stopwatch(site.clock), Stopwatch(site.clock)
        with whole.running():
            archives = self._archives(site, record)
            archive = archives.put(request)
            if made is not None:
                await_online(site, record.instance_id)
            if made is not None and not made.distribution.is_new:
                # Its edges must show the key before the instance asks for it.
                with cdn.running():
                    await_deployed(site, record.distribution_id)
            answer = run_command(
                site, record.instance_id, release_command(record.instance(), archive)
            )
            _tell(request, answer)
            with cdn.running():
                self._await_edges(site, request, record, made)
            archives.prune(request.release.release_id)
        changed, _deleted = changed_files(request.release, request.previous)
        return Published(
            url=record.url,
            files_total=len(request.release.files),
            files_changed=changed if answer.changed else 0,
            size_bytes=request.release.size_bytes,
            resources=tuple(self._store.sessions.resources(site.names.key)),
            config_block=record.block(),
            timings={"publish_ms": whole.ms - cdn.ms, "cdn_ms": cdn.ms},
        )

    def _await_edges(
        self, site: AwsSite, request: PublishRequest, record: DynamicRecord,
        made: DynamicSite | None,
    ) -> None:  # fmt: skip
        """The marker is asked for by the distribution's own name, which needs no other DNS."""
        if made is not None and made.domain is not None:
            lead_domain(site, made.domain, record.domain)
        if made is not None and made.distribution.is_new:
            await_deployed(site, record.distribution_id)
        try:
            await_marker(site, record.edge_url, request.release.release_id)
        except CloudUnreachableError:
            raise
        except TimedOutError as error:
            raise TimedOutError(error.message, remedy=error.remedy, code=NOT_SERVED) from error

    def _archives(self, site: AwsSite, record: DynamicRecord) -> ReleaseArchives:
        objects = s3_objects(site.account_in(record.region), record.bucket)
        return ReleaseArchives(objects=objects, store=self._store, key=site.names.key)

    def _drifts(self, site: AwsSite, record: DynamicRecord) -> Iterator[Drift]:
        domain = recorded_domain(site, self._environment.settings.domain_zone)
        yield from dynamic_drift(site, record, domain)
        deploys = self._store.releases.deploys(site.names.key)
        found = find_instance(site, record.instance_id)
        if not deploys or found is None or found["State"]["Name"] != "running":
            return
        said = _looked(site, record, status_command(record.instance()))
        for what, expected, is_there in (
            ("release", deploys[0].release_id, said.release_id or "none"),
            ("program", str(AppState.RUNNING), str(said.app)),
            ("guard", record.guard or said.guard, said.guard),
        ):
            if expected != is_there:
                yield Drift(
                    kind=INSTANCE, resource_id=record.instance_id, what=what, expected=expected,
                    found=is_there,
                )  # fmt: skip


def _looked(site: AwsSite, record: DynamicRecord, command: str) -> AgentAnswer:
    return run_command(site, record.instance_id, command, timeout_s=READ_TIMEOUT_S)


def _tell(request: PublishRequest, answer: AgentAnswer) -> None:
    message = "release switched" if answer.changed else "release served already"
    request.log(message, {"release_id": answer.release_id, "variables": answer.variables})
