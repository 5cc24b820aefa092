"""Step 7: the built-in suite and Claude's own tests over the deployed site."""

from __future__ import annotations

from core.errors import AnswerIsNoError
from core.models.checks import CheckDocument
from core.models.execution import Json
from core.models.states import StepState
from core.pipeline.step import RepeatableStep, StepContext, StepOutcome
from core.pipeline.target import deployed


class EndToEndTests(RepeatableStep):
    """Tests can be run again; without a browser the step is skipped."""

    name = "e2e_tests"

    def run(self, ctx: StepContext) -> StepOutcome:
        if ctx.execution.skip_tests:
            return StepOutcome(state=StepState.SKIPPED, detail="not wanted for this run")
        target = deployed(ctx)
        document = ctx.ports.checks.e2e(target.url, paths=ctx.paths, cancelled=ctx.cancelled)
        tests = tests_result(document)
        result: dict[str, Json] = {**target.result, "tests": dict(tests)}
        if document.skipped is not None:
            return StepOutcome(
                state=StepState.SKIPPED, detail=document.skipped, result=target.result
            )
        if document.passed:
            return StepOutcome(detail=f"{tests['passed']} passed", result=result)
        return _failed(ctx, document, tests, result)


def tests_result(document: CheckDocument) -> dict[str, int]:
    def count(name: str) -> int:
        value = document.details.get(name)
        return value if isinstance(value, int) else 0

    return {name: count(name) for name in ("passed", "failed", "skipped")}


def _failed(
    ctx: StepContext, document: CheckDocument, tests: dict[str, int], result: dict[str, Json]
) -> StepOutcome:
    error = (document.error or "the tests gave no reason").rstrip(".")
    total = tests["passed"] + tests["failed"]
    counted = f"{tests['failed']} of {total} tests failed"
    # The document's own sentence may count already.
    message = error if not tests["failed"] or counted in error else f"{counted}: {error}"
    return StepOutcome(
        state=StepState.FAILED,
        detail=error,
        result=result,
        failure=AnswerIsNoError(
            f"{message}.", remedy=f"tmux-builder test {ctx.key.session_id}", code="e2e_failed"
        ),
    )


STEP = EndToEndTests()
