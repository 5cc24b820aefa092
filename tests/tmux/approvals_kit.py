"""A supervised session of the real Claude on a bench, and what its operator does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.models.approval import Approval, ApprovalState, Decision
from core.models.execution import Json
from core.models.prompt import Prompt
from core.models.request import Request, RequestKind, RequestState
from core.models.session import SessionKey
from core.models.states import AgentState, SessionMode
from core.paths import DataRoot
from tests.tmux.agents_bench import CLOCK, Bench, Manner, bench_on, main_requests, running
from tmux_bridge.scripted_model import Reply, Script, ScriptedModel, Turn
from tmux_bridge.scripted_model.script import Call, When


def bash(command: str) -> Call:
    return Call(name="Bash", input={"command": command, "description": "Try"})


def wish(pattern: str, *calls: Call, said: str = "Done.") -> Turn:
    """One call after the other, then a last word."""
    steps = tuple(Reply(text="Now.", calls=(call,)) for call in calls)
    return Turn(name=pattern, when=When(text=pattern), replies=(*steps, Reply(text=said)))


@dataclass
class Desk:
    """One session with its operator."""

    bench: Bench
    model: ScriptedModel
    key: SessionKey
    asked: list[str] = field(default_factory=list)

    @property
    def source(self) -> Path:
        return self.bench.paths(self.key).source

    @property
    def answers(self) -> Path:
        return self.bench.paths(self.key).approvals

    def send(self, text: str) -> Prompt:
        return self.bench.send(self.key, text)

    def open(self) -> list[Approval]:
        return self.bench.store.approvals.open(self.key)

    def wait_asked(self, deadline_s: float = 30) -> Approval:
        """The next question that was not seen before, shown as a state that needs somebody."""

        def new() -> Approval | None:
            found = [one for one in self.open() if one.approval_id not in self.asked]
            return found[0] if found else None

        approval = self.bench.until(new, "an approval", self.key, deadline_s)
        self.asked.append(approval.approval_id)
        self.bench.wait_state(self.key, AgentState.NEEDS_YOU)
        return approval

    def decide(
        self, approval: Approval, decision: Decision, message: str | None = None
    ) -> dict[str, Json]:
        """Answer as the worker does for a front end."""
        payload: dict[str, Json] = {
            "approval_id": approval.approval_id, "decision": str(decision), "message": message,
        }  # fmt: skip
        request = Request(
            request_id="r", kind=RequestKind.DECIDE, key=self.key, payload=payload,
            state=RequestState.TAKEN, created_at=CLOCK.now(),
        )  # fmt: skip
        session = self.bench.store.sessions.get(self.key)
        assert session is not None
        return self.bench.team.approvals.decide(request, session)

    def finish(self, prompt: Prompt) -> None:
        """Wait for the end of the turn, whoever is asked meanwhile."""

        def is_over() -> bool:
            turn = self.bench.store.prompts.turn(prompt.prompt_id)
            return turn is not None and turn.outcome is not None

        self.bench.until(is_over, "the end of the turn", self.key)

    def state_of(self, approval: Approval) -> ApprovalState:
        found = self.bench.store.approvals.get(self.key, approval.approval_id)
        assert found is not None
        return found.state

    def wait_settled(self, approval: Approval, state: ApprovalState) -> Approval:
        self.bench.until(lambda: self.state_of(approval) is state, str(state), self.key)
        found = self.bench.store.approvals.get(self.key, approval.approval_id)
        assert found is not None
        return found

    def told(self) -> str:
        """What Claude's tools have answered so far, as the model reads it."""
        return "\n".join(
            text for one in main_requests(self.model) for raw in one.tool_results
            for text in _texts(json.loads(raw))
        )  # fmt: skip


@contextmanager
def supervised(
    root: DataRoot, *turns: Turn, mode: SessionMode = SessionMode.SUPERVISED,
    manner: Manner | None = None,
) -> Iterator[Desk]:  # fmt: skip
    """A bench with one session; its Claude starts with the first wish."""
    script = Script(name="approvals", turns=turns, default=Reply(text="ok"))
    with running(ScriptedModel(script)) as model, bench_on(root, manner) as bench:
        yield Desk(bench, model, bench.session(model, mode=mode))


def _texts(said: Any) -> list[str]:
    if isinstance(said, str):
        return [said]
    return [str(block.get("text", "")) for block in said]
