"""Money in the app: the overview with its bars, the sidebar's line, the list, and the notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from core.errors import LimitReachedError
from core.models.cost import Ceiling, CeilingScope, SessionCost, Spending, TokenCounts
from core.services.costs import CeilingNotice
from tests.tui.app_driver import Driver, running
from tests.tui.fake_services import FakeServices, small_office
from tui.quantities import dollars
from tui.result_lines import result_lines
from tui.states import Glyphs

SPENT = SessionCost(
    today=Spending(tokens=TokenCounts(input_tokens=5), usd=0.41),
    total=Spending(tokens=TokenCounts(input_tokens=9), usd=1.02), cloud_usd_day=0.25,
)  # fmt: skip


def ceiling(used_usd: float, scope: CeilingScope = CeilingScope.USER) -> Ceiling:
    return Ceiling(
        scope=scope, setting="limits.usd_per_user_day", limit_usd=5.0, used_usd=used_usd,
        day="2026-01-12", resets_at=datetime(2026, 1, 13, tzinfo=UTC),
    )  # fmt: skip


def spenders() -> FakeServices:
    services = small_office()
    for row in list(services.rows_by_key.values()):
        services.put(replace(row, cost=SPENT))
    return services


def drive(
    services: FakeServices, act: Callable[[Driver], Awaitable[None]],
    size: tuple[int, int] = (120, 35),
) -> None:  # fmt: skip
    async def run() -> None:
        async with running(services, size) as driver:
            await act(driver)

    asyncio.run(run())


async def open_costs(driver: Driver) -> None:
    await driver.press("colon")
    await driver.type("cost")
    await driver.press("enter")
    await driver.wait_text("Cost overview")
    await driver.wait_text("By host")


def test_the_overview_shows_days_users_and_hosts_under_their_ceilings() -> None:
    services = spenders()
    services.costs.found = [ceiling(4.5, CeilingScope.ALL), ceiling(1.0)]

    async def act(driver: Driver) -> None:
        await open_costs(driver)
        shown = driver.text()
        for part in (
            "$4.50 of $5.00 today", "$1.00 of $5.00 today", "2026-01-12", "ana@acme.io", "local",
            "$1.02", "12,000 in", "cloud unknown a day", "Estimates",
        ):  # fmt: skip
            assert part in shown, f"{part}\n{shown}"
        [all_users, one_user] = [line for line in shown.split("\n") if "of $5.00" in line]
        full = Glyphs().full
        assert (all_users.count(full), one_user.count(full)) == (27, 6)
        await driver.press("escape")
        await driver.wait(lambda: "Cost overview" not in driver.text(), "the overview closed")

    drive(services, act)


def test_without_a_ceiling_the_overview_says_how_to_set_one() -> None:
    async def act(driver: Driver) -> None:
        await open_costs(driver)
        assert "config set limits.usd_per_user_day" in driver.text()

    drive(spenders(), act)


def test_the_figures_are_read_again_while_the_overview_is_open() -> None:
    services = spenders()

    async def act(driver: Driver) -> None:
        await open_costs(driver)
        services.costs.found = [ceiling(5.0)]
        await driver.press("r")
        await driver.wait_text("reached: nothing new begins")

    drive(services, act)


def test_a_session_shows_its_cost_beside_its_run_and_in_a_wide_list() -> None:
    async def act(driver: Driver) -> None:
        await driver.wait_text("$0.41 today $1.02 all")
        await driver.wait_text("$0.25 a day (est.)")

    drive(spenders(), act, (170, 45))

    async def wide(driver: Driver) -> None:
        await driver.wait_text("$1.02")

    drive(spenders(), wide, (90, 30))


def test_a_ceiling_is_told_once_however_often_it_is_looked_at() -> None:
    services = spenders()
    services.costs.told = [
        CeilingNotice(name="2026-01-12:all:near", text="80 % of the ceiling", is_reached=False)
    ]

    async def act(driver: Driver) -> None:
        await driver.wait_text("80 % of the ceiling")
        told: list[str] = []
        real = driver.app.screen.notice  # type: ignore[attr-defined]
        driver.app.screen.notice = lambda text, **more: told.append(text)  # type: ignore[attr-defined]
        await driver.pilot.pause(2.5)
        assert told == []
        driver.app.screen.notice = real  # type: ignore[attr-defined]

    drive(services, act)


def test_a_wish_over_the_ceiling_comes_back_with_the_reason() -> None:
    services = spenders()
    services.failure = LimitReachedError(
        "The ceiling of $5.00 a day for this user is reached.", remedy="Raise it."
    )

    async def act(driver: Driver) -> None:
        await driver.press("j", "i")
        await driver.type("more")
        await driver.press("enter")
        await driver.wait_text("ceiling of $5.00 a day for this user is reached")
        assert "more" in driver.text()

    drive(services, act)


def test_a_session_that_used_nothing_has_no_cost_line() -> None:
    row = next(iter(small_office().rows_by_key.values()))
    session = replace(row.session, url="http://127.0.0.1:1/")
    lines = result_lines(session, None, 40, Glyphs(), SessionCost())
    assert not any("cost" in part for line in lines for part, _ in line)


def test_dollars_are_never_nothing_where_they_are_unknown_or_small() -> None:
    assert [dollars(one) for one in (None, 0.0, 0.004, 0.006, 1234.5)] == [
        "unknown", "$0.00", "<$0.01", "$0.01", "$1,234.50",
    ]  # fmt: skip
