"""The desk of approvals over a real store and real files; only Claude is played."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.errors import ConflictError, NotFoundError, StorageError, UsageError
from core.models.approval import AnsweredBy, Approval, ApprovalState, Decision
from core.models.execution import Json
from core.models.request import Request, RequestKind, RequestState
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, Needs, SessionMode
from tests.unit.services_place import Place, make_place
from tmux_bridge import approval_requests
from tmux_bridge.approval_requests import ApprovalRequests
from tmux_bridge.approvals import GONE_AFTER_S, OPEN_LIMIT, RATE, ApprovalDesk
from tmux_bridge.claude.hooks import HookEvent, decode_event

TIMEOUT_S = 600.0


@dataclass
class MovedClock(SystemClock):
    """The real clock, put forward by hand."""

    ahead_s: float = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


@dataclass
class Office:
    """One supervised session whose Claude waits, and its desk."""

    place: Place
    clock: MovedClock
    key: SessionKey
    desk: ApprovalDesk = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        self.desk = ApprovalDesk(self.place.store, self.clock, TIMEOUT_S)
        self.set_state(AgentState.NEEDS_YOU)
        self.desk.begin(self.key)

    @property
    def agent(self) -> Agent:
        return self.place.store.agents.get(self.key)

    @property
    def folder(self) -> Path:
        return self.place.root.session(self.key.user_id, self.key.session_id).approvals

    def set_state(self, state: AgentState, mode: SessionMode = SessionMode.SUPERVISED) -> None:
        needs = Needs.PERMISSION if state is AgentState.NEEDS_YOU else None
        self.place.set_agent(self.key, state, needs=needs, mode=mode)

    def event(self, tool: str = "Bash", at_s: float = 0.0, **tool_input: Any) -> HookEvent:
        self.count += 1
        name = f"{time.time_ns() + int(at_s * 1e9) + self.count}-7.json"
        payload = {
            "hook_event_name": "PermissionRequest",
            "session_id": "c1",
            "tool_name": tool,
            "tool_input": tool_input or {"command": "npm install"},
        }
        return decode_event(name, json.dumps(payload).encode())

    def ask(self, *events: HookEvent) -> list[Approval]:
        """One look's worth of events, as the watcher does it."""
        taken = self.desk.intake(self.agent, events)
        with self.place.store.transaction():
            self.desk.store(taken.approvals)
        self.desk.stored(taken.approvals)
        return list(taken.approvals)

    def answer(self, approval: Approval) -> list[str]:
        path = self.folder / f"{approval.approval_id}.json"
        return path.read_text().splitlines() if path.exists() else []

    def decision(self, approval: Approval) -> dict[str, str]:
        output = json.loads(self.answer(approval)[1])["hookSpecificOutput"]
        assert output["hookEventName"] == "PermissionRequest"
        found: dict[str, str] = output["decision"]
        return found

    def state_of(self, approval: Approval) -> Approval:
        found = self.place.store.approvals.get(self.key, approval.approval_id)
        assert found is not None
        return found

    def decide(
        self, approval_id: str, decision: Decision, message: str | None = None
    ) -> dict[str, Json]:
        payload: dict[str, Json] = {
            "approval_id": approval_id,
            "decision": str(decision),
            "message": message,
        }
        request = Request(
            request_id="r",
            kind=RequestKind.DECIDE,
            key=self.key,
            payload=payload,
            state=RequestState.TAKEN,
            created_at=self.clock.now(),
        )
        session = self.place.store.sessions.get(self.key)
        assert session is not None
        return ApprovalRequests(self.place.store, self.desk, self.clock).decide(request, session)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    clock = MovedClock()
    place = make_place(tmp_path, clock=clock)
    return Office(place, clock, place.session())


@pytest.fixture
def taken(office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A Claude that takes every answer at once."""
    settle = office.desk.settle

    def settled(approval: Approval, *args: Any, **more: Any) -> bool:
        won = settle(approval, *args, **more)
        office.set_state(AgentState.WORKING)
        return won

    monkeypatch.setattr(office.desk, "settle", settled)
    return lambda: None


def test_a_question_is_a_row_before_anything_else(office: Office) -> None:
    [approval] = office.ask(office.event(command="npm install\nrm -rf /"))
    [row] = office.place.store.approvals.open(office.key)
    assert row.approval_id == approval.approval_id
    assert approval.subject == "npm install rm -rf /"
    assert approval.rule_subject == "npm install\nrm -rf /"
    assert (approval.deadline_at - approval.created_at).total_seconds() == TIMEOUT_S
    assert office.answer(approval) == []


def test_the_same_event_twice_is_one_question(office: Office) -> None:
    event = office.event()
    office.ask(event)
    office.ask(event)
    assert len(office.place.store.approvals.newest(office.key)) == 1


def test_an_unattended_claude_asks_nobody(office: Office) -> None:
    office.set_state(AgentState.NEEDS_YOU, SessionMode.UNATTENDED)
    event = office.event()
    assert office.desk.intake(office.agent, [event]).events == [event]
    assert office.ask(event) == []


def test_an_answer_names_the_event_that_it_answers(
    office: Office, taken: Callable[[], None]
) -> None:
    [approval] = office.ask(office.event())
    office.decide(approval.approval_id, Decision.ALLOW)
    bound = json.loads(office.answer(approval)[0])
    assert bound == {"event_sha256": approval.event_sha256}
    assert office.decision(approval) == {"behavior": "allow"}
    assert office.answer(approval)[0] == f'{{"event_sha256": "{approval.event_sha256}"}}'


def test_a_deny_carries_the_sentence(office: Office, taken: Callable[[], None]) -> None:
    [approval] = office.ask(office.event())
    office.decide(approval.approval_id, Decision.DENY, 'say "no"\n$(x) ü')
    assert office.decision(approval) == {"behavior": "deny", "message": 'say "no"\n$(x) ü'}
    assert len(office.answer(approval)) == 2


def test_a_rule_answers_without_asking(office: Office, taken: Callable[[], None]) -> None:
    [approval] = office.ask(office.event())
    office.decide(approval.approval_id, Decision.ALLOW_SESSION)
    event = office.event()
    intake = office.desk.intake(office.agent, [event])
    assert intake.events == []
    [again] = office.ask(event)
    assert (again.state, again.answered_by) == (ApprovalState.ALLOWED, AnsweredBy.RULE)
    assert office.decision(again) == {"behavior": "allow"}
    [other] = office.ask(office.event(command="npm install "))
    assert other.is_open


def test_a_rule_does_not_pass_from_one_session_to_the_next(
    office: Office, taken: Callable[[], None]
) -> None:
    [approval] = office.ask(office.event())
    office.decide(approval.approval_id, Decision.ALLOW_SESSION)
    other = Office(office.place, office.clock, office.place.session("bob@acme.io"))
    assert other.ask(other.event())[0].is_open


def test_what_nobody_answers_in_time_is_a_deny(office: Office) -> None:
    [approval] = office.ask(office.event())
    office.desk.look(office.agent)
    assert office.state_of(approval).is_open
    office.clock.ahead_s = TIMEOUT_S
    office.desk.look(office.agent)
    assert office.state_of(approval).state is ApprovalState.EXPIRED
    assert "nobody answered within 10 min" in office.decision(approval)["message"]
    assert office.decision(approval)["behavior"] == "deny"


def test_a_decision_after_the_deadline_is_too_late(office: Office) -> None:
    [approval] = office.ask(office.event())
    office.clock.ahead_s = TIMEOUT_S
    with pytest.raises(ConflictError) as caught:
        office.decide(approval.approval_id, Decision.ALLOW)
    assert caught.value.code == "expired"
    assert office.decision(approval)["behavior"] == "deny"


def test_a_question_from_before_a_workers_absence_keeps_its_deadline(office: Office) -> None:
    [late] = office.ask(office.event(at_s=-TIMEOUT_S - 1))
    assert late.state is ApprovalState.EXPIRED
    [later] = office.ask(office.event(at_s=-TIMEOUT_S + 60))
    assert (later.deadline_at - office.clock.now()).total_seconds() < 61


def test_a_name_from_the_future_gives_no_longer_time(office: Office) -> None:
    [approval] = office.ask(office.event(at_s=50))
    assert (approval.deadline_at - office.clock.now()).total_seconds() <= TIMEOUT_S


def test_a_claude_that_waits_no_more_withdraws_its_question_after_a_moment(
    office: Office,
) -> None:
    [approval] = office.ask(office.event())
    office.set_state(AgentState.WORKING)
    office.desk.look(office.agent)
    assert office.state_of(approval).is_open
    office.clock.ahead_s = GONE_AFTER_S
    office.desk.look(office.agent)
    assert office.state_of(approval).state is ApprovalState.WITHDRAWN
    assert office.answer(approval)[1:] == [""]


def test_a_gap_between_two_questions_withdraws_nothing(office: Office) -> None:
    [approval] = office.ask(office.event())
    for state in (AgentState.WORKING, AgentState.NEEDS_YOU, AgentState.WORKING):
        office.set_state(state)
        office.clock.ahead_s += GONE_AFTER_S / 2
        office.desk.look(office.agent)
    assert office.state_of(approval).is_open


@pytest.mark.parametrize("state", [AgentState.ENDED, AgentState.PARKED])
def test_a_claude_that_is_gone_asks_nothing(office: Office, state: AgentState) -> None:
    [approval] = office.ask(office.event())
    office.set_state(state)
    office.desk.look(office.agent)
    assert office.state_of(approval).state is ApprovalState.WITHDRAWN


def test_a_new_worker_finds_open_questions_and_writes_unwritten_answers(office: Office) -> None:
    first, second = office.ask(office.event(), office.event(command="npm test"))
    office.place.store.approvals.settle(
        office.key, first.approval_id, ApprovalState.ALLOWED, answered_by=AnsweredBy.OPERATOR
    )
    assert office.answer(first) == []
    office.desk = ApprovalDesk(office.place.store, office.clock, TIMEOUT_S)
    office.desk.begin(office.key)
    assert office.decision(first) == {"behavior": "allow"}
    office.clock.ahead_s = TIMEOUT_S
    office.desk.look(office.agent)
    assert office.state_of(second).state is ApprovalState.EXPIRED


def test_a_new_worker_withdraws_what_a_dead_claude_asked(office: Office) -> None:
    [approval] = office.ask(office.event())
    office.set_state(AgentState.ENDED)
    ApprovalDesk(office.place.store, office.clock, TIMEOUT_S).withdraw_orphans()
    assert office.state_of(approval).state is ApprovalState.WITHDRAWN


def test_forged_questions_are_few_and_the_rest_is_denied_or_dropped(office: Office) -> None:
    events = [office.event(command=f"echo {number}") for number in range(RATE * 2)]
    made = office.ask(*events)
    assert len(made) == RATE
    assert len(office.place.store.approvals.open(office.key)) == OPEN_LIMIT
    refused = [one for one in made if not one.is_open]
    assert {one.state for one in refused} == {ApprovalState.DENIED}
    assert "wait for the operator already" in office.decision(refused[-1])["message"]
    office.clock.ahead_s = 11
    office.desk.look(office.agent)
    [next_one] = office.ask(office.event())
    assert next_one.state is ApprovalState.DENIED


def test_the_same_decision_again_is_the_same_and_another_is_refused(
    office: Office, taken: Callable[[], None]
) -> None:
    [approval] = office.ask(office.event())
    office.decide(approval.approval_id, Decision.DENY, "No.")
    assert office.decide(approval.approval_id, Decision.DENY, "No.")["decision"] == "deny"
    for decision, message in (
        (Decision.DENY, "Another word."),
        (Decision.ALLOW, None),
        (Decision.ALLOW_SESSION, None),
    ):
        with pytest.raises(ConflictError) as caught:
            office.decide(approval.approval_id, decision, message)
        assert caught.value.code == "already_answered"
    assert office.place.store.approvals.allowances(office.key) == []


def test_allowed_once_is_not_allowed_for_good_afterwards(
    office: Office, taken: Callable[[], None]
) -> None:
    [approval] = office.ask(office.event())
    office.decide(approval.approval_id, Decision.ALLOW)
    with pytest.raises(ConflictError):
        office.decide(approval.approval_id, Decision.ALLOW_SESSION)
    assert office.place.store.approvals.allowances(office.key) == []


def test_an_answer_that_claude_does_not_take_is_said(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval_requests, "GONE_S", 0.1)
    [approval] = office.ask(office.event())
    with pytest.raises(ConflictError) as caught:
        office.decide(approval.approval_id, Decision.ALLOW)
    assert caught.value.code == "not_taken"
    assert "attach" in caught.value.remedy


def test_an_answer_beside_another_question_is_taken_when_its_hook_says_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval_requests, "GONE_S", 0.1)
    first, _ = office.ask(office.event(), office.event(command="npm test"))
    receipt = {
        "hook_event_name": "ApprovalTaken",
        "session_id": "",
        "prompt_id": first.approval_id,
    }
    office.ask(decode_event(f"{time.time_ns()}-8.json", json.dumps(receipt).encode()))
    assert office.decide(first.approval_id, Decision.ALLOW)["decision"] == "allow"


def test_what_no_rule_covers_is_refused_for_the_session(office: Office) -> None:
    [approval] = office.ask(office.event(command="x" * 5000))
    assert approval.rule_subject is None
    assert len(approval.subject) < 400
    with pytest.raises(UsageError, match="only be allowed once"):
        office.decide(approval.approval_id, Decision.ALLOW_SESSION)
    assert office.state_of(approval).is_open


def test_an_unknown_approval_is_not_found(office: Office) -> None:
    with pytest.raises(NotFoundError):
        office.decide("1-1", Decision.ALLOW)


@pytest.mark.parametrize(
    ("tool", "given", "subject", "rule"),
    [
        ("Write", {"file_path": "/s/a.html", "content": "x"}, "/s/a.html", "/s/a.html"),
        ("NotebookEdit", {"notebook_path": "/s/n.ipynb"}, "/s/n.ipynb", "/s/n.ipynb"),
        ("WebFetch", {"url": "https://Example.org:8/a?b"}, "https://Example.org:8/a?b",
         "example.org"),
        ("WebFetch", {"url": "http://[::1"}, "http://[::1", None),
        ("Bash", {"command": ""}, "Bash", None),
        ("Bash", {"command": ["a"]}, "Bash", None),
        ("mcp__x__y", {"z": 1}, "mcp__x__y", "mcp__x__y"),
        ("Bash", {"command": "curl -H 'authorization: Bearer abcdef0123456789abcdef'"}, None, None),
    ],
)  # fmt: skip
def test_a_call_is_told_in_a_line_and_covered_exactly(
    office: Office, tool: str, given: dict[str, Any], subject: str | None, rule: str | None
) -> None:
    [approval] = office.ask(office.event(tool, **given))
    assert approval.rule_subject == rule
    if subject is not None:
        assert approval.subject == subject
    else:
        assert "abcdef0123456789" not in approval.subject + approval.tool_input


def test_answered_rows_do_not_pile_up(office: Office) -> None:
    store = office.place.store.approvals
    store.allow(office.key, "Bash", "npm install")
    for _ in range(5):
        office.clock.ahead_s += 11
        office.ask(*(office.event() for _ in range(RATE)))
    assert len(store.newest(office.key, 1000)) == 200
    assert len(list(office.folder.glob("*.json"))) <= 60


def test_an_answer_that_could_not_be_written_is_written_by_the_same_decision_again(
    office: Office, taken: Callable[[], None]
) -> None:
    [approval] = office.ask(office.event())
    away = office.folder.with_name("away")
    office.folder.rename(away)
    with pytest.raises(StorageError):
        office.decide(approval.approval_id, Decision.ALLOW)
    away.rename(office.folder)
    assert office.answer(approval) == []
    office.set_state(AgentState.WORKING)
    office.decide(approval.approval_id, Decision.ALLOW)
    assert office.decision(approval) == {"behavior": "allow"}


def test_a_disk_that_refuses_a_deny_does_not_stop_the_look(office: Office) -> None:
    [approval] = office.ask(office.event())
    office.folder.rename(office.folder.with_name("away"))
    office.clock.ahead_s = TIMEOUT_S
    office.desk.look(office.agent)
    assert office.state_of(approval).state is ApprovalState.EXPIRED
