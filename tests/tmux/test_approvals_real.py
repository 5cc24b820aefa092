"""Approvals of the real Claude in its sandbox: allowed, denied, expired, withdrawn, and modes."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.clock import wait_for
from core.errors import ConflictError
from core.models.approval import AnsweredBy, ApprovalState, Decision
from core.models.states import AgentState, Needs, SessionMode
from core.paths import DataRoot
from core.sandbox import has_bubblewrap
from tests.tmux.agents_bench import Manner, has_claude
from tests.tmux.approvals_kit import bash, supervised, wish
from tmux_bridge.scripted_model.script import Call

pytestmark = [
    pytest.mark.claude,
    pytest.mark.tmux,
    pytest.mark.skipif(not has_claude(), reason="the Claude CLI is not installed: make test"),
    pytest.mark.skipif(not has_bubblewrap(), reason="bubblewrap cannot make a sandbox here"),
]

COUNT = "sh -c 'echo x >> source/count'"
ASK = Call(
    name="AskUserQuestion",
    input={
        "questions": [
            {
                "question": "Which colour?",
                "header": "Colour",
                "multiSelect": False,
                "options": [
                    {"label": "Blue", "description": "cold"},
                    {"label": "Red", "description": "warm"},
                ],
            }
        ]
    },
)


def counted(source: Path) -> int:
    try:
        return len((source / "count").read_text().splitlines())
    except FileNotFoundError:
        return 0


def test_allowed_once_runs_once_and_the_same_command_asks_again(place: DataRoot) -> None:
    with supervised(place, wish("count", bash(COUNT))) as desk:
        for number in (1, 2):
            prompt = desk.send(f"count {number}")
            approval = desk.wait_asked()
            assert (approval.tool_name, approval.subject) == ("Bash", COUNT)
            assert counted(desk.source) == number - 1
            assert desk.decide(approval, Decision.ALLOW)["decision"] == "allow"
            desk.finish(prompt)
            assert counted(desk.source) == number
            assert desk.state_of(approval) is ApprovalState.ALLOWED
        assert desk.bench.store.approvals.allowances(desk.key) == []


def test_allowed_for_the_session_is_not_asked_again_not_even_by_the_next_claude(
    place: DataRoot,
) -> None:
    turns = (wish("count", bash(COUNT)), wish("other", bash(f"{COUNT} # other")))
    with supervised(place, *turns) as desk:
        prompt = desk.send("count 1")
        desk.decide(desk.wait_asked(), Decision.ALLOW_SESSION)
        desk.finish(prompt)
        desk.bench.turn(desk.send("count 2"))
        desk.bench.team.supervisor.ask(
            lambda: desk.bench.team.supervisor.park_agent(desk.key), timeout_s=30
        )
        desk.bench.turn(desk.send("count 3"))
        assert counted(desk.source) == 3
        answered = [one.answered_by for one in desk.bench.store.approvals.newest(desk.key)]
        assert answered == [AnsweredBy.RULE, AnsweredBy.RULE, AnsweredBy.OPERATOR]
        desk.send("other")
        assert desk.wait_asked().subject == f"{COUNT} # other"
        assert desk.bench.store.approvals.disallow(desk.key, "Bash", COUNT)


def test_a_deny_with_a_sentence_is_read_by_the_model(place: DataRoot) -> None:
    sentence = 'Use the "other" way\nplease, as in §4.'
    with supervised(place, wish("count", bash(COUNT))) as desk:
        prompt = desk.send("count")
        desk.decide(desk.wait_asked(), Decision.DENY, sentence)
        desk.finish(prompt)
        assert sentence in desk.told()
        assert counted(desk.source) == 0


def test_nobody_answers_in_time(place: DataRoot) -> None:
    with supervised(place, wish("count", bash(COUNT)), manner=Manner(approvals_s=8)) as desk:
        prompt = desk.send("count")
        approval = desk.wait_asked()
        settled = desk.wait_settled(approval, ApprovalState.EXPIRED)
        assert settled.answered_by is AnsweredBy.WORKER
        desk.finish(prompt)
        assert "nobody answered within 8 s" in desk.told()
        assert counted(desk.source) == 0
        with pytest.raises(ConflictError, match="nobody answered in time"):
            desk.decide(approval, Decision.ALLOW)


def test_without_a_worker_the_hook_denies_by_itself(place: DataRoot) -> None:
    with supervised(place, wish("count", bash(COUNT)), manner=Manner(approvals_s=8)) as desk:
        prompt = desk.send("count")
        desk.wait_asked()
        desk.bench.team.supervisor.stop()
        desk.bench.until(lambda: "nobody answered within 8 s" in desk.told(), "the deny", desk.key)
        assert desk.open()
        desk.bench.restart()
        desk.finish(prompt)
        assert counted(desk.source) == 0
        assert [one.state for one in desk.bench.store.approvals.newest(desk.key)] == [
            ApprovalState.EXPIRED
        ]


def test_a_worker_that_comes_back_goes_on_with_an_open_question(place: DataRoot) -> None:
    with supervised(place, wish("count", bash(COUNT))) as desk:
        prompt = desk.send("count")
        approval = desk.wait_asked()
        desk.bench.restart()
        assert desk.open() == [approval]
        desk.decide(approval, Decision.ALLOW)
        desk.finish(prompt)
        assert counted(desk.source) == 1


def test_an_answer_whose_worker_died_before_its_file_is_written_by_the_next(
    place: DataRoot,
) -> None:
    with supervised(place, wish("count", bash(COUNT))) as desk:
        prompt = desk.send("count")
        approval = desk.wait_asked()
        desk.bench.team.supervisor.stop()
        desk.bench.store.approvals.settle(
            desk.key, approval.approval_id, ApprovalState.ALLOWED, answered_by=AnsweredBy.OPERATOR
        )
        desk.bench.restart()
        desk.finish(prompt)
        assert counted(desk.source) == 1


@pytest.mark.parametrize(("key", "runs"), [("1", 1), ("Escape", 0)])
def test_who_answers_in_the_pane_is_first(place: DataRoot, key: str, runs: int) -> None:
    with supervised(place, wish("count", bash(COUNT))) as desk:
        desk.send("count")
        approval = desk.wait_asked()
        desk.bench.until(lambda: "proceed" in desk.bench.screen(desk.key), "the dialog", desk.key)
        pane_id = desk.bench.agent(desk.key).pane_id
        assert pane_id is not None
        # As a person does: a key right after the dialog was drawn is swallowed, so once more then.
        for _ in range(3):
            desk.bench.team.terminal.press(pane_id, key)  # type: ignore[arg-type]  # two real keys
            if wait_for(lambda: "proceed" not in desk.bench.screen(desk.key), deadline_s=1.0):
                break
        desk.wait_settled(approval, ApprovalState.WITHDRAWN)
        desk.bench.wait_state(desk.key, AgentState.IDLE)
        assert counted(desk.source) == runs
        with pytest.raises(ConflictError, match="does not ask it any more"):
            desk.decide(approval, Decision.ALLOW)
        assert counted(desk.source) == runs


def test_a_claude_that_dies_withdraws_its_question(place: DataRoot) -> None:
    with supervised(place, wish("count", bash(COUNT))) as desk:
        desk.send("count")
        approval = desk.wait_asked()
        desk.bench.kill_claude(desk.key)
        desk.wait_settled(approval, ApprovalState.WITHDRAWN)
        assert desk.bench.wait_state(desk.key, AgentState.ENDED)


def test_an_unattended_claude_is_denied_at_once_and_asks_nobody(place: DataRoot) -> None:
    with supervised(place, wish("count", bash(COUNT)), mode=SessionMode.UNATTENDED) as desk:
        desk.bench.turn(desk.send("count"))
        assert counted(desk.source) == 0
        assert "denied" in desk.told().lower() or "permission" in desk.told().lower()
        assert desk.bench.store.approvals.newest(desk.key) == []


def test_what_claude_runs_cannot_write_its_own_approval(place: DataRoot) -> None:
    command = "sh -c 'touch state/approvals/x.json; rm -f state/approvals/timeout; echo ended'"
    with supervised(place, wish("forge", bash(command))) as desk:
        prompt = desk.send("forge")
        desk.decide(desk.wait_asked(), Decision.ALLOW)
        desk.finish(prompt)
        told = desk.told()
        assert "ended" in told
        assert told.count("Read-only file system") == 2, told
        names = {path.name for path in desk.answers.iterdir()}
        assert "timeout" in names
        assert "x.json" not in names


def test_a_question_of_claudes_own_is_answered_by_its_number(place: DataRoot) -> None:
    with supervised(place, wish("colour", ASK)) as desk:
        prompt = desk.send("colour")
        agent = desk.bench.wait_state(desk.key, AgentState.NEEDS_YOU)
        assert agent.needs is Needs.QUESTION
        desk.bench.team.pane.answer(desk.key, 2)
        desk.finish(prompt)
        assert "Red" in desk.told()
        assert desk.bench.store.approvals.newest(desk.key) == []


def test_files_outside_the_site_are_asked_by_their_path(place: DataRoot) -> None:
    note = Call(name="Write", input={"file_path": "{folder}/notes.txt", "content": "x"})
    site = Call(name="Write", input={"file_path": "{folder}/source/a.html", "content": "x"})
    with supervised(place, wish("note", site, note)) as desk:
        prompt = desk.send("note")
        approval = desk.wait_asked()
        assert approval.tool_name == "Write"
        assert approval.rule_subject == str(desk.source.parent / "notes.txt")
        assert (desk.source / "a.html").exists()
        desk.decide(approval, Decision.DENY)
        desk.finish(prompt)
        assert not (desk.source.parent / "notes.txt").exists()


def test_an_idle_claude_is_started_anew_in_its_sessions_new_mode(place: DataRoot) -> None:
    turns = (wish("count", bash(COUNT)),)
    with supervised(place, *turns, mode=SessionMode.UNATTENDED) as desk:
        desk.bench.turn(desk.send("hello"))
        before = desk.bench.agent(desk.key)
        desk.bench.wait_written(desk.key)
        desk.bench.store.sessions.set_mode(desk.key, SessionMode.SUPERVISED)
        desk.bench.team.supervisor.nudge()
        desk.bench.until(
            lambda: desk.bench.agent(desk.key).mode is SessionMode.SUPERVISED, "new mode", desk.key
        )
        now = desk.bench.wait_state(desk.key, AgentState.IDLE)
        assert now.claude_session_id == before.claude_session_id
        assert now.pane_pid != before.pane_pid
        settings = (desk.bench.paths(desk.key).claude / "settings.json").read_text()
        assert "approve.sh" in settings
        session = desk.bench.store.sessions.get(desk.key)
        assert session is not None
        assert session.injection_sha256 is not None
        desk.send("count")
        desk.wait_asked()


def test_a_working_claude_changes_its_mode_after_its_turn(place: DataRoot) -> None:
    with supervised(place, wish("count", bash(COUNT))) as desk:
        prompt = desk.send("count")
        approval = desk.wait_asked()
        desk.bench.store.sessions.set_mode(desk.key, SessionMode.UNATTENDED)
        desk.bench.team.supervisor.nudge()
        desk.decide(approval, Decision.ALLOW)
        desk.finish(prompt)
        assert counted(desk.source) == 1
        desk.bench.until(
            lambda: desk.bench.agent(desk.key).mode is SessionMode.UNATTENDED, "mode", desk.key
        )
        desk.bench.wait_state(desk.key, AgentState.IDLE)
        desk.bench.turn(desk.send("count again"))
        assert counted(desk.source) == 1
