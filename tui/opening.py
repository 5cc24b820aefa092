"""Opening the app at once: services and panes are built when they are first touched.

The first paint waits for neither the store nor tmux. What cannot be built ends the app with its
sentence and its exit code.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from core.errors import BuilderError
    from core.models.session import SessionKey
    from core.services.services import Services
    from tui.ports import AttachCommand, PaneFrame
    from tui.terminal import TmuxAttach, TmuxPaneView


def open_app(build: Callable[[], Services], session: SessionKey | None) -> int:
    """Open the full-screen app on real panes; returns the exit code.

    Raises:
        BuilderError: The services could not be built; the terminal is restored.
    """
    from tui.app import run_app  # noqa: PLC0415 - textual costs 250 ms

    services = late_services(build)
    terminal = LateTerminal(services)

    def demo() -> object:
        from tui.wiring import run_demo  # noqa: PLC0415 - not before the first paint

        return run_demo(services)

    try:
        return run_app(services, pane_view=terminal, attach=terminal, session=session, demo=demo)
    finally:
        terminal.close()


def late_services(build: Callable[[], Services]) -> Services:
    """Services that are built by the first thread that asks them for anything."""
    return cast("Services", _Late(build))


class _Late:
    """Stands for an object until it is needed; building it failed once means it failed."""

    def __init__(self, build: Callable[[], object]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: object = None
        self._failure: BuilderError | None = None

    def __getattr__(self, name: str) -> Any:
        from core.errors import BuilderError  # noqa: PLC0415 - not before the first paint

        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._built is None:
                try:
                    self._built = self._build()
                except BuilderError as error:
                    self._failure = error
                    raise
        return getattr(self._built, name)


class LateTerminal:
    """Implements the app's ports `PaneView` and `Attach` with what is built on first use."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._view: TmuxPaneView | None = None

    def capture(self, key: SessionKey) -> PaneFrame | None:
        return self._pane_view().capture(key)

    def listen(self, key: SessionKey, on_output: Callable[[], None]) -> Callable[[], None]:
        return self._pane_view().listen(key, on_output)

    def command(self, key: SessionKey, *, read_only: bool) -> AttachCommand:
        return self._attach().command(key, read_only=read_only)

    def close(self) -> None:
        if self._view is not None:
            self._view.close()

    def _pane_view(self) -> TmuxPaneView:
        from tui.terminal import TmuxPaneView  # noqa: PLC0415 - not before the first paint

        with self._lock:
            if self._view is None:
                self._view = TmuxPaneView(self._services.environment.runtime)
            return self._view

    def _attach(self) -> TmuxAttach:
        from tui.terminal import TmuxAttach  # noqa: PLC0415 - not before the first paint

        environment = self._services.environment
        return TmuxAttach(environment.runtime, environment.environ)
