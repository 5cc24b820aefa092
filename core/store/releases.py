"""Releases by their content's id, and the numbered deploys of a session."""

from __future__ import annotations

import msgspec

from core.clock import Clock, from_text, to_text
from core.models.release import Deploy, Published, Release, ReleaseFile
from core.models.session import SessionKey
from core.store.columns import to_json
from core.store.database import Database, Row

_DEPLOYS = (
    "SELECT d.*, r.tree FROM deploys d JOIN releases r ON r.user_id = d.user_id"
    " AND r.session_id = d.session_id AND r.release_id = d.release_id"
    " WHERE d.user_id = ? AND d.session_id = ?"
)


class Releases:
    """What was published, so that it can be published again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, key: SessionKey, release: Release) -> None:
        """Remember a release; the same id again changes nothing."""
        self._database.execute(
            "INSERT INTO releases (user_id, session_id, release_id, tree, manifest, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                key.user_id, key.session_id, release.release_id, release.tree,
                to_json(release.files), to_text(self._clock.now()),
            ),
        )  # fmt: skip

    def get(self, key: SessionKey, release_id: str) -> Release | None:
        row = self._database.row(
            "SELECT * FROM releases WHERE user_id = ? AND session_id = ? AND release_id = ?",
            (key.user_id, key.session_id, release_id),
        )
        if row is None:
            return None
        files = msgspec.json.decode(row["manifest"], type=tuple[ReleaseFile, ...])
        return Release(release_id=release_id, tree=row["tree"], files=files)

    def record_deploy(
        self, key: SessionKey, execution_id: str, release: Release, published: Published
    ) -> Deploy:
        """Number a deploy; the same execution again is the same deploy."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO deploys (user_id, session_id, deploy, release_id, execution_id, url,"
                " files_total, files_changed, size_bytes, created_at) VALUES (?, ?,"
                " (SELECT COALESCE(MAX(deploy), 0) + 1 FROM deploys WHERE user_id = ?"
                " AND session_id = ?), ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (execution_id) DO NOTHING",
                (
                    key.user_id, key.session_id, key.user_id, key.session_id, release.release_id,
                    execution_id, published.url, published.files_total, published.files_changed,
                    published.size_bytes, to_text(self._clock.now()),
                ),
            )  # fmt: skip
            row = connection.execute(
                f"{_DEPLOYS} AND d.execution_id = ?", (key.user_id, key.session_id, execution_id)
            ).fetchone()
        return _deploy(row)

    def deploys(self, key: SessionKey) -> list[Deploy]:
        """Every deploy of a session, newest first."""
        rows = self._database.rows(
            f"{_DEPLOYS} ORDER BY d.deploy DESC", (key.user_id, key.session_id)
        )
        return [_deploy(row) for row in rows]


def _deploy(row: Row) -> Deploy:
    return Deploy(
        key=SessionKey(row["user_id"], row["session_id"]),
        deploy=row["deploy"],
        release_id=row["release_id"],
        tree=row["tree"],
        execution_id=row["execution_id"],
        url=row["url"],
        files_total=row["files_total"],
        files_changed=row["files_changed"],
        size_bytes=row["size_bytes"],
        created_at=from_text(row["created_at"]),
    )
