"""Step 6: the deployed site is photographed."""

from __future__ import annotations

from pathlib import Path

from core.errors import BuilderError
from core.models.checks import CheckDocument
from core.models.execution import Json
from core.models.states import StepState
from core.paths import SessionPaths
from core.pipeline.step import RepeatableStep, StepContext, StepOutcome
from core.pipeline.target import deployed


class Screenshot(RepeatableStep):
    """Pictures replace the former ones whole; without a browser the step is skipped."""

    name = "screenshot"

    def run(self, ctx: StepContext) -> StepOutcome:
        target = deployed(ctx)
        document = ctx.ports.checks.screenshot(target.url, paths=ctx.paths, cancelled=ctx.cancelled)
        if document.skipped is not None:
            return StepOutcome(
                state=StepState.SKIPPED, detail=document.skipped, result=target.result
            )
        if document.passed:
            shots = shots_result(document, ctx.paths)
            result: dict[str, Json] = {**target.result, "shots": shots}
            return StepOutcome(detail=str(shots["full"]), result=result)
        error = (document.error or "no picture was made").rstrip(".")
        return StepOutcome(
            state=StepState.FAILED,
            detail=error,
            result=target.result,
            failure=BuilderError(
                f"The screenshot of {target.url} failed: {error}.",
                remedy=f"tmux-builder screenshot {ctx.key.session_id}",
                code="screenshot_failed",
            ),
        )


def shots_result(document: CheckDocument, paths: SessionPaths) -> dict[str, Json]:
    """The pictures' paths relative to the session folder."""
    return {
        "full": _relative(document.details.get("path"), paths),
        "thumb": _relative(document.details.get("thumbnail_path"), paths),
    }


def _relative(value: Json, paths: SessionPaths) -> str | None:
    if not isinstance(value, str):
        return None
    path = Path(value)
    if path.is_absolute() and path.is_relative_to(paths.root):
        return path.relative_to(paths.root).as_posix()
    # A bare name lies beside its document.
    if len(path.parts) == 1:
        return (paths.tests / path).relative_to(paths.root).as_posix()
    return value


STEP = Screenshot()
