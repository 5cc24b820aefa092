"""What a step is: its name, what it gets, what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import BuilderError
from core.models.execution import Execution, Json, LogLevel
from core.models.session import Session, SessionKey
from core.models.states import StepState
from core.paths import DataRoot, SessionPaths
from core.pipeline.ports import StepPorts
from core.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """How a step ended.

    Attributes:
        state: ok, failed or skipped.
        detail: One line for people; for a skipped step the remedy.
        result: Keys that are merged into the run's result, whatever the state is.
        failure: Why it failed, with remedy and code; needed where `state` is failed.
    """

    state: StepState = StepState.OK
    detail: str | None = None
    result: Mapping[str, Json] = field(default_factory=dict)
    failure: BuilderError | None = None


class StepLog(Protocol):
    """Adds a line to the run's log, under the step that runs."""

    def __call__(
        self,
        message: str,
        details: Mapping[str, Json] | None = None,
        *,
        level: LogLevel = LogLevel.INFO,
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """One attempt of one step of one run.

    Attributes:
        log: Adds a line to the run's log.
        progress: Shows one line beside the running step; cheap to call often.
        cancelled: True once the step must leave: the operator cancelled or the worker stops.
        note: Commits keys of the run's result at once, before an effect that depends on them.
    """

    execution: Execution
    session: Session
    store: Store
    root: DataRoot
    ports: StepPorts
    n: int
    log: StepLog
    progress: Callable[[str], None]
    cancelled: Callable[[], bool]

    @property
    def key(self) -> SessionKey:
        return self.execution.key

    @property
    def paths(self) -> SessionPaths:
        return self.root.session(self.key.user_id, self.key.session_id)

    @property
    def idempotency_key(self) -> str:
        """`execution:step`: the same for every attempt of this step."""
        return f"{self.execution.execution_id}:{self.n}"

    def note(self, result: Mapping[str, Json]) -> None:
        self.store.executions.set_result(self.execution.execution_id, result)

    def noted(self, name: str) -> str | None:
        """A text of the run's result as it is now."""
        value = self.store.executions.require(self.execution.execution_id).result.get(name)
        return value if isinstance(value, str) else None


class Step(Protocol):
    """One step of the pipeline. It may be run again after a crash at any instant."""

    @property
    def name(self) -> str:
        """Its name in `core.models.execution.STEPS`."""

    def run(self, ctx: StepContext) -> StepOutcome:
        """Do it.

        Raises:
            BuilderError: It failed; the message, the remedy and the code become the run's.
        """

    def probe(self, ctx: StepContext) -> StepOutcome | None:
        """Asked before `run` when an earlier attempt died: the outcome if the work is done."""

    def abandon(self, ctx: StepContext) -> None:
        """The operator cancelled during the step: end what would go on without the pipeline."""


class RepeatableStep:
    """Base of steps that can simply be run again and leave nothing running behind."""

    def probe(self, ctx: StepContext) -> StepOutcome | None:  # noqa: ARG002 - the protocol's
        return None

    def abandon(self, ctx: StepContext) -> None:
        pass
