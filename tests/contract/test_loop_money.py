"""Money with the real Claude: what a turn costs, what a ceiling refuses, and what waits for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.clock import wait_for
from core.config import account_file
from core.models.session import SessionKey
from core.models.states import ExecutionStatus, StepState
from core.settings_file import set_setting
from tests.contract.loop_kit import (
    BRIEF,
    Loop,
    main_prompts,
    needs_claude,
    page,
    running_loop,
    wish_turn,
    write,
)
from tmux_bridge.scripted_model import Reply, ScriptedModel, Turn
from tmux_bridge.scripted_model.script import Call, Kind, Usage, When

pytestmark = needs_claude

OPUS_INPUT, OPUS_OUTPUT = 4.0, 20.0
"""Dollars per million tokens of the model that the CLI asks for."""


@pytest.fixture
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


def usage(input_tokens: int, output_tokens: int = 0, read: int = 0, written: int = 0) -> Usage:
    return Usage(
        input_tokens=input_tokens, output_tokens=output_tokens, cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
    )  # fmt: skip


def priced_site(*, figures: Usage) -> Turn:
    made = write("source/index.html", page("Fresh bread"))
    return Turn(
        name="site", when=When(not_called="Write|Edit"),
        replies=(
            Reply(text="A page.", calls=(made,), usage=figures),
            Reply(text="The site is ready.", usage=usage(1000, 100)),
        ),
    )  # fmt: skip


def paid_session(loop: Loop, model: ScriptedModel) -> SessionKey:
    """A session whose model counts as a real one: a scripted one would cost nothing."""
    user = loop.services.users.create("ana@example.org", "+15550100199", start=False).user
    created = loop.services.sessions.create(
        user.user_id, prompt=BRIEF, start=False, model_url=model.url
    )
    return created.session.key


def set_ceiling(loop: Loop, usd: float) -> None:
    set_setting(account_file(loop.environ), "limits.usd_per_user_day", str(usd))


def spent(loop: Loop, key: SessionKey) -> float:
    return loop.services.environment.store.usage.of_session(key).usd or 0.0


def entries(loop: Loop) -> str:
    """Every recorded entry, for a test that fails."""
    database = loop.services.environment.store.database
    return "\n".join(str(dict(row)) for row in database.rows("SELECT * FROM usage ORDER BY at"))


def wait_spent(loop: Loop, key: SessionKey, usd: float) -> None:
    loop.until(lambda: spent(loop, key) >= usd - 1e-9, f"${usd} recorded")
    assert spent(loop, key) == pytest.approx(usd)


def test_each_turn_costs_its_tokens_times_their_price(loop: Loop) -> None:
    helper = Call(
        name="Agent",
        input={"description": "look", "prompt": "count", "subagent_type": "general-purpose"},
    )
    model = loop.model(
        priced_site(figures=usage(10_000, 2000, read=50_000, written=20_000)),
        Turn(name="help", when=When(text="ask a helper"), replies=(
            Reply(text="I ask.", calls=(helper,), usage=usage(3000, 300)),
            Reply(text="Done.", usage=usage(4000, 400)),
        )),
        Turn(name="helper", when=When(kind=Kind.SUBAGENT), replies=(
            Reply(text="Three.", usage=usage(7000, 700)),
        )),
    )  # fmt: skip
    key = paid_session(loop, model)
    loop.run(key, from_step=1, to_step=5)
    first = (10_000 * 4 + 2000 * 20 + 50_000 * 0.2 + 20_000 * 5 + 1000 * 4 + 100 * 20) / 1e6
    wait_spent(loop, key, first)
    [prompt] = loop.services.chat.prompts(key)
    store = loop.services.environment.store
    assert prompt.claude_prompt_id is not None
    assert store.usage.of_prompt(key, prompt.claude_prompt_id).usd == pytest.approx(first)

    loop.ask(key, "Please ask a helper.")

    def answered(name: str) -> int:
        return sum(one.turn == name for one in model.requests)

    def in_full() -> float:
        """What Claude's loop and its helper have been answered by now."""
        main = 3000 * 4 + 300 * 20 + (answered("help") - 1) * (4000 * 4 + 400 * 20)
        return first + (main + answered("helper") * (7000 * 4 + 700 * 20)) / 1e6

    loop.until(lambda: answered("helper") == 1 and answered("help") >= 2, "the helper")
    wait_for(lambda: spent(loop, key) == pytest.approx(in_full()), deadline_s=60)
    turns = [(one.number, one.turn, one.outcome) for one in model.requests]
    assert spent(loop, key) == pytest.approx(in_full()), f"{turns}\n{entries(loop)}"

    shown = loop.cli("cost", key.session_id, "--by", "session", "--json").document["data"]
    [row] = shown["rows"]
    assert row["claude_usd"] == pytest.approx(spent(loop, key), abs=1e-6)
    assert row["cache_write_tokens"] == 20_000
    assert shown["estimated"] is True
    deploy = loop.cli("deploy", key.session_id, "--to", "4", "--json").document
    assert deploy["data"]["cost"]["total_usd"] == pytest.approx(spent(loop, key), abs=1e-6)


@pytest.mark.deep
def test_the_cli_s_own_estimate_comes_from_the_sandboxed_pane(loop: Loop) -> None:
    model = loop.model(priced_site(figures=usage(10_000, 1000)))
    key = paid_session(loop, model)
    loop.run(key, from_step=1, to_step=3)
    wait_spent(loop, key, 0.066)
    total = "SELECT before_usd + now_usd AS usd FROM claude_totals"
    database = loop.services.environment.store.database

    def told() -> bool:
        row = database.row(total)
        return row is not None and row["usd"] == pytest.approx(0.066)

    loop.until(told, "the status line's total of the whole turn", 60)


@pytest.mark.deep
def test_a_killed_worker_adds_nothing_twice(loop: Loop) -> None:
    model = loop.model(
        priced_site(figures=usage(10_000, 1000)), wish_turn("again", said="Again."),
    )  # fmt: skip
    key = paid_session(loop, model)
    loop.run(key, from_step=1, to_step=3)
    wait_spent(loop, key, 0.066)
    loop.kill_worker()
    loop.wake()
    loop.ask(key, "once again")
    again = (1200 * OPUS_INPUT + 80 * OPUS_OUTPUT) / 1e6
    wait_spent(loop, key, 0.066 + again)


def test_a_reached_ceiling_refuses_with_12_and_a_raised_one_lets_go_on(loop: Loop) -> None:
    model = loop.model(priced_site(figures=usage(10_000, 1000)), wish_turn("more", said="More."))
    key = paid_session(loop, model)
    set_ceiling(loop, 0.07)
    loop.run(key, from_step=1, to_step=5)
    wait_spent(loop, key, 0.066)
    near = loop.cli("deploy", key.session_id, "--to", "4", "--json").document
    assert [one["code"] for one in near["warnings"]] == ["ceiling_near"]

    set_ceiling(loop, 0.06)
    refused = loop.cli("session", "send", key.session_id, "more", "--json")
    assert (refused.exit, refused.document["error"]["code"]) == (12, "ceiling_reached")
    assert "config set limits.usd_per_user_day" in refused.document["error"]["fix"]
    assert loop.cli("deploy", key.session_id, "--to", "4").exit == 0, "a deploy has no turn"

    set_ceiling(loop, 6)
    sent = loop.cli("session", "send", key.session_id, "more", "--wait", "--json")
    assert (sent.exit, sent.document["data"]["reply"]) == (0, "More.")


def test_a_paused_run_goes_on_by_itself_after_raising(loop: Loop) -> None:
    model = loop.model(priced_site(figures=usage(10_000, 1000)))
    key = paid_session(loop, model)
    set_ceiling(loop, 0)
    execution_id = loop.start(key, from_step=1)

    def paused() -> bool:
        return "paused: the ceiling of $0.00" in (loop.step(execution_id, 3).detail or "")

    loop.until(paused, "the run's reason")
    assert loop.services.deploys.get(execution_id).status is ExecutionStatus.PENDING
    assert main_prompts(model, BRIEF) == []
    status = loop.cli("status", execution_id, "--json").document["data"]
    assert "paused" in status["steps"][2]["detail"]

    other = loop.services.sessions.create(key.user_id, start=False).session.key
    assert loop.deploy(other).status is ExecutionStatus.COMPLETED, "deploys go on"
    set_ceiling(loop, 5)
    execution = loop.wait(execution_id)
    assert execution.status is ExecutionStatus.COMPLETED, loop.told(execution_id)
    assert loop.step(execution_id, 3).state is StepState.OK


@pytest.mark.deep
def test_a_wish_that_waits_in_the_queue_is_held_until_the_ceiling_is_raised(loop: Loop) -> None:
    model = loop.model(
        priced_site(figures=usage(10_000, 1000)), wish_turn("later", said="Later it is."),
    )  # fmt: skip
    key = paid_session(loop, model)
    loop.run(key, from_step=1, to_step=3)
    wait_spent(loop, key, 0.066)
    prompt = loop.services.environment.store.prompts
    set_ceiling(loop, 0.05)
    queued = prompt.add("held-1", key, loop.services.chat.prompts(key)[0].kind, "later please")
    loop.services.environment.worker.wake()

    def reason() -> str | None:
        found = prompt.get(queued.prompt_id)
        return None if found is None else found.reason

    assert "paused" in loop.until(reason, "the reason for the wait")
    assert main_prompts(model, "later please") == []
    set_ceiling(loop, 5)
    turn = loop.services.chat.wait_reply(queued.prompt_id, 60)
    assert turn.message == "Later it is."
