"""The entry of the full-screen app. It prepares the environment before textual is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.colour import prepare_colour, restore_colour

if TYPE_CHECKING:
    from core.models.session import SessionKey
    from core.services.services import Services
    from tui.feeds import Changes
    from tui.ports import Attach, PaneView


def run_app(
    services: Services,
    *,
    pane_view: PaneView | None,
    attach: Attach | None,
    session: SessionKey | None = None,
    demo: Callable[[], object] | None = None,
    changes: Callable[[], Changes] | None = None,
) -> int:
    """Run the app until the operator leaves; sessions and runs go on.

    Args:
        services: What the app shows and asks for; first touched after the first paint.
        pane_view: How to look at panes; None hides the live pane.
        attach: How to show a real terminal; None leaves attach out, with the reason.
        session: The session to open first.
        demo: Builds the demo; may block for a minute, runs in a thread.
        changes: Makes the change feed, in the thread that asks it; the store's by default.

    Returns:
        The exit code.
    """
    original = prepare_colour()
    from tui.builder_app import BuilderApp  # noqa: PLC0415  # after the environment
    from tui.ports import Terminal  # noqa: PLC0415

    app = BuilderApp(
        services,
        Terminal(pane_view=pane_view, attach=attach, demo=demo, environ=original),
        first=session,
        changes=changes,
    )
    restore_colour(original)
    app.run()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0
