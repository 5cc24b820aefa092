"""Tells the operator once a day and ceiling that it is near or reached. Off the screen's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.message import Message

from tui.messages import CeilingTold

if TYPE_CHECKING:
    from core.services.services import Services

LOOK_EVERY_S = 2.0


class CeilingNotices:
    """Remembers what was told, by day and ceiling."""

    def __init__(self, services: Services, post: Callable[[Message], object]) -> None:
        self._services = services
        self._post = post
        self._told: set[str] = set()
        self._looked_s = float("-inf")

    def look(self) -> None:
        """Tell what is new; most calls do nothing.

        Raises:
            BuilderError: The store or the settings cannot be read.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        for one in self._services.costs.notices():
            if one.name not in self._told:
                self._told.add(one.name)
                self._post(CeilingTold(one.text, one.is_reached))
