"""The three checks' result documents on their way to a file, and the stopwatch all of them use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from core.clock import Clock, to_text
from core.errors import StorageError
from core.files import write_atomically
from core.models.checks import CheckDocument
from core.models.execution import Json


class Stopwatch:
    """When a check began, and how long it has taken since by the monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin = clock.monotonic()
        self.started_at: datetime = clock.now()

    @property
    def elapsed_ms(self) -> int:
        return max(0, round((self._clock.monotonic() - self._begin) * 1000))


def skipped_document(
    test: str, remedy: str, watch: Stopwatch, details: Mapping[str, Json]
) -> CheckDocument:
    """A check that could not be made here; `remedy` says what would make it possible."""
    return CheckDocument(
        test=test,
        timestamp=watch.started_at,
        passed=False,
        duration_ms=watch.elapsed_ms,
        attempts=0,
        details=details,
        skipped=remedy,
    )


def to_json(document: CheckDocument) -> dict[str, Json]:
    """The document in the shape of its file and of every front end."""
    return {
        "test": document.test,
        "timestamp": to_text(document.timestamp),
        "passed": document.passed,
        "duration_ms": document.duration_ms,
        "attempts": document.attempts,
        "details": dict(document.details),
        "error": document.error,
        "skipped": document.skipped,
    }


def write_document(document: CheckDocument, folder: Path) -> Path:
    """Write `<folder>/<test>.json` for readers at any instant; returns its path.

    Raises:
        StorageError: The folder is a link or missing, or the disk refuses.
    """
    if folder.is_symlink():
        raise StorageError(
            f"{folder} is a symbolic link, so no result is written through it.",
            remedy=f"rm {folder} and run the check again.",
        )
    path = folder / f"{document.test}.json"
    text = json.dumps(to_json(document), indent=2, ensure_ascii=False)
    write_atomically(path, f"{text}\n".encode("utf-8", "backslashreplace"))
    return path
