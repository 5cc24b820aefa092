"""How front ends notice that something changed, without reading anything."""

from __future__ import annotations

from core.store.store import Store


class ChangeFeed:
    """Asks the database's own counter; microseconds a time, so ten times a second is cheap.

    It sees the commits of other processes and threads; what the asking thread committed itself
    it knows anyway. One feed belongs to one thread.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: int | None = None

    def poll(self) -> bool:
        """Whether anything was committed since the last call; the first call says yes."""
        newest = self._store.database.data_version()
        changed = newest != self._seen
        self._seen = newest
        return changed
