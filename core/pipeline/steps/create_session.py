"""Step 2: the session's folder tree, its configuration and what the library injects."""

from __future__ import annotations

from core.pipeline.step import RepeatableStep, StepContext, StepOutcome


class CreateSession(RepeatableStep):
    """Repairs what is missing; nothing that is there is replaced by something older."""

    name = "create_session"

    def run(self, ctx: StepContext) -> StepOutcome:
        ctx.ports.accounts.ensure_session(ctx.key)
        return StepOutcome(detail=ctx.key.session_id)


STEP = CreateSession()
