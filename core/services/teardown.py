"""Taking a session's site off its host: what there is by the records, and the request for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.cloud.config import SHARED
from core.errors import ConfirmationNeededError, ConflictError
from core.models.execution import Json
from core.models.release import Resource
from core.models.request import Request, RequestKind
from core.models.session import SessionKey
from core.services.context import Environment
from core.services.waiting import follow_request
from core.store.store import Store
from core.store.views import Views

OnLeft = Callable[[Sequence[Resource]], None]


def require_confirmed(key: SessionKey, confirm: str | None) -> None:
    """That the operator gave the session's name, with or without `sess_`.

    Raises:
        ConfirmationNeededError: It is missing or another one.
    """
    names = {key.session_id, key.session_id.removeprefix("sess_")}
    if confirm is None or confirm.strip() not in names:
        raise ConfirmationNeededError(
            f"Destroying {key.session_id} takes its site off the net and cannot be undone.",
            remedy=f"tmux-builder destroy {key.session_id} --confirm {key.session_id}",
        )


def require_no_destroy(store: Store, key: SessionKey) -> None:
    """For whoever would publish: what is being deleted must not be made at the same time.

    Raises:
        ConflictError: The session is being destroyed.
    """
    if store.requests.unfinished(RequestKind.DESTROY, key) is not None:
        raise ConflictError(
            f"{key.session_id} is being destroyed.",
            remedy=f"Wait for it: tmux-builder destroy {key.session_id} --confirm {key.session_id}",
        )


def queue_destroy(store: Store, key: SessionKey) -> Request:
    """The request that the session's destruction is; one that goes on already is joined."""
    going_on = store.requests.unfinished(RequestKind.DESTROY, key)
    return going_on or store.requests.add(RequestKind.DESTROY, key)


def follow_destroy(
    environment: Environment, request: Request, timeout_s: float, on_left: OnLeft
) -> dict[str, Json]:
    """Wait for it; `on_left` is told what is still recorded each time that became less."""
    told: list[list[Resource]] = []

    def tell() -> None:
        left = environment.store.sessions.resources(request.key)
        if left not in told:
            told[:] = [left]
            on_left(left)

    answer = follow_request(environment, request, timeout_s=timeout_s, on_change=tell)
    Views(environment.store).session(request.key)
    return {
        "user_id": request.key.user_id,
        "session_id": request.key.session_id,
        "deleted": answer.get("deleted") or [],
        "left": answer.get("left") or [],
    }


def destroy_plan(store: Store, key: SessionKey) -> dict[str, Json]:
    """What destroying would delete, by the records alone: no login, nothing is changed."""
    resources = store.sessions.resources(key)
    others = _of_other_sessions(store, key) if _has_shared(resources) else set()
    session = store.sessions.get(key)
    is_there = bool(resources) or (session is not None and session.url is not None)
    deploys = store.releases.deploys(key) if is_there else []
    return {
        "plan": [_planned(one, others) for one in resources],
        "files": {
            "total": 0, "changed": 0, "deleted": deploys[0].files_total if deploys else 0,
            "bytes": 0,
        },
    }  # fmt: skip


def _planned(resource: Resource, others: set[tuple[str, str]]) -> Json:
    """A shared resource goes with the last session that uses it."""
    is_used = (resource.kind, resource.resource_id) in others
    tags: dict[str, Json] = dict(resource.tags)
    return {
        "action": "keep" if _is_shared(resource.tags) and is_used else "delete",
        "kind": resource.kind,
        "id": resource.resource_id,
        "tags": tags,
        "est_usd_day": None,
    }


def _of_other_sessions(store: Store, key: SessionKey) -> set[tuple[str, str]]:
    return {
        (one.kind, one.resource_id)
        for session in store.sessions.all()
        if session.key != key
        for one in store.sessions.resources(session.key)
    }


def _has_shared(resources: Sequence[Resource]) -> bool:
    return any(_is_shared(one.tags) for one in resources)


def _is_shared(tags: Mapping[str, str]) -> bool:
    return tags.get("Scope") == SHARED
