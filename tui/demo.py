"""The demo: the real Claude CLI and a scripted model build, deploy, change and redeploy a site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.errors import BuilderError
from core.models.execution import Execution, Json, StepRecord
from core.models.session import SessionKey
from core.models.states import ExecutionStatus, ModelSpeed, StepState, TurnOutcome
from core.services.services import Services
from core.services.sessions import SessionFilter
from core.services.waiting import failure_of

EMAIL = "demo@example.com"
PHONE = "+1 555 010 0199"
BRIEF = "A bakery site with three pages: home, menu and contact. Warm colours."
CHANGE = "Make the header blue."
RUN_TIMEOUT_S = 300.0
TURN_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the demo ended with."""

    key: SessionKey
    execution_id: str
    url: str
    document: Mapping[str, Json]


class Demo:
    """Runs the whole loop through the same services as any operator."""

    def __init__(self, services: Services, on_progress: Callable[[str], None]) -> None:
        self._services = services
        self._say = on_progress
        self._seen: dict[int, StepState] = {}

    def run(self, *, keep: bool, port: int | None, speed: ModelSpeed) -> DemoResult:
        """Two runs and one wish; the site still answers afterwards.

        Args:
            keep: Leave the session of the demo before.
            port: Where the site shall answer; chosen by the product when None.
            speed: How fast the scripted model answers.

        Raises:
            BuilderError: A part failed; the session stays for a look.
        """
        user = self._services.users.create(EMAIL, PHONE, name="Demo", start=False).user
        if not keep:
            self._remove_former(user.user_id)
        key = self._first_run(user.user_id, port, speed)
        self._say(f"wish: {CHANGE}")
        self._wish(key)
        execution = self._follow(self._services.deploys.start(key).execution_id)
        document = {**self._services.status.deploy_document(execution.execution_id)}
        document["simulated"] = True
        url = str(document["url"])
        self._say(f"The site answers at {url}")
        return DemoResult(key=key, execution_id=execution.execution_id, url=url, document=document)

    def _first_run(self, user_id: str, port: int | None, speed: ModelSpeed) -> SessionKey:
        created = self._services.sessions.create(
            user_id, prompt=BRIEF, start=False, simulated=True, model_speed=speed
        )
        key = created.session.key
        if port is not None:
            self._services.environment.store.sessions.set_port(key, port)
        self._say(f"brief: {BRIEF}")
        self._follow(self._services.deploys.start(key, from_step=1).execution_id)
        return key

    def _remove_former(self, user_id: str) -> None:
        former = self._services.sessions.list(SessionFilter(user=user_id)).sessions
        for row in former:
            if row.session.simulated:
                self._say(f"replacing {row.key.session_id}")
                self._services.chat.stop(row.key, TURN_TIMEOUT_S)
                if row.session.url is not None:
                    self._services.deploys.destroy(row.key, row.key.session_id, TURN_TIMEOUT_S)
                self._services.sessions.archive(row.key)

    def _wish(self, key: SessionKey) -> None:
        prompt = self._services.chat.send(key, CHANGE)
        turn = self._services.chat.wait_reply(prompt.prompt_id, TURN_TIMEOUT_S)
        if turn.outcome is not TurnOutcome.FINISHED:
            raise BuilderError(
                f"Claude's turn did not finish: {turn.message}", remedy="tmux-builder doctor"
            )
        self._say(f"claude: {turn.message}")

    def _follow(self, execution_id: str) -> Execution:
        self._seen.clear()
        execution = self._services.deploys.wait(execution_id, RUN_TIMEOUT_S, self._show)
        if execution.status is not ExecutionStatus.COMPLETED:
            raise failure_of(execution)
        return execution

    def _show(self, _execution: Execution, steps: list[StepRecord]) -> None:
        for step in steps:
            if step.state.is_over and self._seen.get(step.n) is not step.state:
                took = "" if step.ms is None else f" {step.ms / 1000:.1f} s"
                self._say(f"{step.n}/7 {step.name:<15}{step.state}{took}  {step.detail or ''}")
            self._seen[step.n] = step.state
