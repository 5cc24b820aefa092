"""Sends to the real Claude, and what the model really got; how late the store shows a state."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from core.errors import BuilderError
from core.models.prompt import Prompt
from core.models.session import SessionKey
from core.models.states import AgentState, Receipt
from tests.benchmarks.places import new_place
from tests.benchmarks.rows import Measure, Row, median, percentile, say
from tests.tmux.agents_bench import Bench, bench_on, main_requests, running
from tests.tmux.test_agents_delivery import ODD
from tmux_bridge.claude.receipts import is_receipt
from tmux_bridge.scripted_model import Reply, Script, ScriptedModel

SENDS, FULL_SENDS = 60, 300
SLOWEST_BAR_MS = 500
TOUCHED = "touch "


@dataclass(slots=True)
class Tally:
    """What happened to the sends."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    misreported: list[str] = field(default_factory=list)
    receipt_s: list[float] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)


def measure(*, full: bool) -> list[Row]:
    count = FULL_SENDS if full else SENDS
    tally = Tally()
    script = Script(name="delivery", default=Reply(text="ok"))
    with (
        new_place() as place,
        running(ScriptedModel(script)) as model,
        bench_on(place) as bench,
    ):
        key = bench.session(model)
        bench.ask(key, "warm up")
        for number, (name, text) in enumerate(texts(count)):
            one_send(bench, model, key, tally, (name, f"{text}"))
            if number % 20 == 19:
                say(f"  {number + 1} of {count} sent")
        tally.run += [path.name for path in bench.paths(key).source.iterdir()]
    return rows(tally, count)


def texts(count: int) -> Iterator[tuple[str, str]]:
    return itertools.islice(itertools.cycle(ODD.items()), count)


def one_send(
    bench: Bench, model: ScriptedModel, key: SessionKey, tally: Tally, odd: tuple[str, str]
) -> None:
    """Send, wait for the end, and compare the receipt with what the model got."""
    name, text = odd
    before, began = len(main_requests(model)), time.monotonic()
    prompt = bench.send(key, text)
    lag = Lag(bench, key)
    try:
        lag.follow(prompt)
        bench.turn(prompt)
    except BuilderError:
        say(f"  no turn for {name}: {bench.prompt(prompt).reason}")
    tally.receipt_s.append(time.monotonic() - began)
    tally.lags_ms += lag.milliseconds
    got = [record.text for record in main_requests(model)[before:]]
    typed = bench.team.sender.text_for_pane(prompt)
    exact = [text for text in got if is_receipt(typed, text)]
    accepted = bench.prompt(prompt).receipt is Receipt.ACCEPTED
    tally.lost += [] if exact else [name]
    tally.doubled += [name] if len(exact) > 1 else []
    tally.misreported += [name] if accepted != bool(exact) or len(got) != len(exact) else []
    tally.run += [] if bench.agent(key).state is AgentState.IDLE else [name]


class Lag:
    """How long after a hook was written the store shows the state that follows from it."""

    def __init__(self, bench: Bench, key: SessionKey) -> None:
        self._bench = bench
        self._key = key
        self._shown: datetime | None = bench.agent(key).since
        self.milliseconds: list[float] = []

    def follow(self, prompt: Prompt) -> None:
        """Look at the store as often as a front end may, until the turn has ended."""
        store, clock = self._bench.store, self._bench.store.clock
        version = -1
        end = clock.monotonic() + 20
        while clock.monotonic() < end:
            if store.database.data_version() != version:
                version = store.database.data_version()
                self._note()
                turn = store.prompts.turn(prompt.prompt_id)
                if turn is not None and turn.outcome is not None:
                    return
            clock.sleep(0.005)

    def _note(self) -> None:
        """`since` of a state that a hook brought is the instant in the hook file's own name."""
        agent = self._bench.agent(self._key)
        if agent.since is None or agent.since == self._shown or agent.source != "hook":
            return
        self._shown = agent.since
        late = self._bench.store.clock.now() - agent.since
        self.milliseconds.append(late.total_seconds() * 1000)


def rows(tally: Tally, count: int) -> list[Row]:
    figures = {
        "delivery_lost": tally.lost,
        "delivery_doubled": tally.doubled,
        "delivery_run_as_command": tally.run,
        "delivery_misreported": tally.misreported,
    }
    sent = {"sends": count, "turn_ms_median": round(median(tally.receipt_s) * 1000)}
    counted = [
        Row(name=name, value=len(names), unit="prompts", limit=0, peers={**sent, "which": names})
        for name, names in figures.items()
    ]
    lag = Row(
        name="state_lag_p95_ms", value=percentile(tally.lags_ms, 0.95), unit="ms",
        limit=SLOWEST_BAR_MS,
        peers={"median_ms": round(median(tally.lags_ms)), "states": len(tally.lags_ms)},
    )  # fmt: skip
    return [*counted, lag]


MEASURE = Measure(
    rows=(
        "delivery_lost", "delivery_doubled", "delivery_run_as_command", "delivery_misreported",
        "state_lag_p95_ms",
    ),
    run=measure,
)  # fmt: skip
