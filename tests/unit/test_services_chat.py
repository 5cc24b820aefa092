from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from core.errors import (
    BuilderError,
    ConflictError,
    ExitCode,
    LoginNeededError,
    MissingProgramError,
    NeedsYouError,
    NotFoundError,
    TimedOutError,
    UsageError,
)
from core.models.prompt import Prompt
from core.models.request import RequestKind
from core.models.session import SessionKey
from core.models.states import AgentState, Needs, PromptKind, Receipt, TurnOutcome
from core.services.changes import ChangeFeed
from core.store.store import open_store
from tests.unit.services_place import Place, make_place

ODD = 'a\nb\t\'; $(x) -l "ż" 🙂 #! /exit \\'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def later(work: object) -> threading.Thread:
    """Do it in another thread, as the worker would."""
    assert callable(work)
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def accept(place: Place, prompt: Prompt) -> None:
    place.store.prompts.move(prompt.prompt_id, Receipt.ACCEPTED)
    place.store.prompts.begin_turn(prompt)


def test_a_message_is_queued_word_for_word_and_the_worker_woken(place: Place) -> None:
    key = place.session()
    prompt = place.services.chat.send(key, ODD)

    assert (prompt.text, prompt.kind, prompt.receipt) == (ODD, PromptKind.WISH, Receipt.QUEUED)
    assert place.services.chat.prompts(key) == [prompt]
    assert (place.worker.starts, place.worker.knocks) == (1, 1)


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * 1_000_001, "\ud800"])
def test_no_text_is_refused_and_nothing_queued(place: Place, text: str) -> None:
    key = place.session()
    with pytest.raises(UsageError):
        place.services.chat.send(key, text)

    assert place.services.chat.prompts(key) == []


def test_while_claude_asks_no_message_goes_in(place: Place) -> None:
    key = place.session()
    place.set_agent(key, AgentState.NEEDS_YOU, needs=Needs.PERMISSION, question="Run npm?")

    with pytest.raises(NeedsYouError, match="Run npm") as caught:
        place.services.chat.send(key, "hello")

    assert (caught.value.exit_code, caught.value.code) == (ExitCode.CONFLICT, "needs_you")
    assert place.services.chat.prompts(key) == []


def test_a_missing_session_or_worker_queues_nothing(place: Place) -> None:
    with pytest.raises(NotFoundError):
        place.services.chat.send(SessionKey("nobody", "sess_20260112_142233"), "hello")
    key = place.session()

    def missing() -> int:
        raise MissingProgramError("tmux is not installed.", remedy="apt-get install tmux")

    place.worker.ensure_running = missing  # type: ignore[method-assign]
    with pytest.raises(MissingProgramError):
        place.services.chat.send(key, "hello")
    assert place.services.chat.prompts(key) == []


@pytest.mark.parametrize("text", ["compact", "/", "/a\n/b", "", "/x\x1b"])
def test_a_command_is_one_line_with_a_slash(place: Place, text: str) -> None:
    key = place.session()
    with pytest.raises(UsageError):
        place.services.chat.command(key, text)

    assert place.services.chat.command(key, " /compact ").kind is PromptKind.COMMAND


def test_the_receipt_is_returned_when_it_is_final(place: Place) -> None:
    chat, key = place.services.chat, place.session()
    prompt = chat.send(key, "hello")
    worker = later(lambda: accept(place, prompt))

    assert chat.wait_receipt(prompt.prompt_id, 10).receipt is Receipt.ACCEPTED
    worker.join()


def test_a_busy_claude_lets_the_caller_go_with_a_queued_receipt(place: Place) -> None:
    chat, key = place.services.chat, place.session()
    place.set_agent(key, AgentState.WORKING)
    prompt = chat.send(key, "hello")

    started = time.monotonic()
    assert chat.wait_receipt(prompt.prompt_id, 30).receipt is Receipt.QUEUED
    assert time.monotonic() - started < 20


def test_the_reply_is_the_turn_when_it_has_ended(place: Place) -> None:
    chat, key = place.services.chat, place.session()
    prompt = chat.send(key, "hello")

    def work() -> None:
        accept(place, prompt)
        place.store.prompts.end_turns(key, TurnOutcome.FINISHED, "done")

    worker = later(work)
    turn = chat.wait_reply(prompt.prompt_id, 10)
    worker.join()
    assert (turn.outcome, turn.message) == (TurnOutcome.FINISHED, "done")


def test_the_wait_ends_when_claude_needs_you(place: Place) -> None:
    chat, key = place.services.chat, place.session()
    prompt = chat.send(key, "hello")
    accept(place, prompt)
    place.set_agent(key, AgentState.NEEDS_YOU, needs=Needs.QUESTION)

    assert chat.wait_reply(prompt.prompt_id, 10).outcome is None


def test_a_question_before_the_receipt_is_told(place: Place) -> None:
    chat, key = place.services.chat, place.session()
    prompt = chat.send(key, "hello")
    place.set_agent(key, AgentState.NEEDS_YOU, needs=Needs.LOGIN, question="Log in?")

    with pytest.raises(NeedsYouError):
        chat.wait_reply(prompt.prompt_id, 10)


@pytest.mark.parametrize(("receipt", "exit_code"), [(Receipt.REFUSED, 5), (Receipt.UNKNOWN, 7)])
def test_a_message_that_did_not_arrive_says_why(
    place: Place, receipt: Receipt, exit_code: int
) -> None:
    chat, key = place.services.chat, place.session()
    prompt = chat.send(key, "hello")
    place.store.prompts.move(prompt.prompt_id, receipt, reason="the pane died")

    with pytest.raises(BuilderError, match="the pane died") as caught:
        chat.wait_reply(prompt.prompt_id, 10)
    assert caught.value.exit_code == exit_code


@pytest.mark.parametrize(
    ("error_exit", "kind", "code"),
    [
        (ExitCode.MISSING, MissingProgramError, "missing"),
        (ExitCode.LOGIN_NEEDED, LoginNeededError, "login_needed"),
        (ExitCode.FAILED, BuilderError, "failed"),
        (None, ConflictError, "refused"),
    ],
)
def test_a_refused_message_has_the_exit_code_of_its_cause(
    place: Place, error_exit: ExitCode | None, kind: type[BuilderError], code: str
) -> None:
    chat, key = place.services.chat, place.session()
    prompt = chat.send(key, "hello")
    place.store.prompts.move(
        prompt.prompt_id, Receipt.REFUSED, reason="No claude.", error_exit=error_exit
    )
    assert chat.wait_receipt(prompt.prompt_id, 10).error_exit == error_exit
    with pytest.raises(BuilderError) as caught:
        chat.wait_reply(prompt.prompt_id, 10)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.message == "The message was refused: No claude."


def test_a_wait_has_an_end_and_knocks_for_a_dead_worker(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.waiting.KNOCK_EVERY_S", 0.05)
    chat, key = place.services.chat, place.session()
    prompt = chat.send(key, "hello")

    with pytest.raises(TimedOutError):
        chat.wait_reply(prompt.prompt_id, 0.4)
    assert place.worker.knocks > 2


def test_a_request_is_answered_by_the_worker(place: Place) -> None:
    key = place.session()
    place.set_agent(key, AgentState.NEEDS_YOU, needs=Needs.QUESTION)
    seen: list[tuple[RequestKind, object]] = []

    def work() -> None:
        for request in place.store.requests.queued():
            seen.append((request.kind, dict(request.payload)))
            place.store.requests.take(request.request_id)
            place.store.requests.finish(request.request_id, {})

    place.worker.on_wake = work
    chat = place.services.chat
    chat.answer(key, 2, 5)
    chat.interrupt(key, 5)
    chat.stop(key, 5)
    chat.wake(key, 5)
    assert seen == [
        (RequestKind.ANSWER, {"digit": 2}), (RequestKind.INTERRUPT, {}), (RequestKind.STOP, {}),
        (RequestKind.START, {}),
    ]  # fmt: skip


def test_the_workers_error_keeps_its_exit_code_and_words(place: Place) -> None:
    key = place.session()
    fault = MissingProgramError("claude is not installed.", remedy="npm install", code="no_claude")

    def work() -> None:
        for request in place.store.requests.queued():
            place.store.requests.fail(request.request_id, fault)

    place.worker.on_wake = work
    with pytest.raises(BuilderError) as caught:
        place.services.chat.wake(key, 5)
    error = caught.value
    assert (error.exit_code, error.message, error.remedy, error.code) == (
        8, "claude is not installed.", "npm install", "no_claude",
    )  # fmt: skip


def test_no_answer_in_time_is_a_time_out(place: Place) -> None:
    with pytest.raises(TimedOutError):
        place.services.chat.stop(place.session(), 0.1)


def test_only_a_waiting_claude_can_be_answered_with_a_digit(place: Place) -> None:
    key = place.session()
    with pytest.raises(ConflictError):
        place.services.chat.answer(key, 1, 1)
    for digit in (0, 10, -1):
        with pytest.raises(UsageError):
            place.services.chat.answer(key, digit, 1)


def test_the_chat_runs_through_every_transcript(place: Place, tmp_path: Path) -> None:
    key = place.session()
    for number in (1, 2):
        file = tmp_path / f"{number}.jsonl"
        file.write_text(f"line {number}\n")
        place.set_agent(
            key, AgentState.IDLE, claude_session_id=str(number), transcript_path=str(file)
        )

    assert [item.text for item in place.services.chat.items(key)] == ["line 1", "line 2"]


def test_the_feed_tells_of_other_processes_commits_only_once(place: Place) -> None:
    other = open_store(place.root)
    key = place.session()
    feed = ChangeFeed(place.store)
    assert feed.poll()
    assert not feed.poll()

    other.touch(key)
    assert feed.poll()
    assert not feed.poll()
    other.close()
