"""The parts of the main screen that are built after its first paint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.models.states import Needs, SessionMode

if TYPE_CHECKING:
    from textual.screen import Screen

    from core.models.approval import Approval
    from core.models.overview import SessionRow
    from core.models.session import Agent
    from tui.session_detail import SessionDetail
    from tui.states import Glyphs
    from tui.widgets.approval_card import ApprovalCard
    from tui.widgets.chat_view import ChatView
    from tui.widgets.message_box import MessageBox
    from tui.widgets.pane_view import PaneView
    from tui.widgets.pipeline import PipelinePanel
    from tui.widgets.question_card import QuestionCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The insides of the panels beside the list."""

    chat: ChatView
    question: QuestionCard
    approval: ApprovalCard
    message: MessageBox
    pane: PaneView
    pipeline: PipelinePanel

    @property
    def cards(self) -> tuple[ApprovalCard, QuestionCard]:
        return self.approval, self.question

    @property
    def open_card(self) -> ApprovalCard | QuestionCard | None:
        """What a waiting Claude is answered with; None while it does not wait."""
        return next((card for card in self.cards if card.is_open), None)

    def ask(self, row: SessionRow | None, detail: SessionDetail | None) -> bool:
        """Show what Claude asks; whether it is a new question.

        A permission of a supervised session has its own card, as soon as it is known what for.
        """
        agent = None if row is None else row.agent
        approvals = None if row is None or detail is None else _current(row, detail)
        is_new = self.approval.show(agent, approvals)
        may_follow = approvals is None and agent is not None and _is_supervised(agent)
        others = self.approval.is_open or may_follow
        return self.question.show(None if others else agent) or is_new


def _current(row: SessionRow, detail: SessionDetail) -> tuple[Approval, ...] | None:
    """What is asked, unless the detail is another session's or older than the row."""
    is_current = detail.key == row.key and detail.change >= row.session.change
    return detail.approvals if is_current else None


def _is_supervised(agent: Agent) -> bool:
    asks = agent.needs is Needs.PERMISSION
    return asks and agent.mode is SessionMode.SUPERVISED


async def furnish(screen: Screen[Any], glyphs: Glyphs) -> Parts:
    """Build and mount them; their imports and styles are not needed to paint the frame."""
    from tui.widgets.approval_card import ApprovalCard  # noqa: PLC0415
    from tui.widgets.chat_view import ChatView  # noqa: PLC0415  # after the first paint
    from tui.widgets.message_box import MessageBox  # noqa: PLC0415
    from tui.widgets.pane_view import PaneView  # noqa: PLC0415
    from tui.widgets.pipeline import PipelinePanel  # noqa: PLC0415
    from tui.widgets.question_card import QuestionCard  # noqa: PLC0415

    parts = Parts(
        chat=ChatView(glyphs),
        question=QuestionCard(),
        approval=ApprovalCard(),
        message=MessageBox(),
        pane=PaneView(),
        pipeline=PipelinePanel(glyphs),
    )
    await screen.query_one("#chat").mount(parts.chat)
    await screen.query_one("#middle").mount(*parts.cards, before="#writing")
    await screen.query_one("#writing").mount(parts.message)
    await screen.query_one("#pane").mount(parts.pane)
    await screen.query_one("#deploy").mount(parts.pipeline)
    return parts
