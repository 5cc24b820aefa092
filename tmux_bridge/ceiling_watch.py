"""Notices what changes a ceiling without a commit: a new day, other settings. Logs each once."""

from __future__ import annotations

import logging

from core.accounts.ceilings import Ceilings
from core.clock import Clock
from core.services.costs import CostService
from core.settings_watch import SettingsWatch, Stamp
from core.store.store import Store

LOOK_EVERY_S = 1.0
TELL_EVERY_S = 2.0

logger = logging.getLogger(__name__)


class CeilingWatch:
    """Belongs to the worker's main thread."""

    def __init__(
        self, store: Store, settings: SettingsWatch, ceilings: Ceilings, costs: CostService,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._store = store
        self._settings = settings
        self._ceilings = ceilings
        self._costs = costs
        self._clock = clock
        self._looked_s = self._told_s = float("-inf")
        self._seen: tuple[Stamp, str] | None = None

    def has_changed(self) -> bool:
        """Whether what was held may go on now; looks at most once a second."""
        now_s = self._clock.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        seen, self._seen = self._seen, (self._settings.stamp(), self._ceilings.today)
        return seen != self._seen

    def tell(self) -> None:
        """One line in the log for each ceiling that is near or reached, once a day each.

        Raises:
            StorageError: The store cannot be used now.
        """
        now_s = self._clock.monotonic()
        if now_s - self._told_s < TELL_EVERY_S:
            return
        self._told_s = now_s
        for one in self._costs.notices():
            if self._store.usage.claim(one.name, self._ceilings.today):
                text = "ceiling reached" if one.is_reached else "ceiling near"
                logger.warning(text, extra={"what": one.name, "why": one.text})
