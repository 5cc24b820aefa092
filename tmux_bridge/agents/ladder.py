"""How a session's Claude is brought back: the CLI writes its transcript late, so there are rungs.

A rung has failed when the process ends before it is ready.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

LOST = "Claude could not go on with its conversation and began a new one; the files are all there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way to start. `note` is for the operator once this rung has worked."""

    claude_session_id: str
    resume: bool = False
    note: str | None = None


def rungs(known_id: str | None) -> tuple[Rung, ...]:
    """The ways to try, in order.

    A process that was killed early left no conversation: then the same id still works. One that
    was killed while it wrote left half of one: then neither does, and only a new id is left.
    """
    fresh = str(uuid.uuid4())
    if known_id is None:
        return (Rung(claude_session_id=fresh),)
    return (
        Rung(claude_session_id=known_id, resume=True),
        Rung(claude_session_id=known_id),
        Rung(claude_session_id=fresh, note=LOST),
    )
