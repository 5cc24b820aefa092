"""Sessions: identity, what is deployed where, and the change counter that front ends follow."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import msgspec

from core.clock import Clock, from_text, to_text
from core.errors import NotFoundError
from core.models.execution import Json
from core.models.release import Resource
from core.models.session import Session, SessionKey
from core.models.states import ModelSpeed, SessionMode
from core.models.user import HostProvider, SiteType
from core.store.columns import from_json, instant, to_json
from core.store.database import Database, Row

DRIFTED = "drifted"
"""Stands for the digest of a configuration that is known to be another one by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSite:
    """What a site consists of in its cloud; `size_bytes` is that of its newest deploy."""

    resources: tuple[Resource, ...]
    block: Mapping[str, Json]
    size_bytes: int


class Sessions:
    """Sites. Every write raises the session's `change`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, session: Session) -> bool:
        """Insert unless it is there; whether it was new."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO sessions (user_id, session_id, host_provider, site_type, created_at,"
                " updated_at, brief, simulated, model_url, aws_profile, azure_profile, model_speed,"
                " mode, injection_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (
                    session.key.user_id, session.key.session_id, session.host_provider,
                    session.site_type, to_text(session.created_at), to_text(session.updated_at),
                    session.brief, int(session.simulated), session.model_url,
                    session.aws_profile, session.azure_profile, session.model_speed,
                    session.mode, session.injection_sha256,
                ),
            )  # fmt: skip
            touch(connection, session.key, self._clock.now())
            return cursor.rowcount == 1

    def get(self, key: SessionKey) -> Session | None:
        row = self._database.row(
            "SELECT * FROM sessions WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )
        return None if row is None else _session(row)

    def require(self, key: SessionKey) -> Session:
        """The session.

        Raises:
            NotFoundError: There is none.
        """
        session = self.get(key)
        if session is None:
            raise NotFoundError(
                f"There is no session {key.session_id} of user {key.user_id}.",
                remedy="tmux-builder session list",
            )
        return session

    def by_prefix(self, prefix: str, user_id: str | None = None, limit: int = 6) -> list[Session]:
        """Sessions whose id starts with `prefix`, newest first."""
        where = "substr(session_id, 1, ?) = ?"
        values: list[int | str] = [len(prefix), prefix]
        if user_id is not None:
            where = f"{where} AND user_id = ?"
            values.append(user_id)
        rows = self._database.rows(
            f"SELECT * FROM sessions WHERE {where}"
            " ORDER BY session_id DESC, created_at DESC LIMIT ?",
            (*values, limit),
        )
        return [_session(row) for row in rows]

    def of_user(self, user_id: str) -> list[Session]:
        """A user's sessions, newest first."""
        rows = self._database.rows(
            "SELECT * FROM sessions WHERE user_id = ? ORDER BY created_at DESC, session_id DESC",
            (user_id,),
        )
        return [_session(row) for row in rows]

    def all(self) -> list[Session]:
        """Every session, newest first."""
        rows = self._database.rows("SELECT * FROM sessions ORDER BY created_at DESC")
        return [_session(row) for row in rows]

    def changed_since(self, change: int) -> list[Session]:
        """Sessions whose row, agent, prompts or runs changed after that counter, oldest first."""
        rows = self._database.rows(
            "SELECT * FROM sessions WHERE change > ? ORDER BY change", (change,)
        )
        return [_session(row) for row in rows]

    def change(self) -> int:
        """The change counter now."""
        row = self._database.row("SELECT value FROM meta WHERE key = 'change'")
        return 0 if row is None else int(row["value"])

    def touch(self, key: SessionKey) -> None:
        with self._database.transaction() as connection:
            touch(connection, key, self._clock.now())

    def remove(self, key: SessionKey) -> None:
        """Forget a session whose creation failed half way; nothing refers to it yet."""
        self._database.execute(
            "DELETE FROM sessions WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )

    def provider_blocks(self) -> dict[SessionKey, Mapping[str, Json]]:
        """Every session's recorded ids, in one query."""
        rows = self._database.rows("SELECT user_id, session_id, provider_block FROM sessions")
        return {
            SessionKey(row["user_id"], row["session_id"]): from_json(row["provider_block"])
            for row in rows
        }

    def archive(self, key: SessionKey, *, archived: bool = True) -> None:
        self._set(key, "archived = ?", (int(archived),))

    def set_brief(self, key: SessionKey, brief: str) -> None:
        self._set(key, "brief = ?", (brief,))

    def set_mode(self, key: SessionKey, mode: SessionMode) -> None:
        self._set(key, "mode = ?", (mode,))

    def set_injection(self, key: SessionKey, lock_sha256: str) -> None:
        """Record what the product wrote into the session's `.claude`, by its lock's digest."""
        self._set(key, "injection_sha256 = ?", (lock_sha256,))

    def set_model_url(self, key: SessionKey, model_url: str | None) -> None:
        self._set(key, "model_url = ?", (model_url,))

    def set_port(self, key: SessionKey, port: int) -> bool:
        """Give the session its lasting local port; False when another session holds it."""
        try:
            self._set(key, "port = ?", (port,))
        except sqlite3.IntegrityError:
            return False
        return True

    def clear_port(self, key: SessionKey) -> None:
        """Give the lasting local port back, because nothing is served there any more."""
        self._set(key, "port = NULL", ())

    def set_deployed(
        self, key: SessionKey, *, url: str, at: datetime, count: int,
        block: Mapping[str, Json], resources: Sequence[Resource],
    ) -> None:  # fmt: skip
        """Record a deploy: where it answers and what the host made."""
        self._set(
            key,
            "url = ?, last_deployed_at = ?, deploy_count = ?, provider_block = ?, resources = ?",
            (url, to_text(at), count, to_json(block), to_json([asdict(one) for one in resources])),
        )

    def set_destroyed(self, key: SessionKey) -> None:
        """Nothing of it is on any host: the next deploy chooses account and names anew."""
        self._set(
            key,
            "url = NULL, provider_block = '{}', resources = '[]', account_id = NULL,"
            " name_suffix = NULL",
            (),
        )

    def pin_account(self, key: SessionKey, account_id: str) -> str:
        """Tie the site to a cloud account, unless it is tied; the one that it is tied to."""
        self._set(key, "account_id = COALESCE(account_id, ?)", (account_id,))
        row = self._database.row(
            "SELECT account_id FROM sessions WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )
        return account_id if row is None else str(row["account_id"])

    def set_name_suffix(self, key: SessionKey, suffix: str) -> None:
        self._set(key, "name_suffix = ?", (suffix,))

    def distrust(self, key: SessionKey) -> None:
        """Somebody changed what the host made: the next deploy looks at all of it again."""
        block = self.provider_block(key)
        if block.get("configuration") is not None:
            self._set(key, "provider_block = ?", (to_json({**block, "configuration": DRIFTED}),))

    def add_resource(self, key: SessionKey, resource: Resource) -> None:
        """Record what a host makes, in the moment it makes it; the same again replaces it."""
        with self._database.transaction():
            others = self._without(key, resource.kind, resource.resource_id)
            self._set_resources(key, [*others, resource])

    def forget_resource(self, key: SessionKey, kind: str, resource_id: str) -> None:
        """It was deleted."""
        with self._database.transaction():
            self._set_resources(key, self._without(key, kind, resource_id))

    def provider_block(self, key: SessionKey) -> Mapping[str, Json]:
        """The provider's own recorded ids, as they are shown in config.json."""
        row = self._database.row(
            "SELECT provider_block FROM sessions WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )
        return {} if row is None else from_json(row["provider_block"])

    def resources(self, key: SessionKey) -> list[Resource]:
        row = self._database.row(
            "SELECT resources FROM sessions WHERE user_id = ? AND session_id = ?",
            (key.user_id, key.session_id),
        )
        return [] if row is None else msgspec.json.decode(row["resources"], type=list[Resource])

    def cloud_sites(self, key: SessionKey | None = None) -> dict[SessionKey, CloudSite]:
        """What every session, or one, has in a cloud; one query."""
        where, values = "", list[str]()
        if key is not None:
            where, values = " AND user_id = ? AND session_id = ?", [key.user_id, key.session_id]
        rows = self._database.rows(
            "SELECT user_id, session_id, resources, provider_block, (SELECT size_bytes FROM deploys"
            " d WHERE d.user_id = s.user_id AND d.session_id = s.session_id ORDER BY d.deploy DESC"
            " LIMIT 1) AS size_bytes FROM sessions s WHERE resources <> '[]'"
            f" AND host_provider <> 'local'{where}",
            values,
        )
        return {SessionKey(row["user_id"], row["session_id"]): _cloud_site(row) for row in rows}

    def sharing(self, resource_id: str) -> int:
        """How many sessions have this resource in their records."""
        named = to_json({"resource_id": resource_id})[1:-1]
        row = self._database.row(
            "SELECT COUNT(*) AS sessions FROM sessions WHERE INSTR(resources, ?) > 0", (named,)
        )
        return 0 if row is None else int(row["sessions"])

    def _without(self, key: SessionKey, kind: str, resource_id: str) -> list[Resource]:
        named = (kind, resource_id)
        return [one for one in self.resources(key) if (one.kind, one.resource_id) != named]

    def _set_resources(self, key: SessionKey, resources: Sequence[Resource]) -> None:
        self._set(key, "resources = ?", (to_json([asdict(one) for one in resources]),))

    def _set(self, key: SessionKey, assignments: str, values: Sequence[str | int | None]) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE sessions SET {assignments} WHERE user_id = ? AND session_id = ?",
                (*values, key.user_id, key.session_id),
            )
            touch(connection, key, self._clock.now())


def _cloud_site(row: Row) -> CloudSite:
    return CloudSite(
        resources=tuple(msgspec.json.decode(row["resources"], type=list[Resource])),
        block=from_json(row["provider_block"]),
        size_bytes=row["size_bytes"] or 0,
    )


def touch(connection: sqlite3.Connection, key: SessionKey, now: datetime) -> None:
    """Raise the change counter and stamp the session with it, inside the caller's transaction."""
    connection.execute(
        "UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'change'"
    )
    connection.execute(
        "UPDATE sessions SET updated_at = ?,"
        " change = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'change')"
        " WHERE user_id = ? AND session_id = ?",
        (to_text(now), key.user_id, key.session_id),
    )


def _session(row: Row) -> Session:
    return Session(
        key=SessionKey(row["user_id"], row["session_id"]),
        host_provider=HostProvider(row["host_provider"]),
        site_type=SiteType(row["site_type"]),
        created_at=from_text(row["created_at"]),
        updated_at=from_text(row["updated_at"]),
        brief=row["brief"],
        mode=SessionMode(row["mode"]),
        injection_sha256=row["injection_sha256"],
        simulated=bool(row["simulated"]),
        model_speed=ModelSpeed(row["model_speed"]),
        archived=bool(row["archived"]),
        url=row["url"],
        last_deployed_at=instant(row["last_deployed_at"]),
        deploy_count=row["deploy_count"],
        port=row["port"],
        model_url=row["model_url"],
        aws_profile=row["aws_profile"],
        azure_profile=row["azure_profile"],
        account_id=row["account_id"],
        name_suffix=row["name_suffix"],
        change=row["change"],
    )
