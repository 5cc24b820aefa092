"""The files by which a waiting hook learns its answer: written here, read by `approve.sh` alone.

They lie in `state/approvals/`, which a pane sees read-only. An answer names the digest of the event
that it answers: a pane that exchanges the event after the fact gets no answer for another call.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from core.files import replace_beneath
from core.models.approval import Approval, ApprovalState
from core.paths import SessionPaths

KEPT = 60
"""Answers are read within moments; the newest stay, more than can be open at once."""

TIMEOUT_FILE = "timeout"


def prepare(paths: SessionPaths, timeout_s: int) -> None:
    """Make the folder where it is missing, and tell the hook how long the product waits.

    Raises:
        StorageError: The folder is a link, or the disk refuses.
    """
    with suppress(FileExistsError):
        paths.approvals.mkdir(mode=0o700)
    replace_beneath(paths.state, f"{paths.approvals.name}/{TIMEOUT_FILE}", b"%d\n" % timeout_s)


def write_answer(paths: SessionPaths, approval: Approval) -> None:
    """Write what the approval's state says; for a withdrawn one, that nothing is decided.

    Raises:
        StorageError: The disk refuses.
    """
    bound = msgspec.json.encode({"event_sha256": approval.event_sha256}).replace(b":", b": ")
    content = b"\n".join([bound, _decision(approval), b""])
    replace_beneath(paths.state, f"{paths.approvals.name}/{approval.approval_id}.json", content)
    _forget_old(paths)


def has_answer(paths: SessionPaths, approval: Approval) -> bool:
    return (paths.approvals / f"{approval.approval_id}.json").is_file()


def _decision(approval: Approval) -> bytes:
    if approval.state is ApprovalState.ALLOWED:
        decision = {"behavior": "allow"}
    elif approval.state in {ApprovalState.DENIED, ApprovalState.EXPIRED}:
        decision = {"behavior": "deny", "message": approval.message or "The operator said no."}
    else:
        return b""
    output = {"hookEventName": "PermissionRequest", "decision": decision}
    return msgspec.json.encode({"hookSpecificOutput": output})


def _forget_old(paths: SessionPaths) -> None:
    """Names begin with the instant of their event, so the first ones are the oldest."""
    names = sorted(path.name for path in paths.approvals.glob("*.json"))
    for name in names[:-KEPT]:
        with suppress(OSError):
            (paths.approvals / name).unlink()
