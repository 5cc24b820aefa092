"""What the worker does on a session's host when it is asked: the cloud's logins live here only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.errors import BuilderError, ConflictError, UsageError
from core.handover import Handover
from core.hosts.instance.variables import checked_name, checked_value
from core.models.execution import Json
from core.models.request import Request
from core.models.session import Session, SessionKey
from core.ports.host import AppHost, Host
from core.store.store import Store
from core.store.views import Views
from tmux_bridge.check_answers import nothing_deployed

Answer = Mapping[str, Json]

MOST_LINES = 10_000
HEAD_CHARS = 12
SHORTEST_SECRET = 4


class HostRequests:
    """Destroying, serving, looking for drift, and what dynamic sites have besides."""

    def __init__(
        self, store: Store, views: Views, hosts: Callable[[Session], Host], handover: Handover
    ) -> None:
        self._store = store
        self._views = views
        self._hosts = hosts
        self._handover = handover

    def destroy(self, request: Request, session: Session) -> Answer:
        """Delete what is there; each deletion is recorded by the host when it happens."""
        self._refuse_beside_a_run(request.key)
        destroyed = self._hosts(session).destroy(request.key)
        if not destroyed.left:
            self._store.sessions.set_destroyed(request.key)
        self._views.session(request.key)
        return {
            "deleted": [{"kind": one.kind, "id": one.resource_id} for one in destroyed.deleted],
            "left": [
                {"kind": one.kind, "id": one.resource_id, "reason": reason}
                for one, reason in destroyed.left
            ],
        }

    def serve(self, request: Request, session: Session) -> Answer:
        url = self._hosts(session).ensure_served(session)
        if url is None:
            raise nothing_deployed(session)
        fresh = self._store.sessions.get(request.key)
        return {"url": url, "port": fresh.port if fresh else None}

    def drift(self, request: Request, session: Session) -> Answer:
        """What is not as the last publish left it; also for a site that never came up whole.

        Where something is found, the next deploy mends it: it asks about everything again.
        """
        if session.url is None and not self._store.sessions.resources(request.key):
            raise nothing_deployed(session)
        found: list[Json] = [
            {
                "kind": one.kind, "id": one.resource_id, "what": one.what,
                "expected": one.expected, "found": one.found,
            }
            for one in self._hosts(session).drift(session)
        ]  # fmt: skip
        if found:
            self._store.sessions.distrust(request.key)
        return {"drift": found}

    def app_log(self, request: Request, session: Session) -> Answer:
        wanted = request.payload.get("lines")
        lines = wanted if isinstance(wanted, int) else MOST_LINES
        return {"text": self._app(session).app_log(session, lines=min(max(lines, 1), MOST_LINES))}

    def variables(self, _request: Request, session: Session) -> Answer:
        names: list[Json] = [*sorted(self._app(session).variables(session))]
        return {"names": names}

    def set_variable(self, request: Request, session: Session) -> Answer:
        """The value is read once, and is in none of the sentences that this can end with."""
        value = self._handover.take(str(request.payload.get("value_file")))
        name = checked_name(str(request.payload.get("name")))
        app = self._app(session)
        try:
            app.set_variable(session, name, checked_value(name, value))
        except BuilderError as error:
            raise _without(value, error) from None
        return {"name": name}

    def unset_variable(self, request: Request, session: Session) -> Answer:
        name = checked_name(str(request.payload.get("name")))
        self._app(session).unset_variable(session, name)
        return {"name": name}

    def _app(self, session: Session) -> AppHost:
        host = self._hosts(session)
        if isinstance(host, AppHost):
            return host
        raise UsageError(
            f"The host {session.host_provider}/{session.site_type} keeps no variables and no"
            " output of a program.",
            remedy="Make a session with --site-type dynamic.",
            code="no_program",
        )

    def _refuse_beside_a_run(self, key: SessionKey) -> None:
        """A run that was queued before this request publishes what would be deleted here."""
        newest = self._store.executions.newest(key)
        if newest is not None and not newest.status.is_over:
            raise ConflictError(
                f"A run of {key.session_id} is {newest.status}, so nothing was deleted.",
                remedy=f"tmux-builder status {newest.execution_id} --watch",
            )


def _without(value: str, error: BuilderError) -> BuilderError:
    """The error, cut where a cloud repeats in its sentence what it was given.

    A word of up to three letters is no secret, and is in many sentences by chance.
    """
    head = " ".join(value.split())[:HEAD_CHARS]
    if len(head) < SHORTEST_SECRET or head not in f"{error.message} {error.remedy}":
        return error
    remedy = error.remedy.partition(head)[0] or "Give another value."
    return type(error)(f"{error.message.partition(head)[0]}…", remedy=remedy, code=error.code)
