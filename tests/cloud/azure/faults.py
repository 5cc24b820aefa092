"""Counts the calls of a run and makes the n-th of them fail, or everything from it on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.cloud.azure.serving import Answer, blob_error, json_answer


class FaultKind(StrEnum):
    """What happens to one call.

    `REFUSED` is a 403, `BUSY` a 429, `UNAVAILABLE` a 503, `BROKEN` a 500. `DROPPED` closes the
    connection before the call is done, `LOST` after: it is done and nobody hears of it.
    `DARK` is a client that dies there: nothing that it sends from then on is done.
    """

    REFUSED = "403"
    BUSY = "429"
    UNAVAILABLE = "503"
    BROKEN = "500"
    DROPPED = "dropped"
    LOST = "lost"
    DARK = "dark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as it came in: where, with which verb, and the path without names in it."""

    plane: str
    method: str
    path: str


_ENVELOPES = {
    FaultKind.REFUSED: (403, "AuthorizationFailed", "AuthorizationPermissionMismatch"),
    FaultKind.BUSY: (429, "TooManyRequests", "ServerBusy"),
    FaultKind.UNAVAILABLE: (503, "ServiceUnavailable", "ServerBusy"),
    FaultKind.BROKEN: (500, "InternalServerError", "InternalError"),
}
"""Status, and the code of each plane."""


class Calls:
    """The shared record of all planes of one Azure."""

    def __init__(self) -> None:
        self.made: list[Call] = []
        self._lock = threading.Lock()
        self.choose: Callable[[Call], FaultKind | None] | None = None
        """Decides about each call instead of a number; gets the calls in their order."""
        self._planned: tuple[int, FaultKind] | None = None
        self._lasting = False

    def begin(self, fault: tuple[int, FaultKind] | None = None, *, lasting: bool = False) -> None:
        """Count from zero; the call of that number, from zero on, fails that way.

        Args:
            lasting: All later ones fail like it.
        """
        with self._lock:
            self.made, self._planned = [], fault
            self._lasting = lasting or (fault is not None and fault[1] is FaultKind.DARK)

    def count(self, plane: str, method: str | None = None) -> int:
        with self._lock:
            return sum(one.plane == plane and method in (None, one.method) for one in self.made)

    def through(self, call: Call, act: Callable[[], Answer]) -> Answer:
        """The answer to a call, or what its fault makes of it."""
        fault = self._next(call)
        if fault is None:
            return act()
        if fault is FaultKind.LOST:
            act()
        if fault is FaultKind.DARK and call.plane == "blob":
            # The client of blobs would try a broken connection again for minutes.
            fault = FaultKind.REFUSED
        if fault not in _ENVELOPES:
            return Answer(status=500, dropped=True)
        status, code, blob_code = _ENVELOPES[fault]
        if call.plane == "blob":
            return blob_error(status, blob_code)
        return json_answer(status, {"error": {"code": code, "message": "A fault of the test."}})

    def _next(self, call: Call) -> FaultKind | None:
        with self._lock:
            number = len(self.made)
            self.made.append(call)
            if self.choose is not None:
                return self.choose(call)
            if self._planned is None:
                return None
            is_its_turn = number == self._planned[0]
            is_later = self._lasting and number > self._planned[0]
            return self._planned[1] if is_its_turn or is_later else None
