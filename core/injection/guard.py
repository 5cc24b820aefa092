"""Before each start: is a session's `.claude` still what the product put there?

The lock file says what each file was; the digest of the lock, kept in the store where no pane
reaches, says what the lock was. Claude obeys settings and hooks, so a difference is no detail.
"""

from __future__ import annotations

import hashlib

from core.errors import AnswerIsNoError
from core.files import read_regular
from core.injection.lock import LOCK_LIMIT_BYTES, differences, read_lock
from core.paths import SessionPaths

NAMED = 5
CODE = "injection_edited"


def verify_injection(paths: SessionPaths, recorded_sha256: str | None) -> str:
    """Compare `.claude` with its lock, and the lock with what was recorded of it.

    Args:
        paths: The session's folders.
        recorded_sha256: The lock's digest in the store; None for a session from before it was
            recorded, whose lock is taken at its word this once.

    Returns:
        The lock's digest.

    Raises:
        AnswerIsNoError: Something differs; the message names the files.
        StorageError: The lock cannot be read.
    """
    name = f"{paths.claude.name}/{paths.injection_lock.name}"
    content = read_regular(paths.root, name, limit=LOCK_LIMIT_BYTES)
    digest = None if content is None else hashlib.sha256(content).hexdigest()
    if digest is None:
        raise _edited(paths, [f"{name} missing"])
    if recorded_sha256 not in {None, digest}:
        raise _edited(paths, [f"{name} changed"])
    lock = read_lock(paths)
    found = [] if lock is None else differences(paths, lock)
    if found:
        raise _edited(paths, [f"{paths.claude.name}/{one.path} {one.kind}" for one in found])
    return digest


def _edited(paths: SessionPaths, found: list[str]) -> AnswerIsNoError:
    session_id = paths.root.name
    named = ", ".join(line[:200] for line in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return AnswerIsNoError(
        f"Claude is not started in {session_id}: its settings are not those that were injected"
        f" ({named}{more}).",
        remedy=f"tmux-builder library update {session_id} puts the library's back; before that,"
        f" tmux-builder library diff {session_id} shows what is different.",
        code=CODE,
    )
