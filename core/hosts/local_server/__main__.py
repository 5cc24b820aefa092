"""Start the local host server of a data root, detached from whoever asked for it.

There is one per data root: it holds a lock with its pid inside for its life, and a second one ends
at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from core.files import try_lock
from core.paths import DataRoot, RuntimePaths
from core.process_log import log_to_file

LARGEST_LOG_BYTES = 2 * 1024 * 1024
MOST_FILES = 65536


def main() -> int:
    arguments = _arguments()
    if not arguments.foreground and _is_parent_after_fork():
        return 0
    runtime = RuntimePaths(arguments.runtime)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(runtime.host_lock, flags, 0o600)
    if not try_lock(lock):
        return 0
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    _log_to(runtime.host_log)
    _raise_file_limit()
    from core.hosts.local_server.server import serve  # noqa: PLC0415 - slow: not before the fork

    serve(DataRoot(arguments.data_dir), runtime, lock)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m core.hosts.local_server")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--foreground", action="store_true", help="stay in this terminal")
    return parser.parse_args()


def _is_parent_after_fork() -> bool:
    """Leave the caller's process group, terminal and list of children."""
    if os.fork():
        return True
    os.setsid()
    return False


def _log_to(path: Path) -> None:
    log_to_file(path, largest_bytes=LARGEST_LOG_BYTES, kept=1)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _raise_file_limit() -> None:
    """A listening socket a site, and a connection a visitor."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
