"""Inside a session's own pane: the store is out of reach, so a verb is asked for by a file.

The request is written beside and renamed into `state/requests`; the worker's answer appears in
`state/answers`, which the pane can only read.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.clock import wait_for
from core.errors import BuilderError, ConflictError, StorageError, TimedOutError, UsageError
from core.files import read_regular
from core.models.pane_request import PaneAnswer, PaneRequest
from core.paths import DataRoot, SessionPaths
from tui.cli.call import Call
from tui.cli.outcome import Document

Argument = str | int | bool | None

ANSWER_LIMIT_BYTES = 8_000_000
FEEDBACK_EVERY_S = 10.0
INTERVAL_S = 0.05


def ask(
    call: Call, verb: str, session: str | None, arguments: Mapping[str, Argument], wait_s: float
) -> PaneAnswer:
    """Have the worker do a verb for this pane's session, and wait for its answer.

    Raises:
        UsageError: Another session was named.
        TimedOutError: No answer in time.
        StorageError: The request cannot be written.
    """
    paths = pane_paths(call)
    _refuse_others(paths, session)
    request = PaneRequest(id=uuid.uuid4().hex, verb=verb, arguments=dict(arguments))
    call.say(f"{verb}: asked, waiting for tmux-builder")
    call.going_on = "What the worker has begun goes on."
    path = _write(paths, request)
    try:
        return _wait(call, paths, request, call.timeout_s(wait_s))
    finally:
        # A request nobody took must not be done later, when nobody waits for it.
        with contextlib.suppress(OSError):
            path.unlink()


def error_of(answer: PaneAnswer) -> Document | None:
    """The envelope's error object, with every key."""
    if answer.error is None:
        return None
    keys = ("code", "message", "fix", "retryable")
    return {key: answer.error.get(key) for key in keys}


def warnings_of(answer: PaneAnswer) -> list[Document]:
    return [{**warning} for warning in answer.warnings]


def document_of(answer: PaneAnswer) -> Document | None:
    return answer.data if isinstance(answer.data, dict) else None


def pane_paths(call: Call) -> SessionPaths:
    """The folders of the session in whose pane we run.

    Raises:
        UsageError: The variable does not name a session's folder.
    """
    folder = Path(call.pane or "")
    if len(folder.parts) < 4 or folder.parent.name != "sessions" or not folder.is_dir():
        raise UsageError(
            "The variable TMUX_BUILDER_SESSION_DIR does not name a session's folder.",
            remedy="unset TMUX_BUILDER_SESSION_DIR",
        )
    return DataRoot(folder.parents[2]).session(folder.parents[1].name, folder.name)


def _refuse_others(paths: SessionPaths, session: str | None) -> None:
    own = paths.root.name
    is_own = session in {None, ".", own} or (
        len(session or "") > 4 and own.startswith(str(session))
    )
    if not is_own:
        raise UsageError(
            f"From its pane a session can act on itself only, not on {str(session)[:80]!r}.",
            remedy=f"Leave the name out: it means {own}.",
            code="foreign_session",
        )


def _write(paths: SessionPaths, request: PaneRequest) -> Path:
    path = paths.requests / f"{request.id}.json"
    hidden = paths.requests / f".{request.id}.tmp"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(hidden, flags, 0o600), "wb") as stream:
            stream.write(msgspec.json.encode(request))
        hidden.rename(path)
    except OSError as error:
        raise StorageError(
            f"The request cannot be written to {paths.requests}: {error.strerror}.",
            remedy="Check that the session's folder is whole: tmux-builder doctor, outside.",
        ) from error
    return path


def _wait(call: Call, paths: SessionPaths, request: PaneRequest, wait_s: float) -> PaneAnswer:
    name = f"{request.id}.json"
    started = last_said = time.monotonic()

    def look() -> PaneAnswer | None:
        nonlocal last_said
        content = read_regular(paths.answers, name, limit=ANSWER_LIMIT_BYTES)
        if content is not None:
            return _decode(content)
        if time.monotonic() - last_said >= FEEDBACK_EVERY_S:
            last_said = time.monotonic()
            call.say(f"{request.verb}: still waiting ({last_said - started:.0f} s)")
        return None

    answer = wait_for(look, deadline_s=wait_s, interval_s=INTERVAL_S)
    if answer is None:
        raise _no_answer(paths, name, request.verb, wait_s)
    return answer


def _no_answer(paths: SessionPaths, name: str, verb: str, wait_s: float) -> BuilderError:
    if (paths.requests / name).exists():
        return ConflictError(
            f"Nobody took the request to {verb} within {wait_s:g} s; it was taken back.",
            remedy="The operator starts the worker, outside: tmux-builder worker",
            code="worker_down",
        )
    return TimedOutError(
        f"The request to {verb} was not answered within {wait_s:g} s; the work goes on.",
        remedy="tmux-builder status",
    )


def _decode(content: bytes) -> PaneAnswer:
    try:
        return msgspec.json.decode(content, type=PaneAnswer)
    except msgspec.DecodeError as error:
        raise StorageError(
            "The worker's answer cannot be read: it was made by another version.",
            remedy="Ask again; the operator restarts the worker, outside.",
        ) from error
