"""States as closed sets of words, apart from the records: light enough for a first paint."""

from __future__ import annotations

from enum import StrEnum


class SessionState(StrEnum):
    """What the list shows; the order of the members is the order of attention."""

    NEEDS_YOU = "needs_you"
    FAILED = "failed"
    WORKING = "working"
    LIVE = "live"
    IDLE = "idle"
    PARKED = "parked"
    ENDED = "ended"


class AgentState(StrEnum):
    """What the Claude process of a session does."""

    ABSENT = "absent"
    STARTING = "starting"
    IDLE = "idle"
    WORKING = "working"
    NEEDS_YOU = "needs_you"
    PARKED = "parked"
    ENDED = "ended"


class Needs(StrEnum):
    """What a waiting Claude waits for."""

    PERMISSION = "permission"
    QUESTION = "question"
    LOGIN = "login"


class SessionMode(StrEnum):
    """Who decides about what the allow list does not name: nobody (denied), or the operator."""

    UNATTENDED = "unattended"
    SUPERVISED = "supervised"


class ModelSpeed(StrEnum):
    """How fast the scripted model answers a simulated session."""

    SLOW = "slow"
    NORMAL = "normal"
    FAST = "fast"


class ExecutionStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self not in {ExecutionStatus.PENDING, ExecutionStatus.RUNNING}


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self not in {StepState.PENDING, StepState.RUNNING}


class PromptKind(StrEnum):
    """Why a text is typed into a pane."""

    BRIEF = "brief"
    WISH = "wish"
    COMMAND = "command"


class Receipt(StrEnum):
    """How far a prompt came; every step but the first is evidence."""

    QUEUED = "queued"
    BUFFERED = "buffered"
    TYPED = "typed"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        return self in {Receipt.ACCEPTED, Receipt.REFUSED, Receipt.UNKNOWN}


class TurnOutcome(StrEnum):
    """How a turn ended."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
