"""Step 5: the URL answers, and with this run's release."""

from __future__ import annotations

from core.errors import AnswerIsNoError
from core.models.checks import CheckDocument
from core.models.execution import Json
from core.models.states import StepState
from core.pipeline.step import RepeatableStep, StepContext, StepOutcome
from core.pipeline.target import deployed


class HealthCheck(RepeatableStep):
    """A look can always be repeated."""

    name = "health_check"

    def run(self, ctx: StepContext) -> StepOutcome:
        target = deployed(ctx)
        document = ctx.ports.checks.health(
            target.url,
            paths=ctx.paths,
            expected_release=target.release_id,
            cancelled=ctx.cancelled,
        )
        result: dict[str, Json] = {**target.result, "check": check_result(document)}
        if document.skipped is not None:
            return StepOutcome(state=StepState.SKIPPED, detail=document.skipped, result=result)
        if document.passed:
            status = document.details.get("status_code")
            detail = f"{status} in {document.duration_ms} ms, tries: {document.attempts}"
            return StepOutcome(detail=detail, result=result)
        error = (document.error or "it did not answer as it should").rstrip(".")
        message = f"The health check of {target.url} failed: {error}."
        return StepOutcome(
            state=StepState.FAILED,
            detail=error,
            result=result,
            failure=AnswerIsNoError(
                message, remedy=f"tmux-builder check {ctx.key.session_id}", code="health_failed"
            ),
        )


def check_result(document: CheckDocument) -> dict[str, Json]:
    content_type = document.details.get("content_type")
    return {
        "status": document.details.get("status_code"),
        "type": content_type.split(";")[0].strip() if isinstance(content_type, str) else None,
        "bytes": document.details.get("response_size_bytes"),
        "ms": document.duration_ms,
        "tries": document.attempts,
    }


STEP = HealthCheck()
