"""One session's side of one Azure subscription, while one act goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from core.clock import Clock
from core.cloud.azure import AzureCloud, AzureSubscription, azure_cloud
from core.cloud.azure_errors import azure_errors, error_code, http_status
from core.cloud.retrying import Patience, retried
from core.config import Settings
from core.errors import CancelledError, CloudRefusedError, CloudUnreachableError, TimedOutError
from core.hosts.azure.names import AzureNames
from core.models.release import Resource
from core.models.session import Session
from core.ports.host import Log
from core.store.store import Store

Answer = TypeVar("Answer")

OPERATION_LASTS_S = 1200.0
"""The longest that one thing may take to be made or deleted in Azure."""

SETTLES = Patience(deadline_s=300.0, interval_s=2.0)
"""Azure refuses changes of what is being changed for this long at most."""

_BUSY = frozenset({"AnotherOperationInProgress", "Conflict", "StorageAccountOperationInProgress"})
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Done:
    """What Azure answers at once, in the shape of an operation of the SDK."""

    answer: Any

    def done(self) -> bool:
        return True

    def wait(self, timeout: float) -> None:
        """There is nothing to wait for."""

    def result(self) -> Any:
        return self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSite:
    """Where names, tags, records, clients and patience of one session come from.

    Attributes:
        tags: What everything that is made in this act is tagged with.
        shared_tags: The same for what several sessions use.
        location: Where new resources are made.
    """

    names: AzureNames
    subscription: AzureSubscription
    location: str
    store: Store
    clock: Clock
    tags: Mapping[str, str]
    shared_tags: Mapping[str, str]
    log: Log = lambda _message, _details: None
    cancelled: Callable[[], bool] = lambda: False

    def client(self, service: str) -> Any:
        return self.subscription.client(service)

    def asked(self, act: str, call: Callable[[], Answer]) -> Answer:
        """The answer of a call; what is being changed by an earlier one is waited for."""
        with azure_errors(act, self.subscription.name):
            return retried(
                call,
                again=lambda error: error_code(error) in _BUSY,
                patience=SETTLES,
                clock=self.clock,
                cancelled=self.cancelled,
            )

    def found(self, act: str, call: Callable[[], Any]) -> dict[str, Any] | None:
        """What a GET answers, as the management plane writes it; None where there is nothing."""
        with azure_errors(act, self.subscription.name):
            try:
                return as_document(call())
            except Exception as error:
                if http_status(error) == 404:
                    return None
                raise

    def followed(
        self, act: str, begin: Callable[[], Any], accepted: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """What an operation of Azure's comes to.

        Args:
            begin: The SDK's `begin_...`, called once Azure takes it.
            accepted: Called when Azure has taken it, before it is done: what is being made
                exists from then on.

        Raises:
            TimedOutError: It goes on in Azure after this long.
            CancelledError: The operator cancelled meanwhile; it goes on in Azure.
        """
        poller = self.asked(act, begin)
        accepted()
        end = self.clock.monotonic() + OPERATION_LASTS_S
        while not poller.done():
            self.leave_if_cancelled()
            if self.clock.monotonic() >= end:
                raise TimedOutError(
                    f"Azure did not {act} within {OPERATION_LASTS_S / 60:g} minutes.",
                    remedy="It goes on there; run the same command again.",
                )
            with azure_errors(act, self.subscription.name):
                poller.wait(_LOOK_S)
        with azure_errors(act, self.subscription.name):
            return as_document(poller.result())

    def leave_if_cancelled(self) -> None:
        if self.cancelled():
            raise CancelledError(
                "The work in Azure was cancelled; what was made is kept.",
                remedy="Deploy again to go on, or destroy the session's resources.",
            )

    def intends(self, kind: str, resource_id: str, tags: Mapping[str, str]) -> None:
        """Record what is about to be made and could be found by nothing else, were this to die."""
        if not any(one.resource_id == resource_id for one in self.recorded(kind)):
            resource = Resource(kind=kind, resource_id=resource_id, tags=tags)
            self.store.sessions.add_resource(self.names.config.key, resource)

    def made(self, kind: str, resource_id: str, tags: Mapping[str, str]) -> None:
        """Record it: from now on `destroy` knows it, whatever happens next."""
        resource = Resource(kind=kind, resource_id=resource_id, tags=tags)
        self.store.sessions.add_resource(self.names.config.key, resource)
        self.log(f"{kind} ready", {"kind": kind, "id": resource_id})

    def gone(self, kind: str, resource_id: str) -> None:
        self.store.sessions.forget_resource(self.names.config.key, kind, resource_id)
        self.log(f"{kind} deleted", {"kind": kind, "id": resource_id})

    def recorded(self, kind: str) -> tuple[Resource, ...]:
        """What is recorded of that kind."""
        resources = self.store.sessions.resources(self.names.config.key)
        return tuple(one for one in resources if one.kind == kind)


def open_site(
    names: AzureNames,
    session: Session,
    settings: Settings,
    store: Store,
    clock: Clock,
    execution_id: str,
) -> AzureSite:
    """The session's side of its subscription; nothing is asked yet."""
    now = clock.now()
    return AzureSite(
        names=names,
        subscription=_subscription(
            session.azure_profile,
            azure_cloud(settings.azure_cloud),
            clock,  # type: ignore[arg-type]  # clocks are told apart by identity
        ),
        location=settings.azure_location,
        store=store,
        clock=clock,
        tags=names.config.tags(execution_id=execution_id, created_at=now),
        shared_tags=names.config.shared_tags(created_at=now),
    )


def as_document(answer: Any) -> dict[str, Any]:
    """An SDK model as the management plane wrote it; nothing for an answer without a body."""
    if answer is None:
        return {}
    document: dict[str, Any] = answer.as_dict()
    return document


def refuse_foreign(what: str, session_id: str) -> CloudRefusedError:
    """Nobody touches what another session, installation or program has made."""
    return CloudRefusedError(
        f"{what} exists already and its tags do not say that it is this site's.",
        remedy=f"Choose another name: tmux-builder deploy {session_id} --suffix x1.",
        code="name_taken",
    )


def failed_there(what: str) -> CloudUnreachableError:
    return CloudUnreachableError(
        f"Azure could not make {what}.", remedy="Run the same command again: it is made anew."
    )


@lru_cache(maxsize=16)
def _subscription(name: str, cloud: AzureCloud, clock: Clock) -> AzureSubscription:
    """One for each login of a process: its token, clients and resolved id are worth keeping."""
    return AzureSubscription(name, cloud, clock)
