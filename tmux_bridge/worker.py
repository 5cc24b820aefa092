"""The worker: one process per data root and machine that does the work the front ends ask for.

It admits runs to the durable engine, types into panes (nobody else does), ingests Claude's events
and answers requests. Killed at any instant, its successor goes on where it stopped. Started by
whoever needs it; its lock, socket and log lie in the runtime folder.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.clock import SystemClock
from core.config import Settings, load_settings
from core.errors import BuilderError, ExitCode, LoginNeededError
from core.files import make_private_root
from core.login import read_login
from core.paths import DataRoot, RuntimePaths, data_root, runtime_paths
from core.process_log import log_to_file, log_to_terminal
from core.redaction import learn, url_secrets
from core.settings_watch import SettingsWatch, watch_settings
from core.store.store import open_store
from tmux_bridge.launcher import FileLock, prepare_runtime
from tmux_bridge.worker_parts import WorkerParts, build_parts

TICK_S = 0.25
"""How long a commit whose wake-up was lost may stay unseen."""

BUSY_TICK_S = 0.05
LOG_BYTES = 5_000_000

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or the end of the data root; returns the exit code."""
    options = _parse(arguments)
    os.umask(0o077)
    root = data_root(options.data_dir, os.environ)
    runtime = runtime_paths(root, os.environ)
    try:
        make_private_root(root)
        prepare_runtime(runtime)
        lock = FileLock(runtime.worker_lock)
        if not lock.acquire():
            return int(ExitCode.CONFLICT) if options.foreground else int(ExitCode.OK)
        _configure_logging(runtime, foreground=options.foreground)
        settings_now = _settings(options, root)
        _learn_secrets(settings_now())
        return Worker(root, runtime, settings_now).run()
    except BuilderError as error:
        sys.stderr.write(f"{error.message}\nfix: {error.remedy}\n")
        return int(error.exit_code)


class Worker:
    """The main thread: signals, wake-ups, and a look at the store when it changed."""

    def __init__(self, root: DataRoot, runtime: RuntimePaths, settings_now: SettingsWatch) -> None:
        self._root = root
        self._runtime = runtime
        self._settings_now = settings_now
        self._stop_signal = 0

    def run(self) -> int:
        """Build the parts, serve until told to stop, and leave everything resumable."""
        wake = _signal_pipe()
        store = open_store(self._root, SystemClock())
        parts = build_parts(store, self._root, self._runtime, self._settings_now)
        parts.start()
        # Only now: whoever is answered may queue work, and knocks before the first look are moot.
        door = _open_door(self._runtime.worker_socket)
        logger.info("worker started", extra={"pid": os.getpid()})
        try:
            self._serve(parts, door, wake)
        except Exception:
            logger.exception("worker failed")
            raise
        finally:
            with suppress(OSError):
                self._runtime.worker_socket.unlink()
            all_left = parts.stop()
            store.close()
            logger.info("worker stopped", extra={"signal": self._stop_signal})
        code = 128 + self._stop_signal if self._stop_signal else int(ExitCode.OK)
        if not all_left:
            logging.shutdown()
            os._exit(code)
        return code

    def _serve(self, parts: WorkerParts, door: socket.socket, wake: socket.socket) -> None:
        version = -1
        while not self._stop_signal:
            woken = self._wait(door, wake, BUSY_TICK_S if parts.is_busy() else TICK_S)
            newest = parts.store.database.data_version()
            if woken or newest != version or parts.is_busy() or parts.ceilings_changed():
                version = newest
                parts.tick()
            parts.listen_to_panes()
            parts.rest()
            if not self._root.store.exists():
                logger.warning("the data root is gone, so the worker ends")
                return

    def _wait(self, door: socket.socket, wake: socket.socket, timeout_s: float) -> bool:
        ready, _, _ = select.select([door, wake], [], [], timeout_s)
        if wake in ready:
            self._stop_signal = wake.recv(1)[0]
        if door in ready:
            with suppress(BlockingIOError):
                while door.recv(64):
                    pass
        return bool(ready)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tmux-builder worker", description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--config", type=Path)
    parser.add_argument(
        "--settings-folder",
        type=Path,
        default=Path.cwd(),
        help="where the one who started the worker stood: its tmux-builder.toml counts",
    )
    parser.add_argument("--foreground", action="store_true")
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace, root: DataRoot) -> SettingsWatch:
    """As the front end that started this worker reads them; a customer's folder has no say.

    Most are taken once, at the start; the ceilings follow their file.
    """
    cwd, file = options.settings_folder, options.config
    settings = load_settings(environ=os.environ, cwd=cwd, config_file=file, untrusted=root.path)
    return watch_settings(settings, os.environ, cwd, config_file=file, untrusted=root.path)


def _learn_secrets(settings: Settings) -> None:
    """What this process knows besides its environment; a token that is refused is none."""
    learn(*url_secrets(settings.store_url or ""))
    with suppress(LoginNeededError):
        read_login(os.environ)


def _signal_pipe() -> socket.socket:
    """A socket that receives the number of every SIGTERM, SIGINT and SIGHUP."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _noted)
    return reader


def _noted(_number: int, _frame: object) -> None:
    """The wake-up descriptor has told the loop already."""


def _open_door(path: Path) -> socket.socket:
    """The datagram socket on which front ends knock; we hold the lock, so an old one is stale."""
    with suppress(FileNotFoundError):
        path.unlink()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    door.bind(str(path))
    path.chmod(0o600)
    door.setblocking(False)
    return door


def _configure_logging(runtime: RuntimePaths, *, foreground: bool) -> None:
    if foreground:
        log_to_terminal()
    else:
        log_to_file(runtime.worker_log, largest_bytes=LOG_BYTES, kept=2)


if __name__ == "__main__":
    sys.exit(main())
