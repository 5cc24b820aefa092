"""The parts of the main screen that are built after its first paint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.states import Glyphs
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
    message: MessageBox
    pane: PaneView
    pipeline: PipelinePanel


async def furnish(screen: Screen[Any], glyphs: Glyphs) -> Parts:
    """Build and mount them; their imports and styles are not needed to paint the frame."""
    from tui.widgets.chat_view import ChatView  # noqa: PLC0415  # after the first paint
    from tui.widgets.message_box import MessageBox  # noqa: PLC0415
    from tui.widgets.pane_view import PaneView  # noqa: PLC0415
    from tui.widgets.pipeline import PipelinePanel  # noqa: PLC0415
    from tui.widgets.question_card import QuestionCard  # noqa: PLC0415

    parts = Parts(
        chat=ChatView(glyphs),
        question=QuestionCard(),
        message=MessageBox(),
        pane=PaneView(),
        pipeline=PipelinePanel(glyphs),
    )
    await screen.query_one("#chat").mount(parts.chat)
    await screen.query_one("#middle").mount(parts.question, before="#writing")
    await screen.query_one("#writing").mount(parts.message)
    await screen.query_one("#pane").mount(parts.pane)
    await screen.query_one("#deploy").mount(parts.pipeline)
    return parts
