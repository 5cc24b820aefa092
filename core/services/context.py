"""What the services work with; front ends build it once and hand it to `Services`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.accounts.ceilings import Ceilings
from core.clock import Clock
from core.config import Settings
from core.injection.layers import LibrarySource
from core.paths import DataRoot, RuntimePaths
from core.ports.agent import ChatReader, Worker
from core.services.checkup import Probe
from core.store.store import Store

if TYPE_CHECKING:
    from core.injection.commands import CommandLine


def no_repository(_folder: Path) -> None:
    """For front ends without git: the session's Claude makes its repository when it starts."""


def unknown_command_line() -> CommandLine:
    """For front ends that have none: any command in the library's texts is taken for right."""
    from core.injection.commands import CommandLine  # noqa: PLC0415 - not for light verbs

    return CommandLine(verbs={}, is_known=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Everything from outside that the services need.

    Attributes:
        prepare_repository: Makes a folder a git repository of its own; repeatable.
        command_line: What the library's texts may name; without it nothing is known to be wrong.
        settings_now: The settings as their files are now; without it `settings` stay as they are.
        probes: Doctor's checks by id for what core cannot know: tmux, claude, a pane.
    """

    store: Store
    root: DataRoot
    runtime: RuntimePaths
    settings: Settings
    worker: Worker
    clock: Clock
    library: LibrarySource
    chat_reader: ChatReader
    environ: Mapping[str, str]
    prepare_repository: Callable[[Path], None] = no_repository
    settings_now: Callable[[], Settings] | None = None
    command_line: Callable[[], CommandLine] = unknown_command_line
    probes: Mapping[str, Probe] = field(default_factory=dict)

    @property
    def current_settings(self) -> Settings:
        """The settings as their files are now, for what a process that lives long must notice."""
        return self.settings if self.settings_now is None else self.settings_now()

    @property
    def ceilings(self) -> Ceilings:
        """The ceilings over a day's spending, by the settings as they are now."""
        return Ceilings(self.store, lambda: self.current_settings, self.clock)
