"""The permission card, driven by keys: answered through the service, never into the pane."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.errors import ConflictError
from core.models.approval import Approval
from core.models.session import SessionKey
from tests.tui import fake_services
from tests.tui.app_driver import Driver, running
from tests.tui.fake_services import FakeServices, make_approval
from tui.widgets.approval_card import ApprovalCard
from tui.widgets.bars import FooterBar
from tui.widgets.message_box import MessageBox
from tui.widgets.question_card import QuestionCard

SIZES = [(120, 35), (80, 24), (60, 15)]


def asking(*approvals: Approval) -> tuple[FakeServices, SessionKey]:
    """An office whose first session asks for these; made for its key where none is given."""
    services = fake_services.small_office()
    key = next(iter(services.rows_by_key))
    services.approvals.ask(key, *(approvals or (make_approval(key),)))
    return services, key


def drive(
    scenario: Callable[[Driver], Awaitable[None]], services: FakeServices,
    size: tuple[int, int] = (120, 35),
) -> None:  # fmt: skip
    async def run() -> None:
        async with running(services, size) as driver:
            await scenario(driver)

    asyncio.run(run())


def card(driver: Driver) -> ApprovalCard:
    return driver.app.screen.query_one(ApprovalCard)


async def open_card(driver: Driver) -> None:
    """Enter goes to the session's message box, which gives way to the card."""
    await driver.press("enter")
    await driver.wait(lambda: driver.app.focused is card(driver), "the card has the focus")


@pytest.mark.parametrize("size", SIZES)
def test_the_card_says_what_is_asked_why_and_how_long(size: tuple[int, int]) -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        await driver.wait_text("npm install")
        choices = ("1 allow once", "2 allow for this session", "3 deny", "4 deny with a sentence")
        for wanted in ("Bash", "supervised", *choices):
            assert wanted in driver.text(), driver.text()
        assert "9m 5" in driver.text() or "10m 00s" in driver.text()

    services, _ = asking()
    drive(scenario, services, size)


@pytest.mark.parametrize(
    ("key", "decision"), [("1", "allow"), ("2", "allow_session"), ("3", "deny")]
)
def test_a_digit_answers_through_the_service(key: str, decision: str) -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        await driver.press(key)
        call = await driver.wait_call("decide")
        assert call[2:] == (decision, "1-1", None)
        await driver.wait(lambda: not card(driver).is_open, "the card is gone")
        assert not [one for one in driver.services.calls if one[0] == "answer"]

    services, _ = asking()
    drive(scenario, services)


def test_a_deny_carries_the_operators_sentence() -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        await driver.press("4")
        await driver.wait_text("What should Claude do instead?")
        await driver.press("enter")
        assert not driver.services.calls
        await driver.type("Use yarn")
        await driver.press("enter")
        call = await driver.wait_call("decide")
        assert call[2:] == ("deny", "1-1", "Use yarn")

    services, _ = asking()
    drive(scenario, services)


def test_escape_leaves_the_question_open() -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        await driver.press("4")
        await driver.wait_text("What should Claude do instead?")
        await driver.press("escape")
        await driver.wait(lambda: card(driver).is_open, "the card")
        assert not driver.services.calls

    services, _ = asking()
    drive(scenario, services)


def test_an_answer_that_claude_does_not_take_is_said() -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        await driver.press("1")
        await driver.wait_text("waiting for Claude to take it")
        await driver.wait_text("not accepted, press a to attach")
        await driver.press("1", "2", "3")
        assert len(driver.services.calls) == 1

    services, _ = asking()
    services.approvals.takes_answers = False
    drive(scenario, services)


def test_an_answer_that_is_refused_can_be_given_again() -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        driver.services.failure = ConflictError("The worker is ending.", remedy="Try again.")
        await driver.press("1")
        await driver.wait_text("The worker is ending")
        driver.services.failure = None
        await driver.wait(lambda: card(driver).approval is not None, "the card")
        await driver.press("3")
        await driver.wait(lambda: len(driver.services.calls) == 2, "the second answer")
        assert driver.services.calls[-1][2] == "deny"

    services, _ = asking()
    drive(scenario, services)


def test_digits_stay_text_and_panels_without_the_focus() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("1")
        await open_card(driver)
        await driver.press("tab")
        box = driver.app.screen.query_one(MessageBox)
        await driver.wait(lambda: driver.app.focused is box, "the message box")
        await driver.press("1", "2", "enter")
        assert box.text == "12"
        assert not driver.services.calls

    services, _ = asking()
    drive(scenario, services)


def test_what_no_rule_covers_can_only_be_allowed_once() -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        footer = driver.app.screen.query_one(FooterBar)
        await driver.wait(lambda: ("2", "allow for session") in footer.hints, "the footer")
        await driver.press("2")
        await driver.wait_text("only be allowed once")
        assert not driver.services.calls
        await driver.press("1")
        assert (await driver.wait_call("decide"))[2] == "allow"

    services, key = asking()
    services.approvals.ask(key, make_approval(key, rule=False))
    drive(scenario, services)


def test_the_next_question_follows_and_is_counted() -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        await driver.wait_text("1 more after it")
        await driver.press("1")
        await driver.wait_text("npm test")
        await driver.press("3")
        await driver.wait(lambda: not card(driver).is_open, "the card is gone")
        decided = [call[2:4] for call in driver.services.calls]
        assert decided == [("allow", "1-1"), ("deny", "2-1")]

    services, key = asking()
    services.approvals.ask(key, make_approval(key), make_approval(key, 2, "npm test"))
    drive(scenario, services)


def test_foreign_text_on_the_card_is_shown_and_not_obeyed() -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        await driver.wait_text("echo [bold]x[/bold]")
        assert "\x1b" not in driver.text()
        assert "\u202e" not in driver.text()

    services, key = asking()
    services.approvals.ask(key, make_approval(key, command="echo [bold]x[/bold] \x1b[31m\u202e"))
    drive(scenario, services)


def test_a_question_of_claudes_own_keeps_its_own_card() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.wait_text("Which colour")
        assert not card(driver).is_open
        assert driver.app.screen.query_one(QuestionCard).is_open

    drive(scenario, fake_services.small_office())


def test_the_chat_says_that_a_session_is_supervised() -> None:
    async def scenario(driver: Driver) -> None:
        await open_card(driver)
        await driver.wait_text("supervised")
        assert "· supervised" in driver.text().splitlines()[1]

    services, _ = asking()
    drive(scenario, services)
