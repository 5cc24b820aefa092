"""The app driven by keys: what the operator presses, and what comes of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from textual.events import Key

from core.models.overview import SessionRow
from core.models.states import AgentState, Receipt, SessionState
from core.models.user import HostProvider
from tests.tui import fake_services
from tests.tui.app_driver import Driver, running
from tui.widgets.bars import FooterBar, NoticeBar
from tui.widgets.chat_view import ChatView
from tui.widgets.filter_box import FilterBox
from tui.widgets.message_box import MessageBox
from tui.widgets.pane_view import PaneView
from tui.widgets.question_card import QuestionCard
from tui.widgets.session_list import SessionList

PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F)).replace("\\", "") + "żółć漢🙂"
SIZES = [(200, 50), (120, 35), (80, 24), (60, 15), (50, 12), (200, 50)]


def drive(
    scenario: Callable[[Driver], Awaitable[None]],
    services: fake_services.FakeServices | None = None,
    size: tuple[int, int] = (120, 35),
    ready: str | None = "@",
) -> None:
    async def run() -> None:
        office = fake_services.small_office() if services is None else services
        async with running(office, size, ready=ready) as driver:
            await scenario(driver)

    asyncio.run(run())


def notice(driver: Driver) -> str:
    return driver.app.screen.query_one(NoticeBar).text


def box(driver: Driver) -> MessageBox:
    return driver.app.screen.query_one(MessageBox)


def test_keys_pressed_before_the_data_is_there_land_in_the_filter() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("slash", *"bistro")
        assert driver.app.screen.query_one(FilterBox).value == "bistro"
        await driver.wait_text("jan@bistro.pl")
        assert "ana@acme.io" not in driver.text()

    drive(scenario, ready=None)


def test_first_paint_does_not_wait_for_the_services() -> None:
    async def scenario(driver: Driver) -> None:
        assert "reading" in driver.text()
        release.set()
        await driver.wait_text("ana@acme.io")

    services = fake_services.small_office()
    release = threading.Event()
    original = services.sessions.rows

    def slow() -> list[SessionRow]:
        release.wait(5)
        return original()

    services.sessions.rows = slow  # type: ignore[method-assign]  # a store that takes its time
    drive(scenario, services, ready="1 Sessions")


def test_sessions_that_need_the_operator_come_first() -> None:
    async def scenario(driver: Driver) -> None:
        header, _, text = driver.text().partition("\n")
        order = [text.index(word) for word in ("needs you ", "failed 7/7", "4/7 deploy", "ended")]
        assert "? 1 needs you" in header
        assert order == sorted(order)

    drive(scenario)


def test_motion_keys_move_the_cursor() -> None:
    async def scenario(driver: Driver) -> None:
        sessions = driver.app.screen.query_one(SessionList)
        await driver.press("g")
        assert sessions.cursor == 0
        await driver.press("j", "j", "k", "down")
        assert sessions.cursor == 2
        await driver.press("G")
        assert sessions.cursor == len(sessions.index.lines) - 1
        await driver.press("pageup", "home")
        assert sessions.cursor == 0

    drive(scenario)


def test_five_thousand_sessions_are_filtered_and_kept_in_place() -> None:
    async def scenario(driver: Driver) -> None:
        sessions = driver.app.screen.query_one(SessionList)
        await driver.press("G", "slash")
        await driver.type("user0042")
        await driver.wait_text("user0042@example.org")
        assert sessions.index.shown == 1
        assert "1 of 5,000" in driver.text()
        await driver.press("escape")
        assert sessions.index.shown == 5000
        assert driver.app.focused is sessions

    drive(scenario, fake_services.many(5000))


def test_a_change_keeps_the_cursor_on_its_session() -> None:
    async def scenario(driver: Driver) -> None:
        sessions = driver.app.screen.query_one(SessionList)
        row = next(r for r in driver.services.rows_by_key.values() if r.state == "ended")
        sessions.go_to(row.key)
        other = next(r for r in driver.services.rows_by_key.values() if r.state == "idle")
        agent = replace(other.agent, state=AgentState.NEEDS_YOU, question="Which?")
        driver.services.put(replace(other, state=SessionState.NEEDS_YOU, agent=agent))
        await driver.wait_text("2 needs you")
        line = sessions.highlighted
        assert line is not None
        assert line.key == row.key

    drive(scenario)


def test_a_bracket_goes_to_the_session_that_needs_you() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("G", "right_square_bracket")
        line = driver.app.screen.query_one(SessionList).highlighted
        assert line is not None
        assert line.key is not None
        assert driver.services.rows_by_key[line.key].state is SessionState.NEEDS_YOU

    drive(scenario)


async def open_live(driver: Driver) -> None:
    live = next(r for r in driver.services.rows_by_key.values() if r.state is SessionState.LIVE)
    driver.app.screen.query_one(SessionList).go_to(live.key)
    await driver.press("enter")
    await driver.wait(lambda: driver.app.focused is box(driver), "the message box has the focus")


def test_a_message_is_sent_and_shows_its_receipts() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        await driver.type("make it blue")
        await driver.press("enter")
        call = await driver.wait_call("send")
        assert call[2] == "make it blue"
        assert box(driver).text == ""
        await driver.wait_text("queued")
        key = driver.app.screen.query_one(SessionList).highlighted
        assert key is not None
        assert key.key is not None
        driver.services.chat.settle(key.key, Receipt.ACCEPTED)
        await driver.wait(lambda: driver.text().count("accepted") == 2, "the second receipt")
        driver.services.chat.settle(key.key, Receipt.UNKNOWN, "no proof within 30 s")
        await driver.wait_text("no proof within 30 s")

    drive(scenario)


def test_backslash_enter_and_paste_break_lines_without_sending() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        await driver.type("a\\")
        await driver.press("enter", "b", "ctrl+j", "c")
        assert box(driver).text == "a\nb\nc"
        await driver.press("enter")
        assert (await driver.wait_call("send"))[2] == "a\nb\nc"

    drive(scenario)


def test_every_printable_key_is_text_in_the_message_box() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        for event in [Key(_key_of(letter), letter) for letter in PRINTABLE]:
            driver.app.post_message(event)
        await driver.wait(lambda: len(box(driver).text) >= len(PRINTABLE), "all letters")
        assert box(driver).text == PRINTABLE
        assert not driver.services.calls

    drive(scenario)


def _key_of(letter: str) -> str:
    names = {"/": "slash", ":": "colon", "?": "question_mark", "[": "left_square_bracket"}
    names |= {"]": "right_square_bracket", " ": "space", "-": "minus", "_": "underscore"}
    return names.get(letter, letter)


def test_an_empty_message_is_not_sent() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        await driver.press("enter", "space", "enter")
        await driver.pilot.pause(0.1)
        assert not [call for call in driver.services.calls if call[0] == "send"]

    drive(scenario)


def test_a_refused_message_comes_back_into_the_box() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        driver.services.failure = fake_services.REFUSED
        await driver.type("hello")
        await driver.press("enter")
        await driver.wait(lambda: box(driver).text == "hello", "the text is back")
        assert "The text is empty." in notice(driver)

    drive(scenario)


def test_earlier_messages_come_back_with_up() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        await driver.wait_text("Bakery site")
        await driver.press("x", "up")
        assert box(driver).text == "[Edit] the [/] header"
        await driver.press("up")
        assert box(driver).text == "Bakery site, 3 pages, warm colours."
        await driver.press("down", "down")
        assert box(driver).text == "x"

    drive(scenario)


def test_each_session_keeps_its_draft() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        await driver.type("half a")
        await driver.press("escape", "j", "j")
        await driver.wait(lambda: box(driver).text == "", "an empty box")
        await driver.press("k", "k")
        await driver.wait(lambda: box(driver).text == "half a", "the draft")

    drive(scenario)


def test_the_question_card_answers_by_digit_only_with_focus() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.wait_text("Which colour")
        await driver.press("4")
        assert not driver.services.calls
        await driver.press("1", "enter")
        card = driver.app.screen.query_one(QuestionCard)
        await driver.wait(lambda: driver.app.focused is card, "the card has the focus")
        await driver.press("2")
        call = await driver.wait_call("answer")
        assert call[2] == 2
        await driver.wait_text("not accepted yet")

    drive(scenario)


def test_no_message_goes_out_while_claude_waits() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("enter", "tab")
        await driver.wait(lambda: driver.app.focused is box(driver), "the message box")
        await driver.type("7 things")
        await driver.press("enter")
        assert "answer Claude first" in notice(driver)
        assert box(driver).text == "7 things"
        assert not driver.services.calls

    drive(scenario)


def test_text_that_looks_like_markup_is_shown_as_it_is() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        await driver.wait_text("[Edit] the [/] header")
        text = driver.text()
        assert "[bold]if[/bold] you want [Edit]" in text
        assert "\x1b" not in text

    drive(scenario, size=(160, 45))


def test_failed_calls_are_open_and_folds_toggle() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        await driver.wait_text("Could not resolve host")
        assert "wrote it" not in driver.text()
        await driver.press("escape", "2", "Z")
        await driver.wait_text("wrote it")
        await driver.press("Z")
        await driver.wait(lambda: "wrote it" not in driver.text(), "folded")
        view = driver.app.screen.query_one(ChatView)
        await driver.press("g")
        assert not view.follows
        await driver.press("G")
        assert view.follows

    drive(scenario, size=(160, 50))


def test_the_pipeline_shows_steps_result_and_reason() -> None:
    async def scenario(driver: Driver) -> None:
        failed = next(r for r in driver.services.rows_by_key.values() if r.state == "failed")
        driver.app.screen.query_one(SessionList).go_to(failed.key)
        await driver.wait_text("11/12 passed")
        text = driver.text()
        for wanted in ("1 create_user", "7 e2e_tests", "41.7s", "menu link opens", "200 text/html"):
            assert wanted in text
        assert "screenshot_thumb.png" in text

    drive(scenario)


def test_the_live_pane_replaces_the_chat_and_comes_back() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("p")
        await driver.wait_text("row 39 and inverse")
        assert isinstance(driver.app.focused, PaneView)
        assert "2 Chat" not in driver.text()
        await driver.wait_text("age 0.")
        await driver.press("p")
        assert "2 Chat" in driver.text()

    drive(scenario)


def test_the_pane_feed_ends_when_the_pane_is_hidden() -> None:
    async def scenario(driver: Driver) -> None:
        pane = driver.app.terminal.pane_view
        assert isinstance(pane, fake_services.FakePane)
        await driver.press("p")
        await driver.wait(lambda: pane.listeners, "a listener")
        await driver.press("p")
        await driver.wait(lambda: not pane.listeners, "no listener")

    drive(scenario)


@pytest.mark.parametrize(
    ("key", "call"),
    [("d", "deploy"), ("c", "check"), ("t", "test"), ("v", "screenshot")],
)
def test_a_key_asks_for_its_act(key: str, call: str) -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("j", key)
        await driver.wait_call(call)

    drive(scenario)


@pytest.mark.parametrize(("key", "call"), [("b", "rollback"), ("x", "stop")])
def test_a_moderate_act_asks_first_and_cancel_has_the_focus(key: str, call: str) -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("j", key, "enter")
        await driver.pilot.pause(0.1)
        assert not driver.services.calls
        await driver.press(key, "y")
        await driver.wait_call(call)

    drive(scenario)


def test_destroy_needs_the_typed_name() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("j", "D", "enter")
        assert not driver.services.calls
        await driver.press("D", "y", "tab", "enter")
        assert not driver.services.calls
        await driver.press("escape", "D")
        line = driver.app.screen_stack[0].query_one(SessionList).highlighted
        assert line is not None
        assert line.key is not None
        await driver.type(line.key.session_id)
        await driver.press("tab", "enter")
        assert (await driver.wait_call("destroy"))[2] == line.key.session_id

    drive(scenario)


def test_an_action_that_is_not_possible_says_why() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("c")
        assert "nothing is deployed yet" in notice(driver)
        assert not driver.services.calls

    drive(scenario)


def test_attach_wakes_claude_first_and_says_what_to_do_where_it_cannot() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("a")
        await driver.wait_call("wake")
        await driver.wait(lambda: "cannot be given" in notice(driver), "the reason")

    drive(scenario)


def test_a_cloud_deploy_is_confirmed() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("d")
        await driver.pilot.pause(0.1)
        assert not driver.services.calls
        await driver.press("y")
        await driver.wait_call("deploy")

    user = fake_services.make_user(1)
    services = fake_services.FakeServices()
    host = HostProvider.AWS
    services.add(user, fake_services.make_row(user, 1, SessionState.IDLE, host=host))
    drive(scenario, services)


def test_isolation_that_is_off_is_said_on_every_width() -> None:
    for size in ((200, 50), (120, 35), (80, 24), (60, 15)):

        async def scenario(driver: Driver) -> None:
            await driver.wait_text("isolation is off")

        services = fake_services.small_office()
        services.sessions.is_uncontained = True
        drive(scenario, services, size)


def test_a_scripted_model_is_named_on_every_width() -> None:
    for size in ((200, 50), (120, 35), (80, 24), (60, 15)):

        async def scenario(driver: Driver) -> None:
            await driver.wait_text("model is scripted")
            await driver.press("2")
            assert "model is scripted" in driver.text()

        drive(scenario, fake_services.small_office(simulated=True), size)


@pytest.mark.parametrize(
    "keys",
    [
        (),
        ("p",),
        ("4",),
        ("n",),
        ("question_mark",),
        ("colon",),
        ("j", "x"),
        ("j", "D"),
        ("j", "L"),
    ],
)
def test_every_size_is_drawn_and_keeps_focus(keys: tuple[str, ...]) -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press(*keys)
        await driver.pilot.pause()
        before = type(driver.app.focused)
        for width, height in SIZES:
            await driver.pilot.resize_terminal(width, height)
            await driver.pilot.pause(0.05)
            assert type(driver.app.focused) is before
            is_small = width < 60 or height < 15
            if not keys:
                assert ("tmux-builder needs 60x15, this is 50x12" in driver.text()) is is_small

    drive(scenario)


def test_written_text_survives_a_resize() -> None:
    async def scenario(driver: Driver) -> None:
        await open_live(driver)
        await driver.type("keep me")
        for size in SIZES:
            await driver.pilot.resize_terminal(*size)
            await driver.pilot.pause(0.05)
        assert box(driver).text == "keep me"
        assert driver.app.focused is box(driver)

    drive(scenario)


def test_narrow_terminals_have_tabs() -> None:
    async def scenario(driver: Driver) -> None:
        assert "[1 Browse]" in driver.text()
        for key, shown, title in (("2", "[2 Chat]", "2 Chat"), ("4", "[4 Deploy]", "create_user")):
            await driver.press(key)
            await driver.wait_text(shown)
            assert title in driver.text()
        await driver.press("1")
        await driver.wait_text("ana@acme.io")

    drive(scenario, size=(80, 24))


def test_tab_goes_through_the_panels_and_back() -> None:
    async def scenario(driver: Driver) -> None:
        seen = []
        for _ in range(5):
            seen.append(driver.app.focused and driver.app.focused.id)
            await driver.press("tab")
        assert seen == ["list", "chat-view", "question", "message", "pipeline"]
        await driver.press("shift+tab")
        assert driver.app.focused is not None
        assert driver.app.focused.id == "pipeline"

    drive(scenario)


def test_the_log_opens_at_the_error_and_follows() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("j", "L")
        await driver.wait_text("menu link opens /menu: 404")
        await driver.press("g", "n")
        await driver.wait_text("not there yet")
        await driver.press("escape")
        assert "1 Sessions" in driver.text()

    drive(scenario)


def test_the_doctor_shows_each_fault_with_its_fix() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("colon")
        await driver.type("doctor")
        await driver.press("enter")
        await driver.wait_text("claude auth login")
        assert "FAIL" in driver.text()

    drive(scenario)


def test_help_lists_the_keys_of_the_place_and_runs_one() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("question_mark")
        await driver.wait_text("keys that work here (list)")
        await driver.type("photograph")
        await driver.wait_text("not now: nothing is deployed yet")
        await driver.press("escape", "j", "question_mark")
        await driver.type("photograph")
        await driver.press("enter")
        await driver.wait_call("screenshot")

    drive(scenario)


def test_the_palette_finds_an_action_by_another_name() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("j", "ctrl+p")
        await driver.type("publish")
        await driver.press("enter")
        await driver.wait_call("deploy")

    drive(scenario)


def test_somebody_without_users_is_welcomed() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("t")
        await driver.wait_call("demo")

    drive(scenario, fake_services.empty(), ready="No users yet")


def test_q_leaves_and_escape_never_does() -> None:
    async def scenario(driver: Driver) -> None:
        await driver.press("escape", "escape", "2", "escape")
        assert driver.app.is_running
        await driver.press("ctrl+c")
        assert driver.app.is_running
        await driver.press("q")
        await driver.wait(lambda: not driver.app.is_running, "the app has left")

    drive(scenario)


def test_the_footer_follows_the_focus() -> None:
    async def scenario(driver: Driver) -> None:
        footer = driver.app.screen.query_one(FooterBar)
        await driver.wait(lambda: ("Enter", "open") in footer.hints, "list keys")
        await open_live(driver)
        await driver.wait(lambda: ("Enter", "send") in footer.hints, "typing keys")
        keys = [key for key, _ in footer.hints]
        assert all(len(key) > 1 for key in keys)
        assert "Esc" in keys
        assert "^P" in keys

    drive(scenario)


def test_a_fault_of_the_product_does_not_end_the_app() -> None:
    async def scenario(driver: Driver) -> None:
        driver.services.deploys.start = lambda _key: 1 // 0  # type: ignore[assignment,method-assign,return-value]  # a bug
        await driver.press("j", "d")
        await driver.wait(lambda: "ZeroDivisionError" in notice(driver), "the fault is shown")
        assert driver.app.is_running

    drive(scenario)
