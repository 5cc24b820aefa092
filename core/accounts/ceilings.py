"""The ceilings over a day's spending: how much is used, and whether more may begin.

They stop what is about to begin; a turn that runs goes on. Days are days in UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from core.clock import Clock, to_text
from core.config import Settings
from core.errors import LimitReachedError
from core.models.cost import Ceiling, CeilingScope
from core.models.session import SessionKey
from core.store.store import Store

USER_SETTING = "limits.usd_per_user_day"
ALL_SETTING = "limits.usd_per_day"
CODE = "ceiling_reached"


class Ceilings:
    """Compares what was used today with the settings as they are now."""

    def __init__(self, store: Store, settings: Callable[[], Settings], clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    @property
    def today(self) -> str:
        """The day that it is now in UTC, such as `2026-01-12`."""
        return day_of(self._clock.now())

    def of_user(self, user_id: str) -> list[Ceiling]:
        """The ceilings that are set, the user's own first."""
        settings = self._settings()
        found = [self.of_all()]
        if settings.usd_per_user_day is not None:
            own = self._ceiling(CeilingScope.USER, USER_SETTING, settings.usd_per_user_day, user_id)
            found.insert(0, own)
        return [one for one in found if one is not None]

    def of_all(self) -> Ceiling | None:
        """The ceiling over everybody; None where none is set."""
        limit = self._settings().usd_per_day
        return None if limit is None else self._ceiling(CeilingScope.ALL, ALL_SETTING, limit, None)

    def reached(self, user_id: str) -> Ceiling | None:
        """The first ceiling that forbids this user anything new; None where none does."""
        return next((one for one in self.of_user(user_id) if one.is_reached), None)

    def paused(self, key: SessionKey) -> str | None:
        """What waiting work of a session shows while a ceiling holds it; None where none does."""
        reached = self.reached(key.user_id)
        return None if reached is None else f"paused: {reached.called} is reached"

    def warnings(self, user_id: str) -> list[tuple[str, str]]:
        """Code and sentence of each ceiling that is near or reached."""
        return [
            ("ceiling_reached" if one.is_reached else "ceiling_near", notice(one))
            for one in self.of_user(user_id)
            if one.is_near
        ]

    def require_open(self, user_id: str) -> None:
        """Refuse what would begin a turn.

        Raises:
            LimitReachedError: A ceiling is reached.
        """
        reached = self.reached(user_id)
        if reached is not None:
            raise LimitReachedError(
                f"{reached.called[0].upper()}{reached.called[1:]} is reached:"
                f" ${reached.used_usd:.2f} was used today (estimated).",
                remedy=f"It is free again at {to_text(reached.resets_at)}, or raise it:"
                f" {raise_command(reached)}",
                code=CODE,
            )

    def _ceiling(
        self, scope: CeilingScope, setting: str, limit_usd: float, user_id: str | None
    ) -> Ceiling:
        now = self._clock.now().astimezone(UTC)
        return Ceiling(
            scope=scope,
            setting=setting,
            limit_usd=limit_usd,
            used_usd=self._store.usage.used(day_of(now), user_id),
            day=day_of(now),
            resets_at=datetime.combine(now.date() + timedelta(days=1), time(), UTC),
        )


def notice(ceiling: Ceiling) -> str:
    """The sentence about a ceiling that is near or reached."""
    share = f"{100 * ceiling.used_usd / ceiling.limit_usd:.0f} %" if ceiling.limit_usd else "all"
    if ceiling.is_reached:
        return (
            f"{share} of {ceiling.called} is used (${ceiling.used_usd:.2f}, estimated): nothing"
            f" new begins before {to_text(ceiling.resets_at)}, or {raise_command(ceiling)}"
        )
    return f"{share} of {ceiling.called} is used (${ceiling.used_usd:.2f}, estimated)."


def raise_command(ceiling: Ceiling) -> str:
    """The command that raises a ceiling to twice what it is, as an example."""
    return f"tmux-builder config set {ceiling.setting} {max(1.0, 2 * ceiling.limit_usd):g}"


def day_of(instant: datetime) -> str:
    """The day of an instant in UTC."""
    return instant.astimezone(UTC).date().isoformat()
