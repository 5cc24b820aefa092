"""What the services work with; front ends build it once and hand it to `Services`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.clock import Clock
from core.config import Settings
from core.paths import DataRoot, RuntimePaths
from core.ports.agent import ChatReader, Worker
from core.services.checkup import Probe
from core.store.store import Store


def no_repository(_folder: Path) -> None:
    """For front ends without git: the session's Claude makes its repository when it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Everything from outside that the services need.

    Attributes:
        prepare_repository: Makes a folder a git repository of its own; repeatable.
        probes: Doctor's checks by id for what core cannot know: tmux, claude, a pane.
    """

    store: Store
    root: DataRoot
    runtime: RuntimePaths
    settings: Settings
    worker: Worker
    clock: Clock
    library: Path
    chat_reader: ChatReader
    environ: Mapping[str, str]
    prepare_repository: Callable[[Path], None] = no_repository
    probes: Mapping[str, Probe] = field(default_factory=dict)
