"""What the keys of a session do; part of the main screen."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tui.actions import BY_ID
from tui.quantities import short_session
from tui.screens.panels import CHAT, PANE, WIDE, Panels
from tui.situation import Situation

if TYPE_CHECKING:
    from core.models.overview import SessionRow
    from tui.session_acts import SessionActs

logger = logging.getLogger(__name__)

LOCAL = "local"
"""The host provider whose acts need no confirmation."""


class SessionKeys(Panels, inherit_bindings=False):
    """Asks where an act cannot be undone, and hands everything else to `SessionActs`."""

    acts: SessionActs

    @property
    def row(self) -> SessionRow | None:
        """The session that the keys act on."""
        raise NotImplementedError

    def situation(self) -> Situation:
        raise NotImplementedError

    def notice(self, text: str, *, is_bad: bool = False) -> None:
        raise NotImplementedError

    async def action_act(self, action_id: str, key: str) -> None:
        """An action that is not possible now says why, and does nothing."""
        reason = BY_ID[action_id].reason
        why_not = reason(self.situation()) if reason is not None else None
        if why_not is not None:
            self.notice(f"{BY_ID[action_id].label}: {why_not}", is_bad=True)
            return
        await super().action_act(action_id, key)

    def _required(self) -> SessionRow:
        row = self.row
        if row is None:
            raise LookupError("no session is selected")
        return row

    def do_write(self) -> None:
        self.focus_message()

    def do_write_here(self) -> None:
        self.focus_message()

    def do_pane(self) -> None:
        if self.is_visible(PANE) and self.app.size.width < WIDE:
            self.focus_panel(CHAT)
        else:
            self.focus_panel(PANE)

    def do_panel_3(self) -> None:
        self.focus_panel(PANE)

    def do_deploy(self) -> None:
        row = self._required()
        if row.session.host_provider == LOCAL:
            self.acts.deploy(row.key)
            return
        self._ask(
            "Deploy to the cloud?",
            f"{self._called(row)} goes to {row.session.host_provider} {row.session.site_type}.",
            "Deploy",
            lambda: self.acts.deploy(row.key),
        )

    def do_check(self) -> None:
        self.notice("health check is under way")
        self.acts.check(self._required().key)

    def do_test(self) -> None:
        self.notice("tests are under way")
        self.acts.test(self._required().key)

    def do_screenshot(self) -> None:
        self.notice("the site is being photographed")
        self.acts.screenshot(self._required().key)

    def do_rollback(self) -> None:
        row = self._required()
        self._ask(
            "Roll back?",
            f"{self._called(row)} is at deploy #{row.session.deploy_count}. "
            "The one before it is published again; nothing is lost.",
            "Roll back",
            lambda: self.acts.rollback(row.key),
        )

    def do_retry(self) -> None:
        row = self._required()
        if row.execution is not None:
            self.acts.retry(row.key, row.execution.execution_id)

    def do_cancel_run(self) -> None:
        row = self._required()
        if row.execution is None:
            return
        execution_id = row.execution.execution_id
        self._ask(
            "Cancel this run?",
            f"{self._called(row)}: what its steps have done stays done.",
            "Cancel run",
            lambda: self.acts.cancel(row.key, execution_id),
        )

    def do_interrupt(self) -> None:
        self.notice("interrupting Claude's turn")
        self.acts.interrupt(self._required().key)

    def do_stop(self) -> None:
        row = self._required()
        self._ask(
            "Stop Claude in this session?",
            f"{self._called(row)}: {row.state.value.replace('_', ' ')}. "
            "Unsent work in the pane is lost. Files and site stay.",
            "Stop",
            lambda: self.acts.stop(row.key),
        )

    def do_destroy(self) -> None:
        from tui.screens.confirm import ConfirmName  # noqa: PLC0415  # on use

        row = self._required()
        dialog = ConfirmName(
            "Destroy what was deployed?",
            f"{self._called(row)} on {row.session.host_provider}: {row.session.url} stops. "
            "Local files, logs and screenshots are kept. There is no undo.",
            expected=row.key.session_id,
        )
        self.app.push_screen(
            dialog, lambda confirmed: self.acts.destroy(row.key) if confirmed else None
        )

    def do_log(self) -> None:
        from tui.screens.log import LogScreen  # noqa: PLC0415  # on use

        self.app.push_screen(LogScreen(self.acts.services, self._required().key))

    def do_copy_url(self) -> None:
        url = self._required().session.url or ""
        self.app.copy_to_clipboard(url)
        self.notice(f"copied {url}")

    def _ask(self, title: str, body: str, verb: str, act: object) -> None:
        from tui.screens.confirm import Confirm  # noqa: PLC0415  # on use

        def answered(confirmed: bool | None) -> None:
            if confirmed and callable(act):
                act()

        self.app.push_screen(Confirm(title, body, verb), answered)

    @staticmethod
    def _called(row: SessionRow) -> str:
        return f"{row.email} {short_session(row.key.session_id)}"
