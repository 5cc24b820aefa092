"""Static sites in a storage account's web container, with Front Door in front of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.cloud.azure import azure_cloud
from core.cloud.retrying import retried
from core.errors import BuilderError, CloudUnreachableError
from core.hosts.azure.drift import GONE, control_drift
from core.hosts.azure.front_door import ENDPOINT_MISSING, purge
from core.hosts.azure.names import ACCOUNT, ENDPOINT, ROLE
from core.hosts.azure.opening import opened, pinned
from core.hosts.azure.place import Place, digest_of, ensure_place, known_place, last_place
from core.hosts.azure.planning import Unreached, planned_actions
from core.hosts.azure.site import AzureSite
from core.hosts.azure.storage import SPREADS, WEB_CONTAINER, account_part
from core.hosts.azure.teardown import Teardown, leave_front_door
from core.hosts.environment import HostEnvironment
from core.hosts.served_marker import await_release, served_release
from core.models.execution import Json
from core.models.release import Destroyed, Drift, Plan, Published, PublishedObject
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from core.ports.host import PublishRequest
from core.ports.objects import ObjectStore
from core.publish.object_site import ObjectSite, SiteChange
from core.publish.object_stores import blob_objects

_NOT_YET = frozenset({"access_denied", "store_missing"})
"""What a storage account answers before everything in it knows its roles and containers."""

_LOST = _NOT_YET | {ENDPOINT_MISSING}
"""What is recorded is not there any more, or not for this login: it is ensured again."""

logger = logging.getLogger(__name__)


class AzureStaticHost:
    """Static sites in the operator's own subscription; `azure.cdn = none` leaves the CDN out."""

    host_provider = HostProvider.AZURE
    site_type = SiteType.STATIC

    def __init__(self, environment: HostEnvironment) -> None:
        self._environment = environment
        self._store = environment.store
        self._cdn = environment.settings.azure_cdn
        self._ahead: ObjectSite | None = None

    def plan(self, request: PublishRequest) -> Plan:
        """What `publish` would do, by the records; Azure is not asked."""
        key = request.session.key
        site = opened(self._environment, request.session, request.execution_id)
        change = self._files(Unreached(), key).preview(request)
        block = self._store.sessions.provider_block(key)
        return Plan(
            actions=planned_actions(site, self._cdn, block, change.size_bytes),
            files_total=change.files_total,
            files_changed=change.files_changed,
            files_deleted=change.files_deleted,
            size_bytes=change.size_bytes,
        )

    def prepare(self, session: Session) -> None:
        """List the files of a site that is wholly recorded, while its next release is taken."""
        if not self._store.sessions.resources(session.key):
            return
        site = pinned(self._environment, session)
        place = known_place(site, self._cdn, self._block(session.key))
        if place is not None:
            self._ahead = self._files(self._objects(site, place), session.key)
            self._ahead.look_ahead()

    def publish(self, request: PublishRequest) -> Published:
        """Make what is missing, put the release there, and tell the CDN what changed.

        Raises:
            LoginNeededError: There is no login, or it does not see the subscription.
            CloudRefusedError: The site is in another subscription, a name is taken, or rights or
                quota are missing.
            CancelledError: It was cancelled; what was made is recorded, the rest is as it was.
            BuilderError: Azure failed; publishing again goes on from there.
        """
        started = self._now()
        site = pinned(self._environment, request.session, request.execution_id)
        site = replace(site, log=request.log, cancelled=request.cancelled)
        place, change, cdn_ms = self._put_there(site, request)
        if place.profile is None and site.recorded(ENDPOINT):
            leave_front_door(site)
        return Published(
            url=place.url,
            files_total=change.files_total,
            files_changed=change.files_changed,
            size_bytes=change.size_bytes,
            resources=tuple(self._store.sessions.resources(request.session.key)),
            config_block=place.block(site.names, digest_of(site.names, self._cdn)),
            timings={"publish_ms": self._ms_since(started) - cdn_ms, "cdn_ms": cdn_ms},
        )

    def serving(self, session: Session) -> str | None:
        """The release id that the site's own URL answers with; None where nothing is deployed.

        Raises:
            CloudUnreachableError: Nothing answers there.
        """
        if session.url is None:
            return None
        ca = azure_cloud(self._environment.settings.azure_cloud).ca
        return served_release(session.url, ca=ca)

    def ensure_served(self, session: Session) -> str | None:
        """Azure serves by itself what was deployed there."""
        return session.url

    def drift(self, session: Session) -> tuple[Drift, ...]:
        """Differences of everything that the last deploy made, files included."""
        site = pinned(self._environment, session)
        place = last_place(self._block(session.key), session.url)
        found = list(control_drift(site, place.profile))
        is_readable = all(one.kind not in (ACCOUNT, ROLE) or one.found != GONE for one in found)
        if is_readable and place.blob_endpoint:
            files = self._files(self._objects(site, place), session.key)
            found += files.drift(ACCOUNT, site.names.account)
        return tuple(found)

    def destroy(self, key: SessionKey) -> Destroyed:
        """Everything of the session in Azure, whole or half made; what stays is told with why.

        Raises:
            LoginNeededError: There is no login.
            CloudRefusedError: The site is in another subscription.
        """
        session = self._store.sessions.get(key)
        if session is None or session.account_id is None:
            return Destroyed(deleted=())
        destroyed = Teardown(pinned(self._environment, session)).run()
        if not destroyed.left:
            self._store.published.forget(key)
        return destroyed

    def _put_there(self, site: AzureSite, request: PublishRequest) -> tuple[Place, SiteChange, int]:
        """Straight to a known place; where that is not as it was left, everything is ensured."""
        known = known_place(site, self._cdn, self._block(request.session.key))
        if known is not None:
            try:
                return known, *self._uploaded(site, request, known)
            except BuilderError as error:
                if not _is_lost(site, error):
                    raise
                logger.warning("recorded resources are gone", extra={"code": error.code})
        place = ensure_place(site, self._cdn)
        change, cdn_ms = retried(
            lambda: self._uploaded(site, request, place),
            again=lambda error: isinstance(error, BuilderError) and error.code in _NOT_YET,
            patience=SPREADS,
            clock=site.clock,
            cancelled=site.cancelled,
        )
        return place, change, cdn_ms + self._seen_ms(site, request, place)

    def _uploaded(
        self, site: AzureSite, request: PublishRequest, place: Place
    ) -> tuple[SiteChange, int]:
        """The files, and the milliseconds that the CDN took."""
        cdn_ms = 0

        def invalidate(paths: Sequence[str]) -> None:
            nonlocal cdn_ms
            if place.profile is None or not place.is_cached:
                return
            started = self._now()
            purge(site, place.profile, paths)
            cdn_ms = self._ms_since(started)
            request.log("CDN purged", {"paths": list(paths), "ms": cdn_ms})

        files = self._ahead or self._files(self._objects(site, place), request.session.key)
        self._ahead = None
        return files.publish(request, invalidate), cdn_ms

    def _seen_ms(self, site: AzureSite, request: PublishRequest, place: Place) -> int:
        """How long a new address needs until visitors find the release there."""
        started, ca = self._now(), site.subscription.cloud.ca
        await_release(
            place.url, request.release.release_id, clock=site.clock, cancelled=site.cancelled, ca=ca
        )
        return self._ms_since(started)

    def _objects(self, site: AzureSite, place: Place) -> ObjectStore:
        ca = site.subscription.cloud.ca
        return blob_objects(
            place.blob_endpoint, WEB_CONTAINER, site.subscription.credential(),
            ca_file=None if ca is None else str(ca),
        )  # fmt: skip

    def _files(self, objects: ObjectStore, key: SessionKey) -> ObjectSite:
        published = self._store.published

        def remember(written: dict[str, PublishedObject]) -> None:
            published.put(key, written)

        return ObjectSite(objects, published.get(key), remember)

    def _block(self, key: SessionKey) -> Mapping[str, Json]:
        return self._store.sessions.provider_block(key)

    def _now(self) -> float:
        return self._environment.clock.monotonic()

    def _ms_since(self, started: float) -> int:
        return round((self._now() - started) * 1000)


def _is_lost(site: AzureSite, error: BuilderError) -> bool:
    """Whether the place is not as it was left: a deleted account's name leads nowhere at all."""
    if error.code in _LOST:
        return True
    if not isinstance(error, CloudUnreachableError):
        return False
    part = account_part(site)
    return site.found(f"look for {part.what}", part.get) is None
