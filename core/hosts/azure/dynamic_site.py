"""Dynamic sites on a small machine of their own, with Front Door in front of it."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path

from core.cloud.azure import azure_cloud
from core.cloud.retrying import Patience, awaited, retried
from core.errors import BuilderError, CloudUnreachableError, TimedOutError
from core.hosts.azure.names import ENDPOINT
from core.hosts.azure.opening import opened, pinned
from core.hosts.azure.site import AzureSite
from core.hosts.azure.storage import SPREADS
from core.hosts.azure.vm import ensure_running
from core.hosts.azure.vm_commands import MACHINE_MISSING, reading, run
from core.hosts.azure.vm_drift import MachineDrift, release_drift
from core.hosts.azure.vm_place import (
    VmPlace,
    Wish,
    digest_of,
    ensure_place,
    known_place,
    last_place,
)
from core.hosts.azure.vm_planning import NO_TLS, planned_machine
from core.hosts.azure.vm_publishing import put_release
from core.hosts.azure.vm_teardown import VmTeardown, leave_front_door
from core.hosts.azure.vm_variables import NOT_YET, VmVariables, may_pass
from core.hosts.environment import HostEnvironment
from core.hosts.instance.archive import ReleaseArchive, write_archive
from core.hosts.instance.commands import log_command
from core.hosts.instance.variables import (
    LARGEST_SECRET_BYTES,
    checked_name,
    checked_value,
)
from core.hosts.instance.web_line import require_web_line
from core.hosts.served_marker import await_release, served_release
from core.models.release import Destroyed, Drift, Plan, Published
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from core.ports.host import PublishRequest
from core.publish.manifest import difference

_LOST = NOT_YET | {MACHINE_MISSING}
"""What is recorded is not there any more, or not for this login: it is ensured again."""

_KNOWN_ANSWERS = Patience(deadline_s=30.0, interval_s=0.5)

logger = logging.getLogger(__name__)


class AzureDynamicHost:
    """Implements `core.ports.host.Host` and `AppHost`.

    A site that is wholly recorded, as it should be today, is published by the list of its
    container, what is new there, and one command to its machine.
    """

    host_provider = HostProvider.AZURE
    site_type = SiteType.DYNAMIC

    def __init__(self, environment: HostEnvironment) -> None:
        self._environment = environment
        self._store = environment.store
        settings = environment.settings
        self._wish = Wish(cdn=settings.azure_cdn, zone=settings.domain_zone)

    def plan(self, request: PublishRequest) -> Plan:
        """What `publish` would do, by the records; Azure is not asked."""
        site = opened(self._environment, request.session, request.execution_id)
        block = self._store.sessions.provider_block(request.session.key)
        changes, size_bytes = _changes(request), request.release.size_bytes
        return Plan(
            actions=planned_machine(site, self._wish, block, size_bytes),
            files_total=len(request.release.files),
            files_changed=changes[0],
            files_deleted=changes[1],
            size_bytes=size_bytes,
            warnings=() if self._wish.is_behind_front_door else (NO_TLS,),
        )

    def prepare(self, session: Session) -> None:
        """A release goes up as one archive: there is nothing to ask for ahead of it."""

    def publish(self, request: PublishRequest) -> Published:
        """Make what is missing, ship the release, and let the machine switch to it.

        Raises:
            NothingToDeployError: The release has no `web:` line.
            LoginNeededError: There is no login, or it does not see the subscription.
            CloudRefusedError: The site is in another subscription, a name is taken, or rights,
                quota or room are missing.
            AnswerIsNoError: The release does not build, or its program does not start; the
                machine serves the former one on.
            CancelledError: It was cancelled; what was made is recorded, what the machine was told
                goes on there.
            BuilderError: Azure or the machine failed; publishing again goes on from there.
        """
        require_web_line(request)
        started = self._now()
        site = pinned(self._environment, request.session, request.execution_id)
        site = replace(site, log=request.log, cancelled=request.cancelled)
        if not self._wish.is_behind_front_door:
            request.log(NO_TLS, {"code": "no_tls"})
        with tempfile.TemporaryDirectory(prefix="tb-release-") as folder:
            target = Path(folder) / "release.tar.gz"
            archive = write_archive(request.release, request.trees, target)
            place = self._put_there(site, request, archive)
        cdn_ms = self._seen_ms(site, request, place)
        if place.profile is None and site.recorded(ENDPOINT):
            leave_front_door(site)
        return Published(
            url=self._public_url(request, place),
            files_total=len(request.release.files),
            files_changed=_changes(request)[0],
            size_bytes=request.release.size_bytes,
            resources=tuple(self._store.sessions.resources(request.session.key)),
            config_block=place.block(site.names, digest_of(site.names, self._wish)),
            timings={"publish_ms": self._ms_since(started) - cdn_ms, "cdn_ms": cdn_ms},
            warnings={} if self._wish.is_behind_front_door else {"no_tls": NO_TLS},
        )

    def serving(self, session: Session) -> str | None:
        """The release id that the site's own URL answers with; None where nothing is deployed.

        Raises:
            CloudUnreachableError: Nothing answers there.
        """
        return None if session.url is None else served_release(session.url, ca=self._ca)

    def ensure_served(self, session: Session) -> str | None:
        """Start the machine where somebody has stopped it; the site's URL.

        Raises:
            LoginNeededError: The site does not answer, and there is no login to look why.
        """
        if session.url is None or self._release_at(session.url) is not None:
            return session.url
        ensure_running(pinned(self._environment, session))
        return session.url

    def drift(self, session: Session) -> tuple[Drift, ...]:
        """Differences of everything that the last deploy made, and of what is served."""
        place = self._last_place(session.key)
        if place is None:
            return ()
        site = pinned(self._environment, session)
        found = list(MachineDrift(site, place).all())
        deploys = self._store.releases.deploys(session.key)
        expected = deploys[0].release_id if deploys else None
        return (*found, *release_drift(site, expected, self._release_at(place.url)))

    def destroy(self, key: SessionKey) -> Destroyed:
        """Everything of the session in Azure, whole or half made; what stays is told with why.

        Raises:
            LoginNeededError: There is no login.
            CloudRefusedError: The site is in another subscription.
        """
        session = self._store.sessions.get(key)
        if session is None or session.account_id is None:
            return Destroyed(deleted=())
        destroyed = VmTeardown(pinned(self._environment, session)).run()
        if not destroyed.left:
            self._store.published.forget(key)
        return destroyed

    def app_log(self, session: Session, *, lines: int) -> str:
        """The newest lines that the site's program wrote; empty where nothing is deployed.

        Raises:
            CloudRefusedError: The machine is gone or stopped.
        """
        place = self._last_place(session.key)
        if place is None:
            return ""
        site = self._placed(session, place)
        return "\n".join(run(site, reading("log", log_command(place.instance(), lines))).log)

    def variables(self, session: Session) -> tuple[str, ...]:
        """Names of the variables that the site's program gets, sorted."""
        if session.account_id is None:
            return ()
        return self._variables(session).names()

    def set_variable(self, session: Session, name: str, value: str) -> None:
        """Keep it in the session's vault; a running program is replaced by a proven new one.

        Raises:
            UsageError: Name or value cannot be given to a program, or there are too many.
            AnswerIsNoError: The program does not come up with it; it runs on as it was. A new
                variable is taken back; one that had another value keeps the new one in the vault.
            BuilderError: As for `publish`.
        """
        checked_value(checked_name(name), value, limit=LARGEST_SECRET_BYTES)
        self._variables(session).set(name, value)

    def unset_variable(self, session: Session, name: str) -> None:
        """Forget it; nothing where it is not set. Errors are those of `set_variable`."""
        checked_name(name)
        if session.account_id is not None:
            self._variables(session).unset(name)

    def _put_there(
        self, site: AzureSite, request: PublishRequest, archive: ReleaseArchive
    ) -> VmPlace:
        """Straight to a known place; where that is not as it was left, everything is ensured."""
        block = self._store.sessions.provider_block(request.session.key)
        known = known_place(site, self._wish, block)
        if known is not None:
            try:
                put_release(site, request, known, archive)
                if self._is_seen(site, request, known):
                    return known
                logger.warning("the known address does not answer", extra={"url": known.url})
            except BuilderError as error:
                if error.code not in _LOST:
                    raise
                logger.warning("recorded resources are gone", extra={"code": error.code})
        place = ensure_place(site, self._wish)
        retried(
            lambda: put_release(site, request, place, archive),
            again=may_pass,
            patience=SPREADS,
            clock=site.clock,
            cancelled=site.cancelled,
        )
        return place

    def _is_seen(self, site: AzureSite, request: PublishRequest, place: VmPlace) -> bool:
        """Whether visitors find the release where nothing is new that had to settle."""
        try:
            awaited(
                lambda: self._release_at(place.url) == request.release.release_id or None,
                what=f"The release at {place.url}",
                remedy="Deploy again.",
                patience=_KNOWN_ANSWERS,
                clock=site.clock,
                cancelled=site.cancelled,
            )
        except TimedOutError:
            return False
        return True

    def _variables(self, session: Session) -> VmVariables:
        place = self._last_place(session.key) if session.url is not None else None
        return VmVariables(site=pinned(self._environment, session), place=place)

    def _placed(self, session: Session, place: VmPlace) -> AzureSite:
        return replace(pinned(self._environment, session), location=place.location)

    def _last_place(self, key: SessionKey) -> VmPlace | None:
        return last_place(self._store.sessions.provider_block(key))

    def _seen_ms(self, site: AzureSite, request: PublishRequest, place: VmPlace) -> int:
        """How long it takes until visitors find the release: new edges need minutes."""
        started = self._now()
        await_release(
            place.url, request.release.release_id, clock=site.clock,
            cancelled=site.cancelled, ca=self._ca,
        )  # fmt: skip
        return self._ms_since(started)

    def _public_url(self, request: PublishRequest, place: VmPlace) -> str:
        """At the operator's own name as soon as that answers with the release."""
        if place.own_url is None:
            return place.url
        if self._release_at(place.own_url) == request.release.release_id:
            return place.own_url
        request.log("own name not ready; the next deploy looks again", {"url": place.own_url})
        return place.url

    def _release_at(self, url: str) -> str | None:
        """What is said there, None for nothing and for no answer."""
        try:
            return served_release(url, ca=self._ca)
        except CloudUnreachableError:
            return None

    @property
    def _ca(self) -> Path | None:
        return azure_cloud(self._environment.settings.azure_cloud).ca

    def _now(self) -> float:
        return self._environment.clock.monotonic()

    def _ms_since(self, started: float) -> int:
        return round((self._now() - started) * 1000)


def _changes(request: PublishRequest) -> tuple[int, int]:
    """How many files the release changes and deletes."""
    found = difference(request.previous, request.release)
    return len(found.changed), len(found.deleted)
