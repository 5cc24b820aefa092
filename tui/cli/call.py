"""One call of the program: its common flags, and what verbs build only when they need it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tui.cli.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from core.config import Settings
    from core.models.session import Session
    from core.paths import DataRoot, RuntimePaths
    from core.services.services import Services

PANE_VARIABLE = "TMUX_BUILDER_SESSION_DIR"


class Call:
    """What every verb gets. The flags may stand before or after the verb.

    Attributes:
        command: The full name of the verb, None until it is known.
        going_on: The sentence that Ctrl+C prints: what goes on without this process.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.command: str | None = None
        self.json = False
        self.plain = False
        self.quiet = False
        self.verbose = 0
        self.no_color = False
        self.no_input = False
        self.dry_run = False
        self.yes = False
        self.data_dir: str | None = None
        self.config: str | None = None
        self.timeout: float | None = None
        self.going_on = ""
        self._terminal: Terminal | None = None
        self._services: Services | None = None

    @property
    def terminal(self) -> Terminal:
        if self._terminal is None:
            self._terminal = Terminal(self.environ, no_color=self.no_color or self.plain)
        return self._terminal

    @property
    def services(self) -> Services:
        """Built on first use, so that help and usage errors never open the store."""
        if self._services is None:
            from tui.wiring import build_services  # noqa: PLC0415 - only verbs that need it

            self._services = build_services(self.data_dir, self.config_file, self.environ)
        return self._services

    @property
    def config_file(self) -> Path | None:
        from pathlib import Path  # noqa: PLC0415 - not for help

        return None if self.config is None else Path(self.config).expanduser().absolute()

    @property
    def root(self) -> DataRoot:
        from core.paths import data_root  # noqa: PLC0415 - not for help

        return data_root(self.data_dir, self.environ)

    @property
    def runtime(self) -> RuntimePaths:
        from core.paths import runtime_paths  # noqa: PLC0415 - not for help

        return runtime_paths(self.root, self.environ)

    @property
    def settings(self) -> Settings:
        from core.config import load_settings  # noqa: PLC0415 - not for help

        return load_settings(
            environ=self.environ, config_file=self.config_file, untrusted=self.root.path
        )

    @property
    def pane(self) -> str | None:
        """The folder of the session in whose pane this process runs; None outside of panes."""
        return self.environ.get(PANE_VARIABLE) or None

    @property
    def may_ask(self) -> bool:
        """Whether a question can be put to a person."""
        return not (self.no_input or self.json) and sys.stdin is not None and sys.stdin.isatty()

    @property
    def shows_progress(self) -> bool:
        return not self.quiet

    def session(self, name: str | None) -> Session:
        """The session that a person named; `-` means it from now on."""
        from pathlib import Path  # noqa: PLC0415 - not for help

        found = self.services.names.session(name, Path.cwd())
        self.services.names.remember(found.key)
        return found

    def timeout_s(self, otherwise: float) -> float:
        """The longest wait that was asked for, or the verb's own."""
        return otherwise if self.timeout is None else self.timeout

    def say(self, text: str) -> None:
        """A line of progress on stderr."""
        if self.shows_progress:
            self.terminal.note(text)
