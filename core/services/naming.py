"""`deploy --suffix`: another name for what a cloud host makes, while it has made nothing yet."""

from __future__ import annotations

from core.cloud.config import CloudConfig
from core.errors import ConflictError, UsageError
from core.models.session import Session
from core.models.user import HostProvider
from core.store.store import Store


def require_suffix(store: Store, session: Session, suffix: str | None) -> None:
    """That the names can still be chosen; none asked for, or the same again, is fine.

    Raises:
        UsageError: It cannot be part of a name, or the host has no names that could be taken.
        ConflictError: Resources with other names are recorded: they would be left behind.
    """
    if suffix is None:
        return
    if session.host_provider is HostProvider.LOCAL:
        raise UsageError(
            "--suffix is for cloud hosts; the local host needs none.",
            remedy=f"tmux-builder deploy {session.key.session_id}",
        )
    CloudConfig(
        key=session.key, site_type=session.site_type, installation_id=store.installation_id(),
        suffix=suffix,
    )  # fmt: skip
    made = store.sessions.resources(session.key)
    if made and suffix != session.name_suffix:
        raise ConflictError(
            f"{session.key.session_id} has {len(made)} resources under their names already,"
            f" the first is {made[0].kind} {made[0].resource_id}.",
            remedy="Deploy without --suffix, or destroy the session's resources first.",
            code="names_fixed",
        )
