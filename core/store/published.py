"""What the product itself put on object stores: per site, each key with the ETag it answered."""

from __future__ import annotations

import msgspec

from core.models.release import PublishedObject
from core.models.session import SessionKey
from core.store.columns import to_json
from core.store.database import Database


class PublishedSites:
    """The last state of every published site. A listing with the same ETags proves it unchanged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: SessionKey) -> dict[str, PublishedObject]:
        """By path; empty where nothing was published or the record is lost."""
        row = self._database.row(
            "SELECT objects FROM published_sites WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )
        if row is None:
            return {}
        found = msgspec.json.decode(row["objects"], type=list[PublishedObject])
        return {one.path: one for one in found}

    def put(self, key: SessionKey, objects: dict[str, PublishedObject]) -> None:
        self._database.execute(
            "INSERT INTO published_sites (user_id, session_id, objects) VALUES (?, ?, ?)"
            " ON CONFLICT (user_id, session_id) DO UPDATE SET objects = excluded.objects",
            (key.user_id, key.session_id, to_json(list(objects.values()))),
        )

    def forget(self, key: SessionKey) -> None:
        """The site was destroyed."""
        self._database.execute(
            "DELETE FROM published_sites WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )
