"""Step 1: the user's GUID folder, document and registry entry."""

from __future__ import annotations

from core.pipeline.step import RepeatableStep, StepContext, StepOutcome


class CreateUser(RepeatableStep):
    """Insert or read: a user that is there stays as it is."""

    name = "create_user"

    def run(self, ctx: StepContext) -> StepOutcome:
        ctx.ports.accounts.ensure_user(ctx.key.user_id)
        return StepOutcome(detail=f"user {ctx.key.user_id[:8]}")


STEP = CreateUser()
