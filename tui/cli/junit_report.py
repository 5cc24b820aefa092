"""The newest test result of a session, in the form that build servers read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from core.checks.junit import write_junit
from core.errors import NotFoundError
from core.files import read_regular
from core.models.checks import CheckDocument
from core.paths import SessionPaths

RESULT = "deployment/tests/e2e.json"
RESULT_LIMIT_BYTES = 16_000_000


class _Result(msgspec.Struct):
    """The worker's file."""

    test: str
    timestamp: datetime
    passed: bool
    duration_ms: int
    attempts: int
    details: dict[str, Any]
    error: str | None = None
    skipped: str | None = None


def write_report(paths: SessionPaths, target: str) -> None:
    """Write the JUnit file.

    Raises:
        NotFoundError: There is no result of a suite that was run.
        StorageError: The file cannot be written.
    """
    content = read_regular(paths.root, RESULT, limit=RESULT_LIMIT_BYTES)
    try:
        found = msgspec.json.decode(content or b"", type=_Result)
        document = CheckDocument(**msgspec.structs.asdict(found))
        write_junit(document, Path(target).expanduser().absolute())
    except msgspec.MsgspecError as error:
        raise NotFoundError(
            f"{paths.root.name} has no test result to report.", remedy="tmux-builder test"
        ) from error
