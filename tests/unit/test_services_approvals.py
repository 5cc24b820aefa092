"""Modes and approvals through the services; the worker is played."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.config import load_settings
from core.errors import ConflictError, NotFoundError, UsageError
from core.models.approval import Approval, Decision
from core.models.request import Request, RequestKind
from core.models.session import SessionKey
from core.models.states import AgentState, Needs, SessionMode
from tests.unit.services_place import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def ask(place: Place, key: SessionKey, number: int = 1) -> Approval:
    now = place.clock.now()
    approval = Approval(
        key=key,
        approval_id=f"{number:019}-1",
        tool_name="Bash",
        subject="npm install",
        tool_input="{}",
        rule_subject="npm install",
        event_sha256="x",
        created_at=now + timedelta(seconds=number),
        deadline_at=now + timedelta(minutes=10),
    )
    place.store.approvals.add(approval)
    place.set_agent(key, AgentState.NEEDS_YOU, needs=Needs.PERMISSION)
    return approval


def asked_of_worker(place: Place) -> list[Request]:
    """Answer every request as it comes; what they were."""
    seen: list[Request] = []

    def work() -> None:
        for request in place.store.requests.queued():
            seen.append(request)
            place.store.requests.take(request.request_id)
            place.store.requests.finish(request.request_id, {"tool": "Bash"})

    place.worker.on_wake = work
    return seen


def test_what_is_asked_is_listed_over_all_sessions_and_by_one(place: Place) -> None:
    ana, bob = place.session(), place.session("bob@acme.io")
    second, first = ask(place, ana, 2), ask(place, bob, 1)
    ids = [one.approval_id for one in place.services.approvals.open()]
    assert ids == [first.approval_id, second.approval_id]
    assert [one.key for one in place.services.approvals.open(ana)] == [ana]
    with pytest.raises(NotFoundError):
        place.services.approvals.open(SessionKey("nobody", "sess_20260112_142233"))


def test_a_decision_goes_to_the_worker_for_the_oldest(place: Place) -> None:
    key = place.session()
    first = ask(place, key, 1)
    ask(place, key, 2)
    seen = asked_of_worker(place)
    place.services.approvals.decide(key, Decision.DENY, message=" Use yarn. ", timeout_s=5)
    assert [one.kind for one in seen] == [RequestKind.DECIDE]
    assert seen[0].payload == {
        "approval_id": first.approval_id,
        "decision": "deny",
        "message": "Use yarn.",
    }


def test_where_nothing_is_asked_nothing_is_decided(place: Place) -> None:
    key = place.session()
    with pytest.raises(ConflictError) as caught:
        place.services.approvals.decide(key, Decision.ALLOW, timeout_s=1)
    assert (caught.value.code, int(caught.value.exit_code)) == ("nothing_asked", 5)
    assert place.worker.starts == 0


@pytest.mark.parametrize("message", ["", " \n", "x" * 2001, "a\x1b[31m", "a\u202eb"])
def test_a_sentence_is_plain_text(place: Place, message: str) -> None:
    key = place.session()
    ask(place, key)
    with pytest.raises(UsageError):
        place.services.approvals.decide(key, Decision.DENY, message=message, timeout_s=1)
    assert place.store.requests.queued() == []


@pytest.mark.parametrize(
    ("digit", "decision"), [(1, "allow"), (2, "allow_session"), (3, "deny"), (4, None)]
)
def test_an_answer_by_number_decides_an_open_permission(
    place: Place, digit: int, decision: str | None
) -> None:
    key = place.session()
    ask(place, key)
    seen = asked_of_worker(place)
    if decision is None:
        with pytest.raises(UsageError, match="no choice of a permission"):
            place.services.chat.answer(key, digit, 1)
        assert seen == []
        return
    place.services.chat.answer(key, digit, 5)
    assert [one.payload["decision"] for one in seen] == [decision]


def test_a_question_of_claudes_own_still_gets_its_digit(place: Place) -> None:
    key = place.session()
    place.set_agent(key, AgentState.NEEDS_YOU, needs=Needs.QUESTION)
    seen = asked_of_worker(place)
    place.services.chat.answer(key, 3, 5)
    assert [(one.kind, one.payload["digit"]) for one in seen] == [(RequestKind.ANSWER, 3)]


def test_a_rule_is_taken_back_by_its_exact_subject(place: Place) -> None:
    key = place.session()
    place.store.approvals.allow(key, "Bash", "npm install")
    place.store.approvals.allow(key, "Bash", "npm test")
    with pytest.raises(NotFoundError):
        place.services.approvals.forget_rule(key, "Bash", "npm")
    place.services.approvals.forget_rule(key, "Bash", "npm install")
    assert [rule.subject for rule in place.services.approvals.rules(key)] == ["npm test"]
    assert [rule.subject for rule in place.services.approvals.forget_rules(key)] == ["npm test"]
    assert place.services.approvals.rules() == []


@pytest.mark.parametrize(
    ("state", "mode", "needed", "after_turn"),
    [
        (AgentState.IDLE, SessionMode.UNATTENDED, True, False),
        (AgentState.WORKING, SessionMode.UNATTENDED, True, True),
        (AgentState.WORKING, SessionMode.SUPERVISED, False, False),
        (AgentState.PARKED, SessionMode.UNATTENDED, False, False),
    ],
)
def test_a_mode_change_says_whether_claude_is_started_anew(
    place: Place, state: AgentState, mode: SessionMode, needed: bool, after_turn: bool
) -> None:
    key = place.session()
    place.set_agent(key, state, mode=mode)
    change = place.services.approvals.set_mode(key, SessionMode.SUPERVISED)
    assert (change.restart_needed, change.after_turn) == (needed, after_turn)
    session = place.store.sessions.get(key)
    assert session is not None
    assert session.mode is SessionMode.SUPERVISED
    assert place.worker.knocks == int(needed)


def test_a_session_is_made_in_the_mode_that_is_asked_or_set(tmp_path: Path) -> None:
    settings = load_settings({"claude.mode": "supervised"}, {"HOME": str(tmp_path)}, tmp_path)
    place = make_place(tmp_path, settings=settings)
    user = place.services.users.create("ana@acme.io", "+48600100200", start=False).user
    usual = place.services.sessions.create(user.user_id, start=False).session
    asked = place.services.sessions.create(user.user_id, start=False, mode="unattended").session
    assert (usual.mode, asked.mode) == (SessionMode.SUPERVISED, SessionMode.UNATTENDED)
    for session, source in ((usual, "approve.sh"), (asked, "dontAsk")):
        paths = place.root.session(session.key.user_id, session.key.session_id)
        assert source in (paths.claude / "settings.json").read_text()
    with pytest.raises(UsageError):
        place.services.sessions.create(user.user_id, start=False, mode="wild")
    made = place.services.users.create("bob@acme.io", "+48600100201", mode="unattended")
    assert made.session is not None
    assert made.session.mode is SessionMode.UNATTENDED


def test_the_list_says_each_sessions_mode(place: Place) -> None:
    key = place.session()
    place.services.approvals.set_mode(key, SessionMode.SUPERVISED)
    row = place.services.sessions.row(key)
    assert place.services.status.session_document(row)["mode"] == "supervised"


@pytest.mark.parametrize("timeout", ["9s", "51m", "1h", "x"])
def test_an_approval_waits_neither_no_time_nor_longer_than_its_hook_may(
    tmp_path: Path, timeout: str
) -> None:
    with pytest.raises(UsageError, match="10s to 50m"):
        load_settings({"approvals.timeout": timeout}, {"HOME": str(tmp_path)}, tmp_path)
    settings = load_settings({"approvals.timeout": "50m"}, {"HOME": str(tmp_path)}, tmp_path)
    assert settings.approvals_timeout_s == 3000
