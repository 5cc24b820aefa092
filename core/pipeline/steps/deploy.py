"""Step 4: a release of `source/`, or a former one, is put on the session's host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from core.errors import NotFoundError, NothingToDeployError
from core.models.execution import Json, LogLevel
from core.models.release import Deploy, Published, Release, Resource
from core.models.states import StepState
from core.pipeline.step import RepeatableStep, StepContext, StepOutcome
from core.pipeline.target import deploy_result
from core.ports.host import MAX_DELETE, PublishRequest

_SHOWN_LEFT_OUT = 50
_UNKNOWN: Mapping[str, int] = MappingProxyType({})


class DeploySite(RepeatableStep):
    """One run publishes one release, however often it is taken up again."""

    name = "deploy"

    def run(self, ctx: StepContext) -> StepOutcome:
        before = [
            one
            for one in ctx.store.releases.deploys(ctx.key)
            if one.execution_id != ctx.execution.execution_id
        ]
        if ctx.execution.kind == "rollback" and before:
            ctx.note({"from_deploy": before[0].deploy})
        host = ctx.ports.hosts(ctx.session)
        host.prepare(ctx.session)
        release = self._release(ctx)
        previous = ctx.store.releases.get(ctx.key, before[0].release_id) if before else None
        published = host.publish(self._request(ctx, release, previous))
        deploy = self._record(ctx, release, published)
        return _outcome(deploy, published.resources, published.timings)

    def probe(self, ctx: StepContext) -> StepOutcome | None:
        """Recorded is done: the record is written after the host said that it serves."""
        for deploy in ctx.store.releases.deploys(ctx.key):
            if deploy.execution_id == ctx.execution.execution_id:
                ctx.ports.views.session(ctx.key)
                return _outcome(deploy, ctx.store.sessions.resources(ctx.key))
        return None

    def _release(self, ctx: StepContext) -> Release:
        """What this run publishes; noted before the first byte leaves, so it cannot change."""
        noted = ctx.execution.release_id or ctx.noted("release_id")
        if noted is not None:
            release = ctx.store.releases.get(ctx.key, noted)
            if release is None:
                raise NotFoundError(
                    f"The release {noted[:12]} of {ctx.key.session_id} is not known.",
                    remedy="Choose a deploy that status lists for this session.",
                )
            return release
        return self._take(ctx)

    def _take(self, ctx: StepContext) -> Release:
        missing = ctx.ports.releases.missing(ctx.session)
        if missing is not None:
            raise NothingToDeployError(
                f"There is no site to deploy: {missing.rstrip('.')}.",
                remedy=f"Ask for it with tmux-builder session send {ctx.key.session_id}.",
            )
        release = ctx.ports.releases.take(ctx.session)
        warnings = self._warn(ctx, release)
        with ctx.store.transaction():
            ctx.store.releases.add(ctx.key, release)
            ctx.note({"release_id": release.release_id, "warnings": warnings})
        ctx.log(
            "release taken",
            {
                "release_id": release.release_id,
                "files": len(release.files),
                "bytes": release.size_bytes,
            },
        )
        return release

    def _warn(self, ctx: StepContext, release: Release) -> list[Json]:
        for path in release.left_out[:_SHOWN_LEFT_OUT]:
            ctx.log("file not published", {"path": path}, level=LogLevel.WARN)
        rest = len(release.left_out) - _SHOWN_LEFT_OUT
        if rest > 0:
            ctx.log("more files not published", {"count": rest}, level=LogLevel.WARN)
        return [
            {"code": "left_out", "message": f"{path} is not published."}
            for path in release.left_out[:_SHOWN_LEFT_OUT]
        ]

    def _request(
        self, ctx: StepContext, release: Release, previous: Release | None
    ) -> PublishRequest:
        def log(message: str, details: Mapping[str, Json]) -> None:
            ctx.log(message, details)
            path = details.get("path")
            ctx.progress(f"{message} {path}" if isinstance(path, str) else message)

        return PublishRequest(
            session=ctx.session,
            execution_id=ctx.execution.execution_id,
            idempotency_key=ctx.idempotency_key,
            release=release,
            previous=previous,
            trees=ctx.ports.releases.trees(ctx.session),
            max_delete=MAX_DELETE if ctx.execution.max_delete is None else ctx.execution.max_delete,
            log=log,
            cancelled=ctx.cancelled,
        )

    def _record(self, ctx: StepContext, release: Release, published: Published) -> Deploy:
        with ctx.store.transaction():
            deploy = ctx.store.releases.record_deploy(
                ctx.key, ctx.execution.execution_id, release, published
            )
            ctx.store.sessions.set_deployed(
                ctx.key,
                url=published.url,
                at=ctx.ports.clock.now(),
                count=deploy.deploy,
                block=published.config_block,
                resources=published.resources,
            )
            _warn_of(ctx, published.warnings)
        ctx.ports.views.session(ctx.key)
        return deploy


def _warn_of(ctx: StepContext, found: Mapping[str, str]) -> None:
    """Beside what was left out: how the site is served; once, however often the step runs."""
    noted = ctx.store.executions.require(ctx.execution.execution_id).result.get("warnings")
    rows = noted if isinstance(noted, list) else []
    told: list[Json] = [{"code": code, "message": said} for code, said in found.items()]
    if any(one not in rows for one in told):
        ctx.note({"warnings": [*rows, *(one for one in told if one not in rows)]})


def _outcome(
    deploy: Deploy, resources: Sequence[Resource], timings: Mapping[str, int] = _UNKNOWN
) -> StepOutcome:
    listed: list[Json] = [
        {"kind": one.kind, "id": one.resource_id, "tags": dict(one.tags)} for one in resources
    ]
    return StepOutcome(
        state=StepState.OK,
        detail=f"deploy {deploy.deploy}: {deploy.files_changed} of {deploy.files_total} files"
        f" changed, {_took(timings)}{deploy.url}",
        result={**deploy_result(deploy), "resources": listed, "timings": dict(timings)},
    )


def _took(timings: Mapping[str, int]) -> str:
    """The CDN's own time is told apart from ours."""
    if "cdn_ms" not in timings:
        return ""
    ours, cdn = (timings.get(name, 0) / 1000 for name in ("publish_ms", "cdn_ms"))
    return f"published in {ours:.1f} s, CDN {cdn:.1f} s, "


STEP = DeploySite()
