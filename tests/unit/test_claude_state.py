"""The fusion of hooks, registry, transcript and pane, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.models.session import Agent, SessionKey
from core.models.states import AgentState, Needs, TurnOutcome
from tmux_bridge.claude.hooks import HookEvent, HookName
from tmux_bridge.claude.registry import RegistryEntry, RegistryStatus
from tmux_bridge.claude.state import (
    FIRST_RUN_S,
    Evidence,
    TranscriptTail,
    TurnEnded,
    TurnFact,
    TurnStarted,
    Watch,
    fuse,
    starting,
)

T0 = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)
AGENT = Agent(key=SessionKey("7f3c9e01", "sess_20260112_142233"), claude_session_id="c1")
CHAT = "/d/7f3c9e01/claude/sess_20260112_142233/projects/-x/c1.jsonl"


def event(name: HookName, after_s: float = 1, **fields: Any) -> HookEvent:
    at = T0 + timedelta(seconds=after_s)
    base = HookEvent(name=f"{at.timestamp():.0f}-1.json", at=at, event=name, session_id="c1")
    return replace(base, **fields)


def level(status: RegistryStatus, after_s: float = 0, waiting: str | None = None) -> RegistryEntry:
    return RegistryEntry(
        session_id="c1", status=status, waiting_for=waiting, started_at=T0, version="2.1.330",
        since=T0 + timedelta(seconds=after_s),
    )  # fmt: skip


def look(at_s: float, **fields: Any) -> Evidence:
    base = Evidence(now=T0 + timedelta(seconds=at_s), monotonic_s=at_s)
    return replace(base, **fields)


def watch(state: AgentState, **fields: Any) -> Watch:
    base = Watch(agent=replace(AGENT, state=state, since=T0))
    return replace(base, **fields)


def outcomes(facts: list[TurnFact]) -> list[TurnOutcome]:
    return [fact.outcome for fact in facts if isinstance(fact, TurnEnded)]


WORKING = watch(AgentState.WORKING, turn_open=True, turn_prompt_id="p1")


@pytest.mark.parametrize(
    ("before", "seen", "state", "ended"),
    [
        (watch(AgentState.IDLE), event(HookName.PROMPT, prompt="go"), AgentState.WORKING, []),
        (WORKING, event(HookName.STOP), AgentState.IDLE, [TurnOutcome.FINISHED]),
        (WORKING, event(HookName.STOP, background_tasks=1), AgentState.WORKING, []),
        (
            WORKING, event(HookName.STOP_FAILURE, error="rate_limit"), AgentState.IDLE,
            [TurnOutcome.FAILED],
        ),
        (
            WORKING, event(HookName.STOP_FAILURE, error="authentication_failed"),
            AgentState.NEEDS_YOU, [TurnOutcome.FAILED],
        ),
        (WORKING, event(HookName.PERMISSION, tool_name="Bash"), AgentState.NEEDS_YOU, []),
        (
            watch(AgentState.NEEDS_YOU, turn_open=True), event(HookName.TOOL_DONE),
            AgentState.WORKING, [],
        ),
        (WORKING, event(HookName.SESSION_START, source="compact"), AgentState.WORKING, []),
        (
            WORKING, event(HookName.SESSION_END, source="other"), AgentState.ENDED,
            [TurnOutcome.FAILED],
        ),
        (WORKING, event(HookName.SESSION_END, source="clear"), AgentState.WORKING, []),
        (watch(AgentState.PARKED), event(HookName.SESSION_END), AgentState.PARKED, []),
    ],
)  # fmt: skip
def test_each_event_leads_to_its_state(
    before: Watch, seen: HookEvent, state: AgentState, ended: list[TurnOutcome]
) -> None:
    after, facts = fuse(before, look(2, events=[seen]))
    assert after.agent.state is state
    assert outcomes(facts) == ended


def test_a_prompt_that_the_cli_gave_itself_starts_no_turn() -> None:
    seen = event(HookName.PROMPT, prompt="<task-notification>\n<status>completed</status>")
    after, facts = fuse(watch(AgentState.IDLE), look(2, events=[seen]))
    assert after.agent.state is AgentState.WORKING
    assert facts == []


def test_a_turn_carries_the_prompt_and_the_last_words() -> None:
    events = [
        event(HookName.PROMPT, prompt="make it blue", prompt_id="p9"),
        event(HookName.STOP, 2, message="It is blue."),
    ]
    _, facts = fuse(watch(AgentState.IDLE), look(3, events=events))
    begun, ended = facts
    assert isinstance(begun, TurnStarted)
    assert isinstance(ended, TurnEnded)
    assert (begun.prompt, ended.claude_prompt_id) == ("make it blue", "p9")
    assert ended.message == "It is blue."


def test_a_question_and_a_permission_are_told_apart() -> None:
    asked = event(HookName.PERMISSION, tool_name="AskUserQuestion", question="Which colour?")
    after, _ = fuse(WORKING, look(2, events=[asked]))
    assert (after.agent.needs, after.agent.question) == (Needs.QUESTION, "Which colour?")
    after, _ = fuse(WORKING, look(2, events=[event(HookName.PERMISSION, tool_name="Bash")]))
    assert after.agent.needs is Needs.PERMISSION


def test_an_escape_is_seen_by_an_idle_registry_after_two_seconds() -> None:
    after, facts = fuse(WORKING, look(5, registry=level(RegistryStatus.IDLE, 4)))
    assert after.agent.state is AgentState.WORKING
    assert after.wants_tail
    after, facts = fuse(after, look(7.1, registry=level(RegistryStatus.IDLE, 4)))
    assert after.agent.state is AgentState.IDLE
    assert outcomes(facts) == [TurnOutcome.INTERRUPTED]
    assert after.agent.source == "registry"


def test_the_transcripts_line_makes_an_escape_certain_sooner() -> None:
    tail = TranscriptTail(is_interrupted=True)
    after, _ = fuse(WORKING, look(5, registry=level(RegistryStatus.IDLE, 4)))
    after, facts = fuse(after, look(5.1, registry=level(RegistryStatus.IDLE, 4), tail=tail))
    assert facts == []
    after, facts = fuse(after, look(5.6, registry=level(RegistryStatus.IDLE, 4), tail=tail))
    assert outcomes(facts) == [TurnOutcome.INTERRUPTED]
    assert after.agent.source == "transcript"


def test_a_lost_stop_event_is_mended_from_the_transcript() -> None:
    tail = TranscriptTail(is_finished=True, message="All done.")
    after, _ = fuse(WORKING, look(5, registry=level(RegistryStatus.IDLE, 4)))
    _, facts = fuse(after, look(7.5, registry=level(RegistryStatus.IDLE, 4), tail=tail))
    assert facts[0] == TurnEnded(
        at=T0 + timedelta(seconds=7.5), outcome=TurnOutcome.FINISHED, message="All done.",
        claude_prompt_id="p1",
    )  # fmt: skip


def test_a_short_disagreement_changes_nothing() -> None:
    after, _ = fuse(WORKING, look(5, registry=level(RegistryStatus.IDLE)))
    after, facts = fuse(after, look(6, registry=level(RegistryStatus.BUSY, 5.5)))
    after, facts = fuse(after, look(7.5, registry=level(RegistryStatus.IDLE, 7.4)))
    assert after.agent.state is AgentState.WORKING
    assert facts == []


def test_an_answered_question_is_seen_at_once_by_a_later_busy() -> None:
    asking = watch(AgentState.NEEDS_YOU, turn_open=True)
    after, _ = fuse(asking, look(3, registry=level(RegistryStatus.BUSY, 2.9)))
    assert after.agent.state is AgentState.WORKING
    after, _ = fuse(asking, look(3, registry=level(RegistryStatus.BUSY, -1)))
    assert after.agent.state is AgentState.NEEDS_YOU


def test_an_answer_before_its_dialog_is_seen_by_the_hooks_word_and_a_busy_registry() -> None:
    """The registry never said that it waits, so that its busy is older than the question."""
    asking, busy = watch(AgentState.NEEDS_YOU, turn_open=True), level(RegistryStatus.BUSY, -1)
    after, _ = fuse(asking, look(3, registry=busy, events=[event(HookName.TAKEN, 2.9)]))
    assert (after.agent.state, after.answered) == (AgentState.WORKING, False)


def test_a_hooks_word_does_not_hide_another_question() -> None:
    asking, taken = watch(AgentState.NEEDS_YOU, turn_open=True), [event(HookName.TAKEN, 2.9)]
    waiting = level(RegistryStatus.WAITING, 1, "permission prompt")
    after, _ = fuse(asking, look(3, registry=waiting, events=taken))
    assert after.agent.state is AgentState.NEEDS_YOU
    next_one = event(HookName.PERMISSION, 3.1, tool_name="Bash", question="Bash: x")
    after, _ = fuse(after, look(3.2, registry=level(RegistryStatus.BUSY, -1), events=[next_one]))
    assert after.agent.state is AgentState.NEEDS_YOU


def test_a_dialog_without_a_hook_is_seen_by_the_registry() -> None:
    waiting = level(RegistryStatus.WAITING, 4, "permission prompt")
    after, _ = fuse(WORKING, look(5, registry=waiting))
    after, _ = fuse(after, look(7.1, registry=waiting))
    assert (after.agent.state, after.agent.needs) == (AgentState.NEEDS_YOU, Needs.PERMISSION)
    assert after.agent.source == "registry"


def test_a_process_that_is_gone_ends_the_turn_as_failed() -> None:
    after, facts = fuse(WORKING, look(5, pane_alive=False))
    assert after.agent.state is AgentState.ENDED
    assert outcomes(facts) == [TurnOutcome.FAILED]


def test_an_unreachable_tmux_is_no_evidence() -> None:
    after, facts = fuse(WORKING, look(5, pane_alive=None))
    assert (after, facts) == (WORKING, [])


def test_a_parked_session_stays_parked_when_its_pane_is_gone() -> None:
    after, _ = fuse(watch(AgentState.PARKED), look(5, pane_alive=False))
    assert after.agent.state is AgentState.PARKED


def test_ready_needs_the_start_event_and_the_composer() -> None:
    begun = starting(AGENT, "started", T0)
    after, _ = fuse(begun, look(0.2, prompt_drawn=True))
    assert after.agent.state is AgentState.STARTING
    seen = event(HookName.SESSION_START, 0.5, source="startup", transcript_path=CHAT)
    after, _ = fuse(after, look(0.6, events=[seen]))
    assert after.agent.state is AgentState.STARTING
    assert after.agent.transcript_path == CHAT
    after, _ = fuse(after, look(0.8, prompt_drawn=True))
    assert after.agent.state is AgentState.IDLE


def test_a_restarted_worker_finds_a_ready_claude_by_the_registry_alone() -> None:
    begun = starting(AGENT, "started", T0)
    after, _ = fuse(begun, look(1, registry=level(RegistryStatus.IDLE)))
    assert after.agent.state is AgentState.STARTING
    after, _ = fuse(after, look(3.1, registry=level(RegistryStatus.IDLE)))
    assert after.agent.state is AgentState.IDLE


def test_a_start_without_an_event_asks_for_the_operator_and_recovers() -> None:
    begun = starting(AGENT, "started", T0)
    after, _ = fuse(begun, look(1))
    after, _ = fuse(after, look(1.1 + FIRST_RUN_S, screen="Do you trust this folder?"))
    assert after.agent.needs is Needs.LOGIN
    assert after.agent.question == "Do you trust this folder?"
    seen = event(HookName.SESSION_START, 20, source="startup")
    after, _ = fuse(after, look(20, events=[seen], prompt_drawn=True))
    assert after.agent.state is AgentState.IDLE


def test_every_state_says_since_when_and_why() -> None:
    after, _ = fuse(WORKING, look(9, events=[event(HookName.STOP, 8)]))
    assert (after.agent.source, after.agent.evidence) == ("hook", "Stop")
    assert after.agent.since == T0 + timedelta(seconds=8)
    again, _ = fuse(after, look(12, registry=level(RegistryStatus.IDLE, 8)))
    assert again.agent.since == after.agent.since


def test_a_failed_turn_says_the_kind_and_the_words() -> None:
    seen = event(HookName.STOP_FAILURE, error="rate_limit", message="Slow down.")
    _, facts = fuse(WORKING, look(2, events=[seen]))
    assert isinstance(facts[0], TurnEnded)
    assert facts[0].message == "rate_limit: Slow down."


@pytest.mark.parametrize(
    "path",
    [
        "/d/other/claude/sess_20260112_142233/projects/-x/c1.jsonl",
        "/d/7f3c9e01/claude/sess_20260112_142233/projects/../../../../other/c1.jsonl",
        "/etc/passwd",
    ],
)
def test_a_forged_event_cannot_show_another_sessions_chat(path: str) -> None:
    seen = event(HookName.SESSION_START, source="startup", transcript_path=path)
    after, _ = fuse(watch(AgentState.IDLE), look(2, events=[seen]))
    assert after.agent.transcript_path is None


def test_the_last_word_of_the_process_before_does_not_end_a_start() -> None:
    begun = starting(AGENT, "started", T0)
    late = event(HookName.SESSION_END, source="other")
    after, facts = fuse(begun, look(1, events=[late]))
    assert (after.agent.state, facts) == (AgentState.STARTING, [])


def test_a_gone_process_says_how_it_ended() -> None:
    after, facts = fuse(WORKING, look(1, pane_alive=False, gone="the tmux server ended"))
    assert after.agent.evidence == "the tmux server ended"
    ended = [fact.message for fact in facts if isinstance(fact, TurnEnded)]
    assert ended == ["Claude ended during the turn: the tmux server ended."]
