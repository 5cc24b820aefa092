"""Ceilings over a day's spending: who is told, who is refused, what waits and what goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from core.accounts.ceilings import Ceilings
from core.config import load_settings
from core.errors import CancelledError, LimitReachedError
from core.models.cost import UsageEntry, UsageSource
from core.models.execution import Execution, Json
from core.models.session import SessionKey
from core.models.states import ExecutionStatus, PromptKind, Receipt
from core.pipeline.admission import Admitter
from core.pipeline.steps import generate_site
from core.settings_file import set_setting
from core.settings_watch import watch_settings
from tests.unit.money_kit import CLAUDE, Books, HandClock, limits, make_books
from tests.unit.services_place import Place


def spend(place: Place, key: SessionKey, usd: float, name: str = "m1") -> None:
    entry = UsageEntry(
        entry_id=name, claude_session_id=CLAUDE, claude_prompt_id="p", at=place.clock.now(),
        source=UsageSource.TRANSCRIPT, usd=usd,
    )  # fmt: skip
    place.store.usage.record(key, [entry])


def rows(document: dict[str, Json]) -> list[Any]:
    return cast("list[Any]", document["rows"])


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Books]:
    return lambda **values: make_books(tmp_path, limits(**values))


def test_without_a_ceiling_nothing_is_told_or_refused(make: Callable[..., Books]) -> None:
    books = make()
    spend(books.place, books.key, 1e6)
    books.place.services.chat.send(books.key, "hello")
    assert books.place.services.costs.warnings(books.key) == []


def test_at_four_fifths_it_is_told_and_nothing_is_refused(make: Callable[..., Books]) -> None:
    books = make(usd_per_user_day=5)
    spend(books.place, books.key, 3.99)
    assert books.place.services.costs.warnings(books.key) == []
    spend(books.place, books.key, 0.01, "m2")
    [warning] = books.place.services.costs.warnings(books.key)
    assert warning["code"] == "ceiling_near"
    assert warning["message"] == (
        "80 % of the ceiling of $5.00 a day for this user is used ($4.00, estimated)."
    )
    books.place.services.chat.send(books.key, "hello")


def test_a_reached_ceiling_refuses_with_reason_reset_and_remedy(
    make: Callable[..., Books],
) -> None:
    books = make(usd_per_user_day=5)
    spend(books.place, books.key, 5.0)
    for send in (books.place.services.chat.send, books.place.services.chat.command):
        with pytest.raises(LimitReachedError) as caught:
            send(books.key, "/compact")
        error = caught.value
        assert (error.code, int(error.exit_code)) == ("ceiling_reached", 12)
        assert error.message == (
            "The ceiling of $5.00 a day for this user is reached: $5.00 was used today (estimated)."
        )
        assert "2026-01-13T00:00:00.000Z" in error.remedy
        assert "tmux-builder config set limits.usd_per_user_day 10" in error.remedy
    assert books.place.services.chat.prompts(books.key) == []
    assert books.place.worker.starts == 0


def test_one_users_ceiling_is_no_other_s_and_the_common_one_is_everybody_s(
    make: Callable[..., Books],
) -> None:
    books = make(usd_per_user_day=5, usd_per_day=8)
    other = books.place.session("ben@acme.io", "+48600100201")
    spend(books.place, books.key, 5.0)
    books.place.services.chat.send(other, "hello")
    spend(books.place, other, 3.0)
    with pytest.raises(LimitReachedError, match="for all users"):
        books.place.services.chat.send(other, "hello")


def test_the_next_day_in_utc_is_free(make: Callable[..., Books]) -> None:
    books = make(usd_per_day=5)
    spend(books.place, books.key, 9.0)
    books.clock.move(12 * 3600 - 0.001)
    with pytest.raises(LimitReachedError):
        books.place.services.chat.send(books.key, "hello")
    books.clock.move(0.001)
    books.place.services.chat.send(books.key, "hello")


def test_a_ceiling_of_nothing_lets_nothing_begin(make: Callable[..., Books]) -> None:
    books = make(usd_per_user_day=0)
    with pytest.raises(LimitReachedError, match=r"\$0\.00"):
        books.place.services.chat.send(books.key, "hello")


def test_a_raised_ceiling_counts_at_once(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    file = tmp_path / "tmux-builder" / "config.toml"
    set_setting(file, "limits.usd_per_user_day", "5")
    settings = load_settings(environ=environ, cwd=tmp_path)
    watch = watch_settings(settings, environ, tmp_path, config_file=None, untrusted=None)
    books = make_books(tmp_path / "data")
    spend(books.place, books.key, 5.0)
    ceilings = Ceilings(books.place.store, watch, books.clock)
    assert ceilings.paused(books.key) == (
        "paused: the ceiling of $5.00 a day for this user is reached"
    )
    set_setting(file, "limits.usd_per_user_day", "50")
    assert ceilings.paused(books.key) is None
    file.write_text("limits = nonsense")
    assert watch().usd_per_user_day == 50, "a broken file changes nothing"
    file.unlink()
    assert watch().usd_per_user_day is None


class FakeEngine:
    """Drives what it is given, for ever."""

    def __init__(self) -> None:
        self.admitted: list[str] = []

    def admit(self, execution_id: str) -> None:
        self.admitted.append(execution_id)

    def drives(self, execution_id: str) -> bool:
        return execution_id in self.admitted


class FakeRunner:
    """Only moves the row."""

    is_stopping = False

    def __init__(self, place: Place) -> None:
        self._place = place

    def start(self, execution_id: str) -> None:
        self._place.store.executions.set_status(execution_id, ExecutionStatus.RUNNING)

    def cancel(self, execution_id: str) -> None:
        self._place.store.executions.set_status(execution_id, ExecutionStatus.CANCELLED)


def admitter(books: Books, limit: int = 1) -> tuple[Admitter, FakeEngine]:
    engine = FakeEngine()
    made = Admitter(
        store=books.place.store, engine=engine, runner=FakeRunner(books.place),  # type: ignore[arg-type]
        limit=limit, paused=books.place.services.environment.ceilings.paused,
    )  # fmt: skip
    return made, engine


def detail(books: Books, execution: Execution) -> str | None:
    return books.place.store.executions.steps(execution.execution_id)[2].detail


def test_a_run_that_would_send_waits_and_deploys_go_on(make: Callable[..., Books]) -> None:
    books = make(usd_per_user_day=5)
    executions = books.place.store.executions
    other = books.place.services.sessions.create(books.key.user_id, start=False).session.key
    spend(books.place, books.key, 5.0)
    brief, deploy = executions.add(books.key), executions.add(other, from_step=4)
    tick, engine = admitter(books)
    tick.tick()
    assert engine.admitted == [deploy.execution_id]
    assert executions.require(brief.execution_id).status is ExecutionStatus.PENDING
    assert detail(books, brief) == "paused: the ceiling of $5.00 a day for this user is reached"
    executions.set_status(deploy.execution_id, ExecutionStatus.COMPLETED)

    books.clock.move(12 * 3600)
    tick.tick()
    assert engine.admitted == [deploy.execution_id, brief.execution_id]
    assert detail(books, brief) is None


def test_a_run_that_waits_can_be_cancelled(make: Callable[..., Books]) -> None:
    books = make(usd_per_user_day=0)
    execution = books.place.store.executions.add(books.key)
    tick, _engine = admitter(books)
    tick.tick()
    books.place.store.executions.request_cancel(execution.execution_id)
    tick.tick()
    found = books.place.store.executions.require(execution.execution_id)
    assert found.status is ExecutionStatus.CANCELLED


def test_a_run_that_waits_in_its_step_holds_no_place_and_a_running_turn_does(
    make: Callable[..., Books],
) -> None:
    books = make(usd_per_user_day=5)
    store = books.place.store
    other = books.place.services.sessions.create(books.key.user_id, start=False).session.key
    brief = store.executions.add(books.key)
    tick, engine = admitter(books)
    tick.tick()
    store.executions.set_status(brief.execution_id, ExecutionStatus.RUNNING, current_step=3)
    spend(books.place, books.key, 5.0)
    deploy = store.executions.add(other, from_step=4)
    prompt = store.prompts.add(f"{brief.execution_id}:3", books.key, PromptKind.BRIEF, "x")
    store.prompts.move(prompt.prompt_id, Receipt.TYPED)
    tick.tick()
    assert engine.admitted == [brief.execution_id], "its turn runs and holds the only place"
    store.database.execute("UPDATE prompts SET receipt = 'queued'")
    tick.tick()
    assert engine.admitted == [brief.execution_id, deploy.execution_id]


def test_notices_come_once_a_day_and_for_whom_they_concern(make: Callable[..., Books]) -> None:
    books = make(usd_per_user_day=5, usd_per_day=100)
    spend(books.place, books.key, 4.5)
    [near] = books.place.services.costs.notices()
    assert near.text.startswith("ana@acme.io: 90 % of the ceiling of $5.00")
    assert not near.is_reached
    usage, today = books.place.store.usage, "2026-01-12"
    assert [usage.claim(near.name, today) for _ in range(3)] == [True, False, False]
    assert usage.claim(near.name, "2026-01-13")
    spend(books.place, books.key, 0.5, "m2")
    [reached] = books.place.services.costs.notices()
    assert reached.is_reached
    assert reached.name != near.name


def test_costs_are_told_by_day_user_host_and_session(make: Callable[..., Books]) -> None:
    books = make(usd_per_user_day=5)
    services = books.place.services
    other = books.place.session("ben@acme.io", "+48600100201")
    books.message("m1", input_tokens=1000)
    books.settle()
    books.clock.move(24 * 3600)
    books.message("m2", input_tokens=2000, output_tokens=100)
    books.settle()
    spend(books.place, other, 1.0, "m3")
    by_day = services.costs.document("day")
    assert [(row["day"], row["claude_usd"]) for row in rows(by_day)] == [
        ("2026-01-13", 1.01),
        ("2026-01-12", 0.004),
    ]
    assert by_day["total"] == {
        "claude_usd": 1.014, "cloud_usd_day": 0.0, "input_tokens": 3000, "output_tokens": 100,
        "cache_read_tokens": 0, "cache_write_tokens": 0, "complete": True,
    }  # fmt: skip
    limits_now = services.costs.document("day", user_id=books.key.user_id)["limits"]
    assert limits_now == {
        "usd_per_user_day": 5.0, "usd_per_day": None, "used_today_usd": 1.01,
        "user_used_today_usd": 0.01, "day": "2026-01-13", "state": "open",
    }  # fmt: skip
    by_user = rows(services.costs.document("user"))
    assert [(row["email"], row["claude_usd"]) for row in by_user] == [
        ("ben@acme.io", 1.0), ("ana@acme.io", 0.014),
    ]  # fmt: skip
    [host] = rows(services.costs.document("host"))
    assert (host["host_provider"], host["claude_usd"]) == ("local", 1.014)
    [own] = rows(services.costs.document("session", key=books.key, since="2026-01-13"))
    assert (own["session_id"], own["claude_usd"]) == (books.key.session_id, 0.01)


def test_a_list_shows_what_a_session_cost(make: Callable[..., Books]) -> None:
    books = make()
    books.message("m1", input_tokens=1000)
    books.settle()
    books.clock.move(24 * 3600)
    books.message("m2", input_tokens=1000)
    books.settle()
    [row] = books.place.services.sessions.rows()
    shown = books.place.services.status.session_document(row)
    assert shown["cost"] == {
        "today_usd": 0.004, "total_usd": 0.008, "cloud_usd_day": 0.0, "complete": True,
        "estimated": True,
    }  # fmt: skip


def test_step_three_waits_for_the_ceiling_and_leaves_when_cancelled() -> None:
    clock, said = HandClock(), list[str]()
    ctx = _Context(clock, said, paused_until=clock.at + timedelta(hours=3))
    generate_site._wait_while_paused(ctx)  # type: ignore[arg-type]
    assert said == ["run paused", "paused: x", "run goes on"]
    ctx = _Context(HandClock(), [], paused_until=clock.at + timedelta(days=9), cancel_at_s=2000)
    with pytest.raises(CancelledError):
        generate_site._wait_while_paused(ctx)  # type: ignore[arg-type]


class _Context:
    """As much of a step's context as waiting needs."""

    idempotency_key = "e:3"
    key = SessionKey("u", "sess_20260112_142233")

    def __init__(
        self, clock: HandClock, said: list[str], *, paused_until: object, cancel_at_s: float = 1e12
    ) -> None:
        self.ports = self.store = self.prompts = self
        self.clock, self._said = clock, said
        self._until, self._cancel_at_s = paused_until, cancel_at_s

    def get(self, prompt_id: str) -> None:
        return None

    def paused(self, key: SessionKey) -> str | None:
        return "paused: x" if self.clock.at < self._until else None  # type: ignore[operator]

    def cancelled(self) -> bool:
        return self.clock.seconds >= self._cancel_at_s

    def log(self, message: str, details: object = None, *, level: object = None) -> None:
        self._said.append(message)

    def progress(self, text: str) -> None:
        self._said.append(text)
