"""A deploy as data, before anything is done. Loads the host, so light verbs do not import this."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from core.errors import NotFoundError
from core.hosts.environment import HostEnvironment
from core.hosts.registry import find_host
from core.models.execution import Json, execution_id_for
from core.models.release import Deploy, Release
from core.models.session import Session
from core.ports.host import MAX_DELETE, PublishRequest
from core.publish.snapshot import preview_release
from core.publish.trees import GitReleaseTrees
from core.services.context import Environment
from core.store.documents import plan_document


def plan_deploy(
    environment: Environment,
    session: Session,
    *,
    suffix: str | None = None,
    max_delete: int | None = None,
) -> dict[str, Json]:
    """What publishing `source/` would do; its tags name the execution that the next run would be.

    Args:
        suffix: As `deploy --suffix` would set it.
    """
    source = environment.root.session(session.key.user_id, session.key.session_id).source
    release = preview_release(source, session.site_type)
    named = session if suffix is None else replace(session, name_suffix=suffix)
    return _planned(environment, named, release, max_delete)


def plan_rollback(
    environment: Environment, session: Session, target: Deploy, *, max_delete: int | None = None
) -> dict[str, Json]:
    """What bringing that deploy back would do.

    Raises:
        NotFoundError: Its release is not in the store.
    """
    release = environment.store.releases.get(session.key, target.release_id)
    if release is None:
        raise NotFoundError(
            f"The release of deploy {target.deploy} of {session.key.session_id} is not known.",
            remedy="Choose another deploy with --to.",
        )
    return _planned(environment, session, release, max_delete)


def _planned(
    environment: Environment, session: Session, release: Release, max_delete: int | None
) -> dict[str, Json]:
    store, key = environment.store, session.key
    newest = store.executions.newest(key)
    execution_id = execution_id_for(key, 1 if newest is None else newest.run + 1)
    deploys = store.releases.deploys(key) if session.url else []
    paths = environment.root.session(key.user_id, key.session_id)
    request = PublishRequest(
        session=session,
        execution_id=execution_id,
        idempotency_key=f"{execution_id}:4",
        release=release,
        previous=store.releases.get(key, deploys[0].release_id) if deploys else None,
        trees=GitReleaseTrees(paths.repository),
        max_delete=MAX_DELETE if max_delete is None else max_delete,
    )
    host = find_host(session.host_provider, session.site_type, _host_environment(environment))
    return plan_document(host.plan(request))


def _host_environment(environment: Environment) -> HostEnvironment:
    return HostEnvironment(
        root=environment.root,
        runtime=environment.runtime,
        store=environment.store,
        clock=environment.clock,
        python=Path(sys.executable),
        settings=environment.settings,
        environ=environment.environ,
    )
