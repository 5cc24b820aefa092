"""A deploy as data, before anything is done. Loads the host, so light verbs do not import this."""

from __future__ import annotations

import sys
from pathlib import Path

from core.hosts.environment import HostEnvironment
from core.hosts.registry import find_host
from core.models.execution import Json, execution_id_for
from core.models.session import Session
from core.ports.host import PublishRequest
from core.publish.snapshot import preview_release
from core.publish.trees import GitReleaseTrees
from core.services.context import Environment
from core.store.documents import plan_document


def plan_deploy(environment: Environment, session: Session) -> dict[str, Json]:
    """The plan's document; its tags name the execution that the next run would be."""
    store, key = environment.store, session.key
    paths = environment.root.session(key.user_id, key.session_id)
    release = preview_release(paths.source, session.site_type)
    deploys = store.releases.deploys(key)
    newest = store.executions.newest(key)
    execution_id = execution_id_for(key, 1 if newest is None else newest.run + 1)
    host = find_host(
        session.host_provider,
        session.site_type,
        HostEnvironment(
            root=environment.root,
            runtime=environment.runtime,
            store=store,
            clock=environment.clock,
            python=Path(sys.executable),
            isolation=environment.settings.isolation_required,
        ),
    )
    previous = deploys[0].release_id if deploys and session.url else None
    request = PublishRequest(
        session=session,
        execution_id=execution_id,
        idempotency_key=f"{execution_id}:4",
        release=release,
        previous=None if previous is None else store.releases.get(key, previous),
        trees=GitReleaseTrees(paths.repository),
    )
    return plan_document(host.plan(request))
