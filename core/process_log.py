"""The one place that makes logging handlers, so that no log is written without its filter.

Every line leaves through `RedactingFormatter`: message, facts, trace and all.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from core.redaction import learn_environment, redacted

_FORM = "%(asctime)s %(levelname)s %(name)s %(message)s"
_ENGINE_FORM = "%(asctime)sZ %(levelname)s %(message)s"

logger = logging.getLogger(__name__)


class RedactingFormatter(logging.Formatter):
    """The constant message with its facts behind it, and no secret in either."""

    _known = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        facts = {key: value for key, value in vars(record).items() if key not in self._known}
        line = super().format(record)
        return redacted(f"{line} {facts}" if facts else line)


def log_to_file(path: Path, *, largest_bytes: int, kept: int) -> None:
    """This process logs into a private file that is turned over when it is full."""
    _begin(_file_handler(path, largest_bytes, kept, _FORM))


def log_to_terminal() -> None:
    """This process logs on its standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(_FORM))
    _begin(handler)


def log_apart(name: str, path: Path, *, largest_bytes: int, kept: int) -> None:
    """One library's logger writes into a file of its own, in UTC, and nowhere else.

    Raises:
        OSError: The file cannot be made.
    """
    apart = logging.getLogger(name)
    apart.propagate = False
    if any(getattr(one, "baseFilename", None) == str(path) for one in apart.handlers):
        return
    handler = _file_handler(path, largest_bytes, kept, _ENGINE_FORM)
    for former in list(apart.handlers):
        apart.removeHandler(former)
        former.close()
    apart.addHandler(handler)


def guard_last_resort() -> None:
    """For a process without a log: what libraries warn of goes to standard error, masked."""
    learn_environment()
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(RedactingFormatter("%(message)s"))


def _begin(handler: logging.Handler) -> None:
    guard_last_resort()
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # Python would write these to standard error as they are, and that is a log file too.
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def _file_handler(path: Path, largest_bytes: int, kept: int, form: str) -> logging.Handler:
    # Loaded on use: every verb asks for `guard_last_resort`, and few processes have a log file.
    from core.log_file import PrivateLogFile  # noqa: PLC0415

    handler = PrivateLogFile(path, largest_bytes=largest_bytes, kept=kept)
    formatter = RedactingFormatter(form)
    if form is _ENGINE_FORM:
        formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logger.critical("process failed", exc_info=(kind, error, trace))


def _uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not issubclass(found.exc_type, SystemExit):
        trace = (found.exc_type, found.exc_value, found.exc_traceback)
        name = None if found.thread is None else found.thread.name
        logger.error("thread failed", exc_info=trace, extra={"thread_of": name})


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    if found.exc_value is not None:
        trace = (found.exc_type, found.exc_value, found.exc_traceback)
        logger.error("error while cleaning up", exc_info=trace)
