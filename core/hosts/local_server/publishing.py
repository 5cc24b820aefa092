"""The local host seen from the pipeline: releases put in place, the server told to switch."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from core.errors import CancelledError, ConflictError, StorageError
from core.hosts.environment import HostEnvironment
from core.hosts.local_server.choosing_port import candidate_ports, is_free
from core.hosts.local_server.client import LocalServer, ServerGoneError
from core.hosts.local_server.control import Activate, Remove, Restore, Status
from core.hosts.local_server.layout import SiteFolder
from core.models.release import (
    Destroyed,
    Drift,
    Plan,
    PlannedAction,
    Published,
    Resource,
)
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from core.ports.host import PublishRequest
from core.publish.manifest import difference
from core.publish.trees import GitReleaseTrees

KEPT_RELEASES = 10
KIND = "local_site"
_PORT_ATTEMPTS = 5

logger = logging.getLogger(__name__)


class LocalHost:
    """Sites on this computer's loopback, each on its own lasting port."""

    host_provider = HostProvider.LOCAL

    def __init__(self, environment: HostEnvironment, site_type: SiteType) -> None:
        self.site_type = site_type
        self._environment = environment
        self._server = LocalServer(
            environment.root,
            environment.runtime,
            python=environment.python,
            clock=environment.clock,
        )

    def plan(self, request: PublishRequest) -> Plan:
        """What `publish` would do; nothing is touched, the server is not even asked."""
        changes = difference(request.previous, request.release)
        resource = self._resource(request.session.key)
        action = PlannedAction(
            action="create" if request.previous is None else "update",
            kind=KIND,
            resource_id=resource.resource_id,
            tags={**resource.tags, "ExecutionID": request.execution_id},
            est_usd_day=0.0,
        )
        return Plan(
            actions=(action,),
            files_total=len(request.release.files),
            files_changed=len(changes.changed),
            files_deleted=len(changes.deleted),
            size_bytes=request.release.size_bytes,
        )

    def prepare(self, session: Session) -> None:
        """Nothing is far away here."""

    def publish(self, request: PublishRequest) -> Published:
        """Put the release in its place, then let the server switch to it in one step.

        Raises:
            AnswerIsNoError: The program of a dynamic site did not come up.
            CancelledError: It was cancelled; the former release is served on.
            ConflictError: The site's port is taken by another program.
            StorageError: The disk is full, or the release is damaged.
        """
        key, release = request.session.key, request.release
        _stop_if_cancelled(request)
        site = SiteFolder(self._environment.root, key)
        with site.publishing():
            site.clear_leftovers()
            if site.stored(release.release_id) is None:
                site.add(release, request.trees.export)
                request.log("release exported", {"files": len(release.files)})
            _stop_if_cancelled(request)
            port, switched = self._activate(request)
            site.prune(KEPT_RELEASES)
        request.log("release served", {"port": port, "switched": switched})
        return self._published(request, port)

    def serving(self, session: Session) -> str | None:
        """The release that the running server answers with; None where none or no server is."""
        try:
            asked = Status(user_id=session.key.user_id, session_id=session.key.session_id)
            return self._server.ask(asked).release_id
        except ServerGoneError:
            return None

    def ensure_served(self, session: Session) -> str | None:
        """Start the server if it is gone, and give it the site back if that is gone too.

        Raises:
            ConflictError: The site's port is taken by another program.
            StorageError: The last release is lost.
        """
        site = SiteFolder(self._environment.root, session.key)
        document, release_id = site.document(), site.current()
        if document is None or release_id is None or site.stored(release_id) is None:
            return self._publish_again(session)
        asked = Restore(user_id=session.key.user_id, session_id=session.key.session_id)
        self._server.call(asked)
        return _url(document.port)

    def drift(self, session: Session) -> tuple[Drift, ...]:
        """Whether another release is served than the last deploy put there."""
        deploys = self._environment.store.releases.deploys(session.key)
        expected = deploys[0].release_id if deploys and session.url is not None else "none"
        found = self.serving(session) or "none"
        if found == expected:
            return ()
        name = self._resource(session.key).resource_id
        return (Drift(kind=KIND, resource_id=name, what="release", expected=expected, found=found),)

    def destroy(self, key: SessionKey) -> Destroyed:
        """Stop serving, give the port back and delete the site's folder; repeatable."""
        site = SiteFolder(self._environment.root, key)
        resource = self._resource(key)
        session = self._environment.store.sessions.get(key)
        existed = site.root.exists() or (session is not None and session.port is not None)
        site.forget()
        try:
            self._server.ask(Remove(user_id=key.user_id, session_id=key.session_id))
        except ServerGoneError:
            logger.info("no local host server runs", extra={"session_id": key.session_id})
        try:
            site.remove()
        except OSError as error:
            return Destroyed(deleted=(), left=((resource, f"{error.filename}: {error.strerror}"),))
        self._environment.store.sessions.clear_port(key)
        return Destroyed(deleted=(resource,) if existed else ())

    def _activate(self, request: PublishRequest) -> tuple[int, bool]:
        """Switch on the session's port; a port that was just chosen may turn out to be taken."""
        for _attempt in range(_PORT_ATTEMPTS):
            port, is_new = self._port(request.session.key)
            asked = Activate(
                user_id=request.session.key.user_id,
                session_id=request.session.key.session_id,
                port=port,
                site_type=self.site_type,
                release_id=request.release.release_id,
                isolated=self._environment.isolation,
            )
            try:
                answer = self._server.call(asked, cancelled=request.cancelled)
            except ConflictError as error:
                if not is_new or error.code != "port_taken":
                    raise
                self._environment.store.sessions.clear_port(request.session.key)
            else:
                return port, answer.switched
        raise _no_port()

    def _port(self, key: SessionKey) -> tuple[int, bool]:
        """The session's port, chosen now if it has none, and whether it was."""
        sessions = self._environment.store.sessions
        known = sessions.get(key)
        if known is not None and known.port is not None:
            return known.port, False
        for port in candidate_ports(key):
            if is_free(port) and sessions.set_port(key, port):
                return port, True
        raise _no_port()

    def _publish_again(self, session: Session) -> str | None:
        """Rebuild a lost site from the product's repository; None if it was never deployed."""
        store, root = self._environment.store, self._environment.root
        known = store.sessions.get(session.key)
        deploys = store.releases.deploys(session.key)
        if known is None or known.url is None or not deploys:
            return None
        release = store.releases.get(session.key, deploys[0].release_id)
        if release is None:
            raise StorageError(
                f"The last release of {session.key.session_id} is not in the store.",
                remedy="Deploy the site again.",
            )
        paths = root.session(session.key.user_id, session.key.session_id)
        request = PublishRequest(
            session=known,
            execution_id=deploys[0].execution_id,
            idempotency_key=f"{deploys[0].execution_id}:restore",
            release=release,
            previous=release,
            trees=GitReleaseTrees(paths.repository),
        )
        return self.publish(request).url

    def _published(self, request: PublishRequest, port: int) -> Published:
        release = request.release
        return Published(
            url=_url(port),
            files_total=len(release.files),
            files_changed=len(difference(request.previous, release).changed),
            size_bytes=release.size_bytes,
            resources=(self._resource(request.session.key),),
            config_block={"port": port},
        )

    def _resource(self, key: SessionKey) -> Resource:
        tags: Mapping[str, str] = {
            "Project": "tmux-builder",
            "UserGUID": key.user_id,
            "SessionID": key.session_id,
            "SiteType": str(self.site_type),
        }
        name = key.session_id.removeprefix("sess_").replace("_", "")
        return Resource(kind=KIND, resource_id=f"tmux-{key.user_id[:8]}-{name}", tags=tags)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _stop_if_cancelled(request: PublishRequest) -> None:
    if request.cancelled():
        raise CancelledError(
            "The publish was cancelled; what was served is served on.",
            remedy="Deploy again when you want the new release.",
        )


def _no_port() -> ConflictError:
    return ConflictError(
        "No free port was found for the site on this computer.",
        remedy="End programs that listen on ports 20000 to 29999, then deploy again.",
        code="port_taken",
    )
