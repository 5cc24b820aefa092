"""What can go wrong at a chosen call: one fault for one call, however often it is tried again."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field
from enum import StrEnum

from tests.cloud.aws.wire import Call


class FaultKind(StrEnum):
    """The five faults of a network and a cloud, and a client that is killed."""

    TIMEOUT = "timeout"
    """The service did it, and the answer never came."""
    FORBIDDEN = "forbidden"
    SLOW_DOWN = "slow_down"
    SERVER_ERROR = "server_error"
    DROPPED = "dropped"
    """The connection broke before the service did anything."""
    KILLED_BEFORE = "killed_before"
    KILLED_AFTER = "killed_after"


FAULTS = (
    FaultKind.TIMEOUT,
    FaultKind.FORBIDDEN,
    FaultKind.SLOW_DOWN,
    FaultKind.SERVER_ERROR,
    FaultKind.DROPPED,
)


@dataclass
class FaultPlan:
    """Which call fails, and how: calls are counted from 1 since `at` was called.

    botocore's own tries of a call carry one id, so all of them meet the fault. Calls without such
    an id (the data path's) meet it once.
    """

    kind: FaultKind | None = None
    number: int = 0
    pid: int = 0
    identity_kind: FaultKind | None = None
    counted: int = 0
    met: tuple[str, str] | None = None
    _invocation: str | None = None
    _seen: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, number: int, kind: FaultKind, *, pid: int = 0) -> None:
        self.clear()
        self.kind, self.number, self.pid = kind, number, pid

    def at_identity(self, kind: FaultKind) -> None:
        """Every question who the login is fails."""
        self.clear()
        self.identity_kind = kind

    def clear(self) -> None:
        self.identity_kind = None
        self.kind, self.number, self.counted, self.met = None, 0, 0, None
        self._invocation = None
        self._seen.clear()

    def meets(self, call: Call) -> FaultKind | None:
        """The fault of this request, if it is the one.

        Who the login is, is asked now and then only, so those questions are not counted.
        """
        if call.service == "sts":
            return self.identity_kind
        with self._lock:
            if call.invocation is not None and call.invocation in self._seen:
                return self.kind if call.invocation == self._invocation else None
            if call.invocation is not None:
                self._seen.add(call.invocation)
            self.counted += 1
            if self.kind is None or self.counted != self.number:
                return None
            self._invocation, self.met = call.invocation, call.name
            return self.kind

    def kill_client(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
