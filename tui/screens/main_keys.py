"""What the keys of the main screen do, and what becomes of what the operator asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.widgets import Input

from core.errors import BuilderError
from tui import messages
from tui.screens.panels import SESSIONS
from tui.screens.session_keys import SessionKeys
from tui.widgets.filter_box import FilterBox

if TYPE_CHECKING:
    from core.models.session import SessionKey
    from tui.builder_app import BuilderApp
    from tui.ports import Attach, Terminal
    from tui.screens.shown_session import ShownSession

logger = logging.getLogger(__name__)

WAKE_TIMEOUT_S = 30.0
ANSWER_SEEN_S = 2.0


class MainKeys(SessionKeys, inherit_bindings=False):
    """Filter, messages, answers, new users and sessions, attach, leaving."""

    terminal: Terminal
    shown: ShownSession

    def open_session(self, key: SessionKey) -> None:
        raise NotImplementedError

    def reload(self) -> None:
        raise NotImplementedError

    # The list

    def do_filter(self) -> None:
        self.focus_panel(SESSIONS)
        self.set_focus(self.query_one(FilterBox))

    @on(Input.Changed, "#filter")
    def _narrow(self, event: Input.Changed) -> None:
        event.stop()
        self.session_list.index.set_filter(event.value)
        self.session_list.index_changed()
        self.show_counts()

    @on(messages.FilterKept)
    @on(messages.FilterCleared)
    def _leave_filter(self) -> None:
        self.set_focus(self.session_list)

    def show_counts(self) -> None:
        raise NotImplementedError

    @on(messages.SessionOpened)
    def _open(self, message: messages.SessionOpened) -> None:
        self.open_session(message.key)

    def do_next_waiting(self) -> None:
        self._go_waiting(1)

    def do_previous_waiting(self) -> None:
        self._go_waiting(-1)

    def _go_waiting(self, step: int) -> None:
        sessions = self.session_list
        place = sessions.index.waiting_after(sessions.cursor, step)
        if place is None:
            self.notice("the session that needs you is hidden by the filter", is_bad=True)
        else:
            self.focus_panel(SESSIONS)
            sessions.move_cursor(place)

    def do_refresh(self) -> None:
        self.notice("reading everything again")
        self.reload()

    def do_back(self) -> None:
        """From typing to the panel, from a panel to the list, from a filter to everything."""
        filter_box = self.query_one(FilterBox)
        if self.focused is self.session_list and filter_box.value:
            filter_box.value = ""
        else:
            self.focus_panel(SESSIONS)

    def do_leave(self) -> None:
        app: BuilderApp = self.app  # type: ignore[assignment]  # only this app opens the screen
        app.leave()

    # Writing and answering

    @on(messages.WishWritten)
    def _send(self, message: messages.WishWritten) -> None:
        row = self.row
        if row is None:
            self.notice("no session is selected; the text stays here", is_bad=True)
        elif self.parts is not None and self.parts.open_card is not None:
            self.notice("answer Claude first; the text stays here", is_bad=True)
        elif self.parts is not None:
            self.parts.message.taken()
            self.acts.send(row.key, message.text)

    @on(messages.WishQueued)
    def _sent(self, message: messages.WishQueued) -> None:
        if message.key == self.shown.key:
            self.shown.read()

    @on(messages.WishRefused)
    def _give_back(self, message: messages.WishRefused) -> None:
        if self.parts is not None:
            self.parts.message.give_back(message.key, message.text)

    @on(messages.DigitChosen)
    def _answer(self, message: messages.DigitChosen) -> None:
        row = self.row
        if row is None or self.parts is None:
            return
        card = self.parts.question
        card.answered(message.digit)
        self.acts.answer(row.key, message.digit)
        self.shown.nudge_pane()
        self.set_timer(ANSWER_SEEN_S, card.doubt)

    @on(messages.DecisionChosen)
    def _decide(self, message: messages.DecisionChosen) -> None:
        if self.parts is None:
            return
        card, approval = self.parts.approval, message.approval
        card.answered("denied" if message.decision == "deny" else "allowed")
        self.acts.decide(approval, message.decision, message.message)
        self.set_timer(ANSWER_SEEN_S, lambda: card.doubt(approval.approval_id))

    @on(messages.DecisionRefused)
    def _may_answer_again(self, message: messages.DecisionRefused) -> None:
        if self.parts is not None and self.parts.approval.approval == message.approval:
            self.parts.approval.refused()
        self.shown.read()

    @on(messages.SentenceWanted)
    def _ask_sentence(self, message: messages.SentenceWanted) -> None:
        from core.models.approval import Decision  # noqa: PLC0415  # on use
        from tui.screens.sentence import DenySentence  # noqa: PLC0415  # on use

        def written(sentence: str | None) -> None:
            if sentence is not None:
                chosen = messages.DecisionChosen(message.approval, Decision.DENY, sentence)
                self.post_message(chosen)

        self.app.push_screen(DenySentence(message.approval), written)

    # What came of it

    @on(messages.ActFinished)
    def _finished(self, message: messages.ActFinished) -> None:
        self.notice(message.text)
        if message.key is not None and message.key == self.shown.key:
            self.shown.read()

    @on(messages.ActFailed)
    def _failed(self, message: messages.ActFailed) -> None:
        self.notice(message.message, is_bad=True)
        self.notify(
            f"{message.message}\n{message.remedy}", severity="error", markup=False, timeout=8
        )

    @on(messages.CeilingTold)
    def _tell_ceiling(self, message: messages.CeilingTold) -> None:
        self.notice(message.text, is_bad=message.is_reached)
        severity = "error" if message.is_reached else "warning"
        self.notify(message.text, severity=severity, markup=False, timeout=8)  # type: ignore[arg-type]  # a literal

    @on(messages.SessionMade)
    def _made(self, message: messages.SessionMade) -> None:
        self.notice(message.text)
        self.reload()
        if message.key is not None:
            self.open_when_there(message.key)

    def open_when_there(self, key: SessionKey) -> None:
        raise NotImplementedError

    # Other screens

    def do_new_user(self) -> None:
        from tui.screens.new_user import NewUser  # noqa: PLC0415  # on use

        self.app.push_screen(NewUser(self.acts.services), self._take_made)

    def _take_made(self, made: messages.SessionMade | None) -> None:
        if made is not None:
            self.post_message(made)

    def do_new_session(self) -> None:
        user_id = self.situation().user_id
        if user_id is not None:
            self.notice("making a session")
            self.acts.new_session(user_id)

    def do_doctor(self) -> None:
        from tui.screens.doctor import DoctorScreen  # noqa: PLC0415  # on use

        self.app.push_screen(DoctorScreen(self.acts.services))

    def do_costs(self) -> None:
        from tui.screens.costs import CostsScreen  # noqa: PLC0415  # on use

        app: BuilderApp = self.app  # type: ignore[assignment]  # only this app opens the screen
        self.app.push_screen(CostsScreen(self.acts.services, app.glyphs))

    def do_demo(self) -> None:
        demo = self.terminal.demo
        if demo is None:
            return
        self.notice("the demo is under way: a scripted model builds and deploys a page")

        def act() -> messages.ActFinished:
            demo()
            return messages.ActFinished("the demo is done; its page stays up")

        self.acts.run("demo", act)

    def welcome(self) -> None:
        """The first page of somebody who has no users yet."""
        from tui.screens.welcome import Welcome  # noqa: PLC0415  # on use

        self.app.push_screen(Welcome(has_demo=self.terminal.demo is not None), self._chosen)

    def _chosen(self, choice: str | None) -> None:
        doing: dict[str, Callable[[], None]] = {
            "demo": self.do_demo, "new_user": self.do_new_user, "doctor": self.do_doctor,
            "leave": self.do_leave,
        }  # fmt: skip
        if choice is not None:
            doing[choice]()

    # Attach

    def do_attach(self) -> None:
        row, attach = self.row, self.terminal.attach
        if row is None or attach is None:
            return
        self.notice("opening the real terminal; Claude is started if it is not running")
        self.run_worker(self._show_terminal(row.key, attach), name="attach", group="attach")

    async def _show_terminal(self, key: SessionKey, attach: Attach) -> None:
        from tui.attaching import show_terminal  # noqa: PLC0415  # on use
        from tui.background import in_background  # noqa: PLC0415  # on use

        chat = self.acts.services.chat
        try:
            await in_background(lambda: chat.wake(key, WAKE_TIMEOUT_S))
            command = await in_background(lambda: attach.command(key, read_only=False))
            said = await show_terminal(self.app, command)
        except BuilderError as error:
            self.post_message(messages.ActFailed(error.message, error.remedy))
        except (TimeoutError, OSError) as error:
            text = f"The terminal could not be shown: {error}."
            self.post_message(
                messages.ActFailed(text, "Press : and choose doctor to see what is missing.")
            )
        else:
            self.notice(said)
            self.shown.read()
