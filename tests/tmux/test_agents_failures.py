"""Dead processes, missing programs and refused logins: said soon, in a sentence, and resumed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.clock import wait_for
from core.errors import ConflictError, ExitCode, MissingProgramError
from core.models.states import AgentState, Needs, PromptKind, Receipt, TurnOutcome
from core.paths import DataRoot
from core.sandbox import has_bubblewrap
from tests.tmux.agents_bench import (
    Bench,
    Manner,
    bench_on,
    faking,
    has_claude,
    main_requests,
    running,
)
from tmux_bridge.agents.simulation import Simulation
from tmux_bridge.scripted_model import Reply, Script, ScriptedModel, Turn
from tmux_bridge.scripted_model.script import Fault, Pace, When

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.skipif(not has_bubblewrap(), reason="bubblewrap cannot make a sandbox here"),
]
real = pytest.mark.claude

SLOW = Reply(text="word " * 100, pace=Pace(chunk_chars=10, chunk_delay_s=0.05))
SCRIPT = Script(
    name="failures", default=Reply(text="ok"),
    turns=(Turn(name="slow", when=When(text="slowly"), replies=(SLOW,)),),
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    if not has_claude():
        pytest.skip("the Claude CLI is not installed: make test")
    with running(ScriptedModel(SCRIPT)) as scripted:
        yield scripted


@pytest.fixture
def bench(place: DataRoot) -> Iterator[Bench]:
    with bench_on(place) as made:
        yield made


def texts(model: ScriptedModel) -> list[str]:
    return [record.text for record in main_requests(model)]


@real
def test_an_idle_claude_that_is_killed_is_reported_and_resumed(
    bench: Bench, model: ScriptedModel
) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    before = bench.agent(key)
    bench.wait_written(key)
    bench.kill_claude(key)
    agent = bench.wait_state(key, AgentState.ENDED, deadline_s=3)
    assert "signal" in agent.evidence
    assert bench.ask(key, "second").outcome is TurnOutcome.FINISHED
    assert bench.agent(key).claude_session_id == before.claude_session_id


@real
def test_a_working_claude_that_is_killed_fails_its_turn_and_goes_on(
    bench: Bench, model: ScriptedModel
) -> None:
    key = bench.session(model)
    prompt = bench.send(key, "slowly")
    bench.wait_state(key, AgentState.WORKING)
    waiting = bench.send(key, "afterwards")
    bench.kill_claude(key)
    turn = bench.turn(prompt, deadline_s=3)
    assert turn.outcome is TurnOutcome.FAILED
    assert (turn.message or "").startswith("Claude ended during the turn: ")
    assert bench.turn(waiting).outcome is TurnOutcome.FINISHED
    assert texts(model).count("afterwards") == 1


@real
def test_a_killed_tmux_server_is_reported_and_everything_comes_back(
    bench: Bench, model: ScriptedModel
) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    pid = bench.server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    agent = bench.wait_state(key, AgentState.ENDED, deadline_s=5)
    assert agent.evidence == "the tmux server ended"
    assert bench.ask(key, "back again").outcome is TurnOutcome.FINISHED
    assert bench.server.pid() != pid


@real
def test_an_interrupted_turn_says_so_and_the_next_prompt_works(
    bench: Bench, model: ScriptedModel
) -> None:
    key = bench.session(model)
    prompt = bench.send(key, "slowly")
    bench.wait_state(key, AgentState.WORKING)
    bench.until(lambda: "word word" in bench.screen(key), "text on the screen", key)
    bench.team.pane.interrupt(key)
    bench.team.pane.interrupt(key)
    assert bench.turn(prompt).outcome is TurnOutcome.INTERRUPTED
    assert bench.agent(key).state is AgentState.IDLE
    assert bench.ask(key, "next").outcome is TurnOutcome.FINISHED
    with pytest.raises(ConflictError):
        bench.team.pane.interrupt(key)


@real
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("point", ["set_buffer", "paste_and_enter", "pasted"])
def test_a_worker_that_dies_while_it_types_neither_loses_nor_doubles(
    bench: Bench, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    key = bench.session(model)
    bench.ask(key, "warm")
    text = f"dies at {point}"
    die_at(bench, monkeypatch, point)
    prompt = bench.send(key, text)
    expected = {"set_buffer": Receipt.QUEUED, "paste_and_enter": Receipt.BUFFERED}
    bench.until(lambda: not bench.team.supervisor._thread.is_alive(), "the worker's death", key)
    assert bench.prompt(prompt).receipt is expected.get(point, Receipt.BUFFERED)
    bench.prepare()
    bench.start()
    assert bench.turn(prompt).outcome is TurnOutcome.FINISHED
    bench.ask(key, "flush")
    assert texts(model).count(text) == 1


def die_at(bench: Bench, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """End the agents' thread inside one act of typing, as a SIGKILL does."""
    terminal = bench.team.terminal

    def die(*_arguments: object) -> None:
        raise SystemExit

    if point != "pasted":
        monkeypatch.setattr(terminal, point, die)
        return
    paste = terminal.paste_and_enter

    def paste_then_die(pane_id: str, buffer: str) -> None:
        paste(pane_id, buffer)
        die()

    monkeypatch.setattr(terminal, "paste_and_enter", paste_then_die)


@real
def test_a_worker_that_restarts_during_a_turn_sees_its_end(
    bench: Bench, model: ScriptedModel
) -> None:
    key = bench.session(model)
    bench.ask(key, "warm")
    prompt = bench.send(key, "slowly, with a restart")
    bench.wait_state(key, AgentState.WORKING)
    bench.restart()
    assert bench.turn(prompt).outcome is TurnOutcome.FINISHED
    assert texts(model).count("slowly, with a restart") == 1


@real
def test_a_worker_that_restarts_during_a_start_waits_for_it(
    bench: Bench, model: ScriptedModel
) -> None:
    key = bench.session(model)
    prompt = bench.send(key, "early")
    bench.wait_state(key, AgentState.STARTING)
    pid = bench.agent(key).pane_pid
    bench.restart()
    assert bench.turn(prompt).outcome is TurnOutcome.FINISHED
    assert bench.agent(key).pane_pid == pid
    assert texts(model).count("early") == 1


@real
def test_a_claude_that_died_while_no_worker_ran_is_found_dead(
    bench: Bench, model: ScriptedModel
) -> None:
    key = bench.session(model)
    bench.ask(key, "warm")
    prompt = bench.send(key, "slowly, and nobody looks")
    bench.wait_state(key, AgentState.WORKING)
    bench.team.supervisor.stop()
    bench.kill_claude(key)
    bench.prepare()
    bench.start()
    bench.wait_state(key, AgentState.ENDED, deadline_s=5)
    assert bench.turn(prompt).outcome is TurnOutcome.FAILED


@real
def test_stopping_and_parking_keep_the_conversation(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    claude_id = bench.agent(key).claude_session_id
    bench.team.pane.stop(key)
    assert bench.agent(key).state is AgentState.ENDED
    assert bench.agent(key).evidence == "stopped by the operator"
    bench.ask(key, "second")
    parked = bench.team.supervisor.ask(lambda: bench.team.supervisor.park_agent(key))
    assert parked.state is AgentState.PARKED
    bench.team.pane.ensure_ready(key, deadline_s=30)
    bench.ask(key, "third")
    assert bench.agent(key).claude_session_id == claude_id
    assert [len(bench.store.agents.claude_ids(key)), texts(model)[-3:]] == [
        1, ["first", "second", "third"],
    ]  # fmt: skip


@real
def test_stopping_refuses_what_was_queued(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.send(key, "slowly")
    bench.wait_state(key, AgentState.WORKING)
    queued = bench.send(key, "never typed")
    bench.team.pane.stop(key)
    refused = bench.wait_receipt(queued, Receipt.REFUSED)
    assert refused.reason == "Not typed: stopped by the operator."
    assert bench.agent(key).state is AgentState.ENDED
    assert "never typed" not in texts(model)


@real
def test_a_lost_conversation_begins_anew_and_says_so(bench: Bench, model: ScriptedModel) -> None:
    key = bench.session(model)
    bench.ask(key, "first")
    old = bench.agent(key)
    bench.team.pane.stop(key)
    Path(old.transcript_path or "").write_text("")
    bench.team.pane.ensure_ready(key, deadline_s=40)
    agent = bench.agent(key)
    assert agent.claude_session_id != old.claude_session_id
    assert "began a new one" in agent.evidence
    assert bench.ask(key, "second").outcome is TurnOutcome.FINISHED


@real
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(status=401), "Claude is not logged in or its key is not valid"),
        (Fault(status=429), "Claude is rate-limited; try again later"),
        (Fault(status=529), "The Messages API failed after several tries"),
    ],
)
def test_a_failing_service_fails_the_turn_with_a_sentence(
    place: DataRoot, fault: Fault, sentence: str
) -> None:
    script = Script(name="fault", default=Reply(fault=fault))
    with running(ScriptedModel(script)) as model, bench_on(place) as bench:
        key = bench.session(model)
        prompt = bench.send(key, "go")
        bench.until(lambda: ended(bench, prompt.prompt_id), "the end of the turn", key, 40)
        turn = bench.turn(prompt)
        assert turn.outcome is TurnOutcome.FAILED
        assert (turn.message or "").startswith(sentence)
        agent = bench.agent(key)
        login = fault.status == 401
        assert agent.state is (AgentState.NEEDS_YOU if login else AgentState.IDLE)
        assert agent.needs is (Needs.LOGIN if login else None)


def ended(bench: Bench, prompt_id: str) -> bool:
    turn = bench.store.prompts.turn(prompt_id)
    return turn is not None and turn.outcome is not None


@real
def test_a_refused_login_takes_no_more_text_until_claude_is_started_anew(place: DataRoot) -> None:
    script = Script(name="fault", default=Reply(fault=Fault(status=401)))
    with running(ScriptedModel(script)) as model, bench_on(place) as bench:
        key = bench.session(model)
        prompt = bench.send(key, "go")
        bench.until(lambda: ended(bench, prompt.prompt_id), "the end of the turn", key, 40)
        refused = bench.wait_receipt(bench.send(key, "and again"), Receipt.REFUSED)
        assert "not logged in" in (refused.reason or "")
        assert refused.error_exit == ExitCode.LOGIN_NEEDED
        former = bench.agent(key).pane_pid
        bench.team.pane.ensure_ready(key, deadline_s=30)
        assert bench.agent(key).pane_pid != former


def test_without_a_login_nothing_is_started_and_the_way_to_one_is_told(place: DataRoot) -> None:
    with bench_on(place) as bench:
        key = bench.session()
        refused = bench.wait_receipt(bench.send(key, "go"), Receipt.REFUSED)
        assert "tmux-builder login" in (refused.reason or "")
        assert refused.error_exit == ExitCode.LOGIN_NEEDED
        assert bench.agent(key).state is AgentState.ABSENT


@real
def test_a_simulated_claude_finds_its_model_after_a_restart(place: DataRoot) -> None:
    bench = Bench(place)
    simulations: list[Simulation] = []

    def life() -> None:
        simulations.append(Simulation(bench.store, bench.runtime))
        bench.prepare(model_url=simulations[-1].url_for)
        simulations[-1].resume()
        bench.start()

    try:
        life()
        key = bench.session(simulated=True)
        bench.ask(key, "A bakery site")
        session = bench.store.sessions.get(key)
        assert session is not None
        url = simulations[-1].url_for(session)
        bench.team.supervisor.stop()
        simulations[-1].stop()
        life()
        assert simulations[-1].url_for(session) == url
        assert bench.ask(key, "in navy, please").outcome is TurnOutcome.FINISHED
    finally:
        bench.close()
        for simulation in simulations:
            simulation.stop()


def test_a_missing_claude_refuses_the_prompt_with_its_remedy(place: DataRoot) -> None:
    with bench_on(place, Manner(command="no-such-claude")) as bench:
        key = bench.session()
        refused = bench.wait_receipt(bench.send(key, "go"), Receipt.REFUSED)
        assert "no-such-claude" in (refused.reason or "")
        assert "npm install" in (refused.reason or "")
        assert refused.error_exit == ExitCode.MISSING
        with pytest.raises(MissingProgramError):
            bench.team.pane.ensure_ready(key, deadline_s=5)
        assert bench.agent(key).state is AgentState.ABSENT


def test_a_claude_that_exits_at_once_ends_with_its_last_words(
    place: DataRoot, short_folder: Path
) -> None:
    with bench_on(place, faking(short_folder, 'echo "licence expired"; exit 3')) as bench:
        key = bench.session()
        refused = bench.wait_receipt(bench.send(key, "go"), Receipt.REFUSED)
        assert "Claude did not start" in (refused.reason or "")
        assert "licence expired" in (refused.reason or "")
        assert bench.agent(key).state is AgentState.ENDED
        again = bench.wait_receipt(bench.send(key, "again"), Receipt.REFUSED)
        assert "licence expired" in (again.reason or "")


def test_one_sessions_missing_folder_does_not_hold_up_the_others(
    place: DataRoot, short_folder: Path
) -> None:
    with bench_on(place, faking(short_folder, 'echo "licence expired"; exit 3')) as bench:
        broken, sound = bench.session(), bench.session()
        bench.paths(broken).hooks.rmdir()
        bench.paths(broken).state.chmod(0o000)
        prompts = [bench.send(key, "go") for key in (broken, sound)]
        reasons = [bench.wait_receipt(p, Receipt.REFUSED).reason or "" for p in prompts]
        assert "state/hooks" in reasons[0]
        assert "licence expired" in reasons[1]


def test_asking_after_the_end_fails_at_once(place: DataRoot) -> None:
    with bench_on(place) as bench:
        bench.team.supervisor.stop()
        with pytest.raises(ConflictError, match="ending"):
            bench.team.supervisor.ask(lambda: None)


def test_a_failing_act_fails_for_its_asker_only(bench: Bench) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.team.supervisor.ask(fail)
    assert bench.team.supervisor.ask(lambda: 5) == 5


def test_an_idle_supervisor_costs_next_to_nothing(bench: Bench) -> None:
    bench.team.supervisor.ask(lambda: None)
    started, used = time.monotonic(), time.process_time()
    wait_for(lambda: time.monotonic() - started > 2, deadline_s=4, interval_s=0.5)
    share = (time.process_time() - used) / (time.monotonic() - started)
    assert share < 0.02


def test_an_unknown_session_is_refused(bench: Bench) -> None:
    key = bench.session()
    with bench.store.transaction() as connection:
        connection.execute("DELETE FROM sessions WHERE session_id = ?", (key.session_id,))
    prompt: Any = bench.store.prompts.add("p", key, PromptKind.WISH, "go")
    bench.team.supervisor.nudge()
    assert "no session" in (bench.wait_receipt(prompt, Receipt.REFUSED).reason or "")
