"""The right account first: a site stays in the account that its first deploy chose."""

from __future__ import annotations

from core.errors import CloudRefusedError
from core.models.session import Session
from core.store.store import Store


def require_pinned(store: Store, session: Session, found_account: str, provider_word: str) -> None:
    """Tie the session to the account that the login acts in, or refuse another one.

    Args:
        found_account: What the cloud says that the login is.
        provider_word: As in `the {provider_word} login`: `AWS account`, `Azure subscription`.

    Raises:
        CloudRefusedError: The site is in another account; nothing was touched in this one.
    """
    pinned = store.sessions.pin_account(session.key, found_account)
    if pinned == found_account:
        return
    raise CloudRefusedError(
        f"The site of {session.key.session_id} is in the {provider_word} {pinned}, but the login"
        f" acts in {found_account}.",
        remedy=f"Log in to {pinned} again; nothing was changed in {found_account}.",
        code="other_account",
    )
