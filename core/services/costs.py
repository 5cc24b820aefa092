"""What was spent, by day, user, host or session, and what the ceilings say. All estimates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from core.accounts.ceilings import day_of, notice
from core.errors import UsageError
from core.models.cost import Ceiling, CeilingScope, Spending
from core.models.execution import Json
from core.models.session import SessionKey
from core.services.context import Environment
from core.services.cost_reader import CostReader
from core.store.documents import Document, spending_document

BY = ("day", "user", "host", "session")
DEFAULT_DAYS = 7
_NAMES = {"day": "day", "user": "user_id", "host": "host_provider", "session": "session_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingNotice:
    """A ceiling that is near or reached; `name` is the same all day for the same thing."""

    name: str
    text: str
    is_reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One group: its name, and what it cost; `cloud` is None where that is not known."""

    name: str
    spent: Spending
    cloud: float | None


class CostService:
    """Adds up what the store holds."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._store = environment.store
        self._ceilings = environment.ceilings
        self._reader = CostReader(self._store, lambda: self._ceilings.today)

    def document(
        self, by: str = "day", *, since: str | None = None, user_id: str | None = None,
        key: SessionKey | None = None,
    ) -> dict[str, Json]:  # fmt: skip
        """`data` of `cost`.

        Args:
            by: One of `BY`.
            since: The first day in UTC that counts, `2026-01-12`; the last seven without it.
            user_id: Only this user's; `key` only this session's.

        Raises:
            UsageError: An unknown `by`.
        """
        if by not in BY:
            raise UsageError(
                f"Costs cannot be shown by {by[:40]!r}.", remedy=f"Use {', '.join(BY)}."
            )
        since = since or self.first_day(DEFAULT_DAYS)
        spent = self._store.usage.grouped(by, since, user_id=user_id, key=key)
        cloud = {
            one: usd for one, usd in self._reader.cloud(key).items()
            if user_id in {None, one.user_id}
        }  # fmt: skip
        rows = self._rows(by, dict(spent), cloud)
        total = _Row(
            name="", spent=sum((one for _, one in spent), Spending()), cloud=_sum(cloud.values())
        )
        owner = user_id or (None if key is None else key.user_id)
        return {
            "by": by, "since": since,
            "rows": [self._row(by, row) for row in rows],
            "total": _figures(total), "limits": self.limits(owner), "estimated": True,
        }  # fmt: skip

    def limits(self, user_id: str | None = None) -> dict[str, Json]:
        """The ceilings and what is used of them today; the user's own where one is named."""
        settings, today = self._environment.current_settings, self._ceilings.today
        used = self._store.usage.used(today, user_id) if user_id is not None else None
        ceilings = self._of(user_id)
        return {
            "usd_per_user_day": settings.usd_per_user_day,
            "usd_per_day": settings.usd_per_day,
            "used_today_usd": round(self._store.usage.used(today), 6),
            "user_used_today_usd": None if used is None else round(used, 6),
            "day": today,
            "state": _state(ceilings),
        }

    def warnings(self, key: SessionKey) -> list[dict[str, Json]]:
        """What a verb on a session says about ceilings that are near or reached."""
        told = self._ceilings.warnings(key.user_id)
        return [{"code": code, "message": message} for code, message in told]

    def notices(self) -> list[CeilingNotice]:
        """Every ceiling that is near or reached now, over all and of each user."""
        over_all = self._ceilings.of_all()
        found = [] if over_all is None else [(over_all, "", "all")]
        if self._environment.current_settings.usd_per_user_day is not None:
            emails = self._store.users.emails()
            for user_id in self._store.usage.users(self._ceilings.today):
                own = self._own(user_id)
                found += [(own, f"{emails.get(user_id, user_id)}: ", user_id)] if own else []
        return [
            CeilingNotice(
                name=f"{ceiling.day}:{whose}:{'reached' if ceiling.is_reached else 'near'}",
                text=f"{who}{notice(ceiling)}", is_reached=ceiling.is_reached,
            )
            for ceiling, who, whose in found
            if ceiling.is_near
        ]  # fmt: skip

    def ceilings(self) -> list[Ceiling]:
        """The ceiling over all, and of the users the one that is used most."""
        over_all = self._ceilings.of_all()
        users = self._store.usage.users(self._ceilings.today) or [""]
        own = [one for one in map(self._own, users) if one is not None]
        most = max(own, key=lambda one: one.used_usd, default=None)
        return [one for one in (over_all, most) if one is not None]

    def first_day(self, days: int) -> str:
        """The first of so many days of which today is the last."""
        return day_of(self._environment.clock.now() - timedelta(days=max(1, days) - 1))

    def _of(self, user_id: str | None) -> list[Ceiling]:
        if user_id is not None:
            return self._ceilings.of_user(user_id)
        over_all = self._ceilings.of_all()
        return [] if over_all is None else [over_all]

    def _own(self, user_id: str) -> Ceiling | None:
        found = self._ceilings.of_user(user_id)
        return next((one for one in found if one.scope is CeilingScope.USER), None)

    def _rows(
        self, by: str, spent: Mapping[str, Spending], cloud: Mapping[SessionKey, float | None]
    ) -> list[_Row]:
        """The newest day first, or what cost most first."""
        if by == "day":
            return [_Row(name=day, spent=spent[day], cloud=None) for day in sorted(spent)[::-1]]
        clouds: dict[str, list[float | None]] = {}
        for key, usd in cloud.items():
            clouds.setdefault(self._name(by, key), []).append(usd)
        rows = [
            _Row(name=name, spent=spent.get(name, Spending()), cloud=_sum(clouds.get(name, [])))
            for name in spent.keys() | clouds.keys()
        ]
        return sorted(rows, key=lambda row: (-(row.spent.usd or 0.0), row.name))

    def _name(self, by: str, key: SessionKey) -> str:
        if by == "host":
            return self._host(key) or ""
        return key.user_id if by == "user" else f"{key.user_id}/{key.session_id}"

    def _host(self, key: SessionKey) -> str | None:
        session = self._store.sessions.get(key)
        return None if session is None else str(session.host_provider)

    def _row(self, by: str, row: _Row) -> Document:
        names: Document = dict.fromkeys((*_NAMES.values(), "email"))
        names[_NAMES[by]] = row.name
        user_id = row.name if by == "user" else None
        if by == "session":
            user_id, _, session_id = row.name.partition("/")
            names["session_id"] = session_id
            names["host_provider"] = self._host(SessionKey(user_id, session_id))
        if user_id is not None:
            user = self._store.users.get(user_id)
            names |= {"user_id": user_id, "email": None if user is None else user.email}
        return {**names, **_figures(row)}


def _sum(amounts: Iterable[float | None]) -> float | None:
    """Unknown where one of them is."""
    total = 0.0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return round(total, 4)


def _figures(row: _Row) -> Document:
    return {**spending_document(row.spent), "cloud_usd_day": row.cloud}


def _state(ceilings: Iterable[Ceiling]) -> str:
    words = [("reached" if one.is_reached else "near") for one in ceilings if one.is_near]
    return "reached" if "reached" in words else "near" if words else "open"
