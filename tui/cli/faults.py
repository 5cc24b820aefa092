"""The trace of a fault of ours, kept where the operator can find it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from core.clock import to_text
from core.errors import BuilderError
from core.files import make_private_folder
from core.paths import state_folder
from core.redaction import redacted

LOG_NAME = "faults.log"
LOG_LIMIT_BYTES = 1_000_000


def fault_log(environ: Mapping[str, str]) -> Path:
    return state_folder(environ) / LOG_NAME


def write_trace(error: Exception, command: str | None, environ: Mapping[str, str]) -> str:
    """Append the traceback; returns the file, or `stderr` where it can be written nowhere else."""
    path = fault_log(environ)
    text = redacted("".join(traceback.format_exception(error)))
    entry = f"{to_text(datetime.now(UTC))} {command or 'tmux-builder'}\n{text}\n"
    try:
        make_private_folder(path.parent)
        if path.is_file() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".old.log"))
        with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            path.chmod(0o600)
            stream.write(entry)
    except (OSError, BuilderError):
        sys.stderr.write(text)
        return "stderr"
    return str(path)
