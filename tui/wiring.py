"""The front ends' composition root: the only place here that builds real adapters.

Importing it is cheap: terminal, browser and cloud libraries are loaded by what is built on use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import SystemClock
from core.config import load_settings
from core.files import make_private_root
from core.injection.layers import operator_library
from core.models.states import ModelSpeed
from core.paths import DataRoot, data_root, runtime_paths
from core.services.checkup import CheckState, Finding, Probe
from core.services.context import Environment
from core.services.services import Services
from core.settings_watch import watch_settings
from core.store.store import open_store
from tmux_bridge.launcher import WorkerLauncher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.injection.commands import CommandLine
    from core.models.transcript import ChatItem
    from tui.demo import DemoResult


def build_services(
    data_dir: str | None, config_file: Path | None, environ: Mapping[str, str] | None = None
) -> Services:
    """The services of a data root, which is made private where it is new.

    Raises:
        BuilderError: The data root, the store or the settings cannot be used.
    """
    environ = os.environ if environ is None else environ
    root = data_root(data_dir, environ)
    make_private_root(root)
    runtime = runtime_paths(root, environ)
    settings = load_settings(environ=environ, config_file=config_file, untrusted=root.path)
    clock = SystemClock()
    return Services(
        Environment(
            store=open_store(root, clock),
            root=root,
            runtime=runtime,
            settings=settings,
            settings_now=watch_settings(
                settings, environ, Path.cwd(), config_file=config_file, untrusted=root.path
            ),
            worker=WorkerLauncher(root, runtime, config_file),
            clock=clock,
            library=operator_library(settings, root, environ),
            chat_reader=_LazyChats(root),
            environ=environ,
            prepare_repository=_prepare_repository,
            command_line=_command_line,
            probes=_probes(root, environ),
        )
    )


def run_demo(
    services: Services, *, keep: bool = False, port: int | None = None,
    speed: ModelSpeed = ModelSpeed.NORMAL,
    on_progress: Callable[[str], None] = lambda _line: None,
) -> DemoResult:  # fmt: skip
    """Build, deploy, change and redeploy the demo site with the scripted model."""
    from tui.demo import Demo  # noqa: PLC0415

    return Demo(services, on_progress).run(keep=keep, port=port, speed=speed)


class _LazyChats:
    """Loads the transcript reader when a chat is first looked at."""

    def __init__(self, root: DataRoot) -> None:
        self._root = root
        self._readers: object = None

    def read(self, transcripts: Sequence[Path]) -> list[ChatItem]:
        from tmux_bridge.claude.readers import TranscriptReaders  # noqa: PLC0415

        if not isinstance(self._readers, TranscriptReaders):
            self._readers = TranscriptReaders(self._root)
        return self._readers.read(transcripts)


def _prepare_repository(folder: Path) -> None:
    from tmux_bridge.claude.seed import prepare_repository  # noqa: PLC0415

    prepare_repository(folder)


def _command_line() -> CommandLine:
    from tui.cli.shapes import command_line  # noqa: PLC0415 - loads every verb

    return command_line()


def _probes(root: DataRoot, environ: Mapping[str, str]) -> dict[str, Probe]:
    """Doctor's checks that need a real tmux."""

    def tmux_server() -> Finding:
        from core.errors import BuilderError  # noqa: PLC0415
        from tmux_bridge.trial import try_tmux  # noqa: PLC0415

        try:
            return Finding(state=CheckState.OK, found=try_tmux(root, environ))
        except BuilderError as error:
            return Finding(
                state=CheckState.FAIL, found=error.message, need="a working tmux", fix=error.remedy
            )

    return {"tmux.server": tmux_server}
