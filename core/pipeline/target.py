"""Which URL and which release the checks of a run ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import AnswerIsNoError
from core.models.execution import Json
from core.models.release import Deploy
from core.pipeline.step import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is deployed, and the keys of the run's result that say so."""

    url: str
    release_id: str
    result: Mapping[str, Json]


def deployed(ctx: StepContext) -> Target:
    """This run's deploy, or the session's newest where the run begins at a check.

    Raises:
        AnswerIsNoError: The session has never been deployed, or it was destroyed.
    """
    deploys = ctx.store.releases.deploys(ctx.key)
    own = [one for one in deploys if one.execution_id == ctx.execution.execution_id]
    if not deploys or (not own and ctx.session.url is None):
        raise AnswerIsNoError(
            f"{ctx.key.session_id} has no deployed site to look at.",
            remedy=f"tmux-builder deploy {ctx.key.session_id}",
            code="not_deployed",
        )
    deploy = own[0] if own else deploys[0]
    return Target(url=deploy.url, release_id=deploy.release_id, result=deploy_result(deploy))


def deploy_result(deploy: Deploy) -> dict[str, Json]:
    """The keys of a run's result that a deploy's row gives."""
    return {
        "deploy": deploy.deploy,
        "url": deploy.url,
        "deployed_url": deploy.url,
        "release_id": deploy.release_id,
        "files": {
            "total": deploy.files_total,
            "changed": deploy.files_changed,
            "bytes": deploy.size_bytes,
        },
    }
