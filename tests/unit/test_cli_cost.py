"""`cost` as a person and as a script call it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.clock import SystemClock
from core.models.cost import UsageEntry, UsageSource
from core.models.session import SessionKey
from core.paths import DataRoot
from core.store.store import open_store
from tests.unit.cli_program import call, new_session
from tui.cli.verbs.cost import _day, dollars

TODAY = datetime.now(UTC).date()


def spend(place: DataRoot, key: SessionKey, usd: float | None, name: str) -> None:
    store = open_store(place)
    entry = UsageEntry(
        entry_id=name, claude_session_id="c", claude_prompt_id=None, at=SystemClock().now(),
        source=UsageSource.TRANSCRIPT, usd=usd,
    )  # fmt: skip
    store.usage.record(key, [entry])
    store.close()


def test_the_document_has_every_promised_key(place: DataRoot) -> None:
    key = SessionKey(*new_session())
    spend(place, key, 0.41, "m1")
    answer = call(
        "cost", key.session_id, "--by", "session", "--json",
        TMUX_BUILDER_LIMITS_USD_PER_USER_DAY="0.5",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    data = answer.document["data"]
    assert set(data) == {"by", "since", "rows", "total", "limits", "estimated"}
    assert set(data["limits"]) == {
        "usd_per_user_day", "usd_per_day", "used_today_usd", "user_used_today_usd", "day", "state",
    }  # fmt: skip
    [row] = data["rows"]
    assert (row["session_id"], row["user_id"], row["email"]) == (
        key.session_id, key.user_id, "ana@example.org",
    )  # fmt: skip
    assert (row["claude_usd"], row["cloud_usd_day"], row["day"]) == (0.41, 0.0, None)
    assert (data["limits"]["state"], data["estimated"]) == ("near", True)
    assert data["since"] == (TODAY - timedelta(days=6)).isoformat()


def test_people_see_rows_a_sum_and_their_ceiling(place: DataRoot) -> None:
    key = SessionKey(*new_session())
    spend(place, key, 0.41, "m1")
    shown = call("cost", "--user", "ana@example.org", TMUX_BUILDER_LIMITS_USD_PER_USER_DAY="0.5")
    lines = shown.out.splitlines()
    assert lines[0].split()[:2] == ["DAY", "CLAUDE"]
    assert lines[1].split()[:2] == [TODAY.isoformat(), "$0.41"]
    assert lines[2].split()[:2] == ["total", "$0.41"]
    assert "days in UTC" in lines[3]
    assert lines[4].startswith("ceiling $0.50 a day for this user: $0.41 used today")
    assert call("cost", "-q").out == "0.410000\n"
    assert call("cost", "--by", "user", "--plain").out.startswith(f"{key.user_id}\t0.41\t0.0\t0\t")


def test_what_has_no_price_is_unknown_and_no_zero(place: DataRoot) -> None:
    key = SessionKey(*new_session())
    spend(place, key, None, "m1")
    assert call("cost", "--json").document["data"]["total"]["claude_usd"] is None
    assert call("cost", "-q").out == "unknown\n"
    spend(place, key, 1.0, "m2")
    assert ">$1.00" in call("cost").out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--by", "colour"), 2), (("--since", "yesterday"), 2), (("--user", "nobody@x.org"), 3),
        (("sess_1", "--user", "ana@example.org"), 2), (("sess_1",), 3),
    ],
)  # fmt: skip
def test_bad_calls_are_refused(place: DataRoot, arguments: tuple[str, ...], code: int) -> None:
    assert call("cost", *arguments, "--json").code == code


def test_a_refused_wish_ends_with_12_and_queues_nothing(place: DataRoot) -> None:
    key = SessionKey(*new_session())
    refused = call(
        "session", "send", key.session_id, "hello", "--json",
        TMUX_BUILDER_LIMITS_USD_PER_DAY="0",
    )  # fmt: skip
    assert (refused.code, refused.document["error"]["code"]) == (12, "ceiling_reached")
    assert "limits.usd_per_day" in refused.document["error"]["fix"]


def test_the_span_ends_today_and_begins_at_a_date() -> None:
    assert _day("1d") == TODAY.isoformat()
    assert _day("7d") == (TODAY - timedelta(days=6)).isoformat()
    assert _day("2026-01-12") == "2026-01-12"
    assert _day("2999-01-01") == TODAY.isoformat()


def test_a_root_without_any_figures_is_shown(place: DataRoot) -> None:
    new_session()
    lines = call("cost").out.splitlines()
    assert lines[1].split()[:3] == ["total", "$0.00", "$0.00"]
    assert lines[-1].startswith("no ceiling is set")
    assert dollars("x") == "unknown"
