"""The new-user form: checked while typing, created only on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.widgets import Input

from core.errors import StorageError
from core.models.user import make_user_id
from tests.tui import fake_services
from tests.tui.app_driver import Driver, running
from tui.screens.new_user import NewUser
from tui.widgets.fields import Choice, PromptField
from tui.widgets.message_box import MessageBox
from tui.widgets.question_card import QuestionCard


def fill(scenario: Callable[[Driver], Awaitable[None]]) -> fake_services.FakeServices:
    services = fake_services.small_office()

    async def run() -> None:
        async with running(services, (80, 30)) as driver:
            await driver.press("n")
            await driver.wait(lambda: isinstance(driver.app.screen, NewUser), "the form")
            await scenario(driver)

    asyncio.run(run())
    return services


def test_wrong_input_is_said_under_the_field_and_nothing_is_created() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.type("ana@")
        await driver.wait_text("is not an e-mail address")
        await driver.press("tab")
        await driver.type("123")
        await driver.wait_text("too short: 7 to 15 digits needed, 3 given")
        await driver.press("ctrl+o")
        assert driver.app.focused is driver.app.screen.query_one("#email", Input)

    assert not fill(scenario).calls


def test_enter_goes_through_the_fields_and_never_creates() -> None:
    async def scenario(driver: Driver) -> None:
        seen = []
        for _ in range(6):
            seen.append(driver.app.focused and driver.app.focused.id)
            await driver.press("enter")
        assert seen == ["email", "phone", "name", "host", "type", "prompt"]
        assert driver.app.focused is not None
        assert driver.app.focused.id == "create"

    assert not fill(scenario).calls


def test_the_user_id_is_shown_while_typing() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.type("Eva@Example.org")
        await driver.press("tab")
        await driver.type("+48 600 100 200")
        await driver.wait_text(make_user_id("eva@example.org", "+48600100200"))
        await driver.wait_text("new user;")

    fill(scenario)


def test_an_existing_person_is_recognised() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.type("ANA@acme.io")
        await driver.press("tab")
        await driver.type("+48 600 10 0001")
        await driver.wait_text("already exists and will be opened")

    fill(scenario)


def test_creating_opens_the_session_with_the_wish_as_it_was_written() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.type("eva@example.org")
        await driver.press("tab")
        await driver.type("+48600100200")
        await driver.press("tab", "tab", "right", "tab", "space", "tab")
        assert driver.app.screen.query_one("#host", Choice).value == "aws"
        assert driver.app.screen.query_one("#type", Choice).value == "dynamic"
        driver.app.screen.query_one(PromptField).insert("first line\nsecond line")
        await driver.press("ctrl+o")
        call = await driver.wait_call("create_user")
        assert isinstance(call[3], dict)
        assert call[3]["prompt"] == "first line\nsecond line"
        assert call[3]["host_provider"] == "aws"
        assert call[3]["start"] is True
        await driver.wait_text("eva@example.org")
        await driver.wait(
            lambda: isinstance(driver.app.focused, MessageBox | QuestionCard), "the new chat"
        )

    fill(scenario)


def test_a_refusal_keeps_the_form_and_says_why() -> None:
    async def scenario(driver: Driver) -> None:
        driver.services.failure = StorageError("The disk is full.", remedy="Make room.")
        await driver.type("eva@example.org")
        await driver.press("tab")
        await driver.type("+48600100200")
        await driver.press("ctrl+o")
        await driver.wait_text("The disk is full. Make room.")
        assert isinstance(driver.app.screen, NewUser)

    fill(scenario)


def test_escape_creates_nothing() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.type("eva@example.org")
        await driver.press("escape")
        assert not isinstance(driver.app.screen, NewUser)

    assert not fill(scenario).calls
