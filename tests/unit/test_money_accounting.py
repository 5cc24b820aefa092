"""What a session's Claude used, from files that a pane can write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import StorageError
from core.models.session import Agent
from core.models.states import AgentState
from tests.unit.money_kit import CLAUDE, Books, make_books
from tmux_bridge.agents.accounting import BURST_USD, EVERY_S, SETTLED_S
from tmux_bridge.claude.usage import STATUS_FILE


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return make_books(tmp_path)


def test_a_turn_costs_its_messages_and_its_sub_agents(books: Books) -> None:
    books.prompt("p1")
    books.message("m1", input_tokens=1000, output_tokens=100, cache_read_input_tokens=5000,
                  cache_creation_input_tokens=2000)  # fmt: skip
    books.agent("m2", "p1", input_tokens=2000, output_tokens=200)
    books.prompt("p2")
    books.message("m3", input_tokens=10_000, output_tokens=1000)
    books.settle()
    usage = books.place.store.usage
    assert usage.of_prompt(books.key, "p1").usd == pytest.approx(0.017 + 0.012)
    assert usage.of_prompt(books.key, "p2").usd == pytest.approx(0.06)
    tokens = usage.of_session(books.key).tokens
    assert (tokens.input_tokens, tokens.output_tokens) == (13_000, 1300)
    assert (tokens.cache_read_tokens, tokens.cache_write_tokens) == (5000, 2000)


def test_a_message_counts_once_however_often_it_is_written_or_read(books: Books) -> None:
    for _ in range(3):
        books.message("m1", input_tokens=1000)
    books.settle()
    books.settle()
    books.open()
    books.settle()
    assert books.usd == 0.004


def test_a_worker_that_was_killed_in_between_adds_nothing_twice(books: Books) -> None:
    books.prompt("p1")
    books.message("m1", input_tokens=1000)
    books.status(0.005)
    books.settle()
    books.open()
    books.message("m2", input_tokens=1000)
    books.status(0.010)
    books.settle()
    books.open()
    books.settle()
    assert books.usd == 0.010


def test_what_could_not_be_stored_is_stored_the_next_time(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.message("m1", input_tokens=1000)
    with monkeypatch.context() as patch:
        patch.setattr(books.place.store.usage, "record", _broken)
        with pytest.raises(StorageError, match="full"):
            books.settle()
    books.settle()
    assert (books.usd, books.account.pending) == (0.004, [])


def _broken(*_arguments: object) -> bool:
    raise OSError("full")


def test_figures_of_a_message_only_grow(books: Books) -> None:
    books.message("m1", input_tokens=1000, output_tokens=10)
    books.settle()
    books.message("m1", input_tokens=1, output_tokens=20)
    books.settle()
    tokens = books.place.store.usage.of_session(books.key).tokens
    assert (tokens.input_tokens, tokens.output_tokens) == (1000, 20)
    assert books.usd == 0.0042


def test_the_cli_s_own_total_adds_what_stands_in_no_transcript(books: Books) -> None:
    books.prompt("p1")
    books.message("m1", input_tokens=1000)
    books.status(0.0055)
    books.settle()
    assert books.usd == 0.0055
    books.message("m2", input_tokens=1000)
    books.settle()
    assert books.usd == 0.008, "the line came after the total that holds it"
    books.status(0.0095)
    books.settle()
    assert books.usd == 0.0095
    assert books.place.store.usage.of_prompt(books.key, "p1").usd == pytest.approx(0.0095)


def test_a_low_total_hides_nothing(books: Books) -> None:
    books.message("m1", input_tokens=1000)
    books.status(0.0)
    books.settle()
    assert books.usd == 0.004


def test_a_resumed_process_counts_from_nothing_and_the_sum_goes_on(books: Books) -> None:
    books.status(0.10)
    books.settle()
    books.status(0.0)
    books.settle()
    assert books.usd == 0.10
    books.status(0.06)
    books.settle()
    assert books.usd == 0.16


@pytest.mark.parametrize("usd", [float("nan"), float("inf"), -1, 1e9, "1", None, True, [1]])
def test_a_total_that_cannot_be_is_refused(books: Books, usd: object) -> None:
    books.message("m1", input_tokens=1000)
    books.status(usd)
    books.settle()
    assert books.usd == 0.004


def test_a_negative_total_is_no_sign_of_a_new_process(books: Books) -> None:
    for usd in (0.10, -1, 0.10):
        books.status(usd)
        books.settle()
    assert books.usd == 0.10


def test_a_total_of_another_conversation_is_refused(books: Books) -> None:
    books.status(5.0, session_id="11111111-5e86-44f7-9987-cd154c344729")
    books.settle()
    assert books.usd == 0.0


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -1000}, {"input_tokens": 10**12}, {"input_tokens": 1.5},
        {"input_tokens": "1000"}, {"output_tokens": -1}, {"cache_read_input_tokens": 2**70},
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_is_refused(books: Books, usage: dict[str, Any]) -> None:
    books.message("bad", **usage)
    books.message("m1", input_tokens=1000)
    books.settle()
    assert books.usd == 0.004


def test_nobody_can_spend_faster_than_a_claude_could(books: Books) -> None:
    books.message("huge", model="claude-opus-4", output_tokens=20_000_000)
    books.settle()
    assert books.usd == BURST_USD, "1500 dollars in no time were told"
    books.clock.move(3600)
    books.message("m1", input_tokens=1000)
    books.settle()
    assert books.usd == BURST_USD + 0.004


def test_a_total_that_is_not_plausible_is_refused_and_the_messages_count(books: Books) -> None:
    books.message("m1", input_tokens=1000)
    books.status(5000.0)
    books.settle()
    assert books.usd == 0.004


@pytest.mark.parametrize("days", [-30, 30])
def test_no_message_is_dated_outside_of_what_is_recorded_and_now(books: Books, days: int) -> None:
    books.clock.move(60)
    books.message("m1", at=books.clock.now() + timedelta(days=days), input_tokens=1000)
    books.settle()
    assert books.today_usd() == 0.004


def test_the_day_changes_at_midnight_in_utc(books: Books) -> None:
    books.clock.move(12 * 3600 - 1)
    books.message("m1", input_tokens=1000)
    books.settle()
    assert books.today_usd() == 0.004
    books.clock.move(1)
    assert books.today_usd() == 0.0
    books.message("m2", input_tokens=2000)
    books.settle()
    assert (books.today_usd(), books.usd) == (0.008, 0.012)


def test_a_model_without_a_price_has_tokens_and_no_cost(books: Books) -> None:
    books.message("m1", model="claude-next-9", input_tokens=1000)
    books.settle()
    spent = books.place.store.usage.of_session(books.key)
    assert (spent.usd, spent.is_complete, spent.tokens.input_tokens) == (None, False, 1000)
    books.status(0.03)
    books.settle()
    spent = books.place.store.usage.of_session(books.key)
    assert spent.usd == pytest.approx(0.03)
    assert spent.is_complete


def _link(books: Books) -> None:
    secret = books.paths.root.parent / "status.json"
    secret.write_text(json.dumps({"session_id": CLAUDE, "cost": {"total_cost_usd": 1}}))
    (books.paths.claude_config / STATUS_FILE).symlink_to(secret)


def _pipe(books: Books) -> None:
    os.mkfifo(books.paths.claude_config / STATUS_FILE)


def _long(books: Books) -> None:
    (books.paths.claude_config / STATUS_FILE).write_bytes(b" " * 10**6)


def _agents_elsewhere(books: Books) -> None:
    other = books.paths.root.parent / "elsewhere"
    other.mkdir()
    books.message("stolen", file=other / "agent-x.jsonl", input_tokens=10**6)
    books.transcript.with_suffix("").mkdir()
    (books.transcript.with_suffix("") / "subagents").symlink_to(other)


@pytest.mark.parametrize("act", [_link, _pipe, _long, _agents_elsewhere])
def test_no_link_and_no_odd_file_is_followed(books: Books, act: Callable[[Books], None]) -> None:
    act(books)
    books.settle()
    assert books.usd == 0.0


def test_a_scripted_model_costs_nothing_and_its_tokens_are_counted(books: Books) -> None:
    books.place.store.database.execute("UPDATE sessions SET simulated = 1")
    books.message("m1", input_tokens=1000)
    books.status(0.5)
    books.settle()
    spent = books.place.store.usage.of_session(books.key)
    assert (spent.usd, spent.tokens.input_tokens) == (0.0, 1000)


def test_figures_are_read_after_a_turn_in_a_long_one_and_at_the_end(books: Books) -> None:
    idle = Agent(key=books.key, state=AgentState.IDLE)
    working = Agent(key=books.key, state=AgentState.WORKING)
    accountant, account = books.accountant, books.account
    accountant.look(account, idle, turn_ended=False)
    assert account.due_s is None, "a new worker looks once, then waits for a reason"

    accountant.look(account, working, turn_ended=False)
    books.message("m1", input_tokens=1000)
    books.clock.move(EVERY_S - 1)
    accountant.look(account, working, turn_ended=False)
    assert books.usd == 0.0
    books.clock.move(1)
    accountant.look(account, working, turn_ended=False)
    assert books.usd == 0.004

    books.message("m2", input_tokens=1000)
    accountant.look(account, idle, turn_ended=True)
    assert books.usd == 0.008
    books.message("m3", input_tokens=1000)
    books.clock.move(SETTLED_S)
    accountant.look(account, idle, turn_ended=False)
    assert books.usd == 0.012, "the last line is written a moment after the event"
    books.message("late", input_tokens=1000)
    for _ in range(10):
        books.clock.move(2)
        accountant.look(account, idle, turn_ended=False)
    assert books.usd == 0.016, "or much later, where the computer is busy"
    for _ in range(60):
        books.clock.move(2)
        accountant.look(account, idle, turn_ended=False)
    assert account.due_s is None, "an idle Claude is left alone in the end"

    books.message("m4", input_tokens=1000)
    accountant.look(account, Agent(key=books.key, state=AgentState.ENDED), turn_ended=False)
    assert books.usd == 0.02
