"""All checks at once, each with its own limit; what matters depends on what was asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from core.errors import BuilderError, UsageError
from core.services.checkup import (
    CheckState,
    DoctorCheck,
    DoctorReport,
    Finding,
    Probe,
)
from core.services.context import Environment
from core.services.probes import core_probes

__all__ = ["CheckState", "DoctorCheck", "DoctorReport", "DoctorService", "Finding", "Probe"]

CHECK_LIMIT_S = 5.0

_BASE = frozenset({"python", "data", "library"})
_PANES = _BASE | {"tmux.bin", "tmux.server", "bubblewrap", "claude.bin"}
PURPOSES: Mapping[str, frozenset[str]] = {
    "demo": _PANES,
    "local": _PANES,
    "aws": _PANES | {"aws.profile", "aws.login", "aws.rights"},
    "azure": _PANES | {"azure.login", "azure.sub", "azure.providers"},
    "claude": _PANES | {"claude.login"},
}
_NOT_BUILT = frozenset({"aws", "azure"})

logger = logging.getLogger(__name__)


class DoctorService:
    """Runs the checks of `core.services.probes` and those that the front end handed in."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def run(self, purposes: Collection[str] = ()) -> DoctorReport:
        """Every check, in parallel.

        Args:
            purposes: What the computer shall be ready for; without any, what the users there need.

        Raises:
            UsageError: An unknown purpose.
        """
        for purpose in purposes:
            if purpose not in PURPOSES:
                raise UsageError(
                    f"The doctor knows no purpose {purpose[:40]!r}.",
                    remedy=f"Use one of: {', '.join(PURPOSES)}.",
                )
        wanted = frozenset(purposes) or self._needed()
        checks = _run_all({**core_probes(self._environment), **self._environment.probes})
        failed = {check.id for check in checks if check.state is CheckState.FAIL}
        ready = {
            purpose: not (ids & failed) and purpose not in _NOT_BUILT
            for purpose, ids in PURPOSES.items()
        }
        relevant = frozenset[str]().union(*(PURPOSES[purpose] for purpose in wanted))
        return DoctorReport(
            ready=ready,
            checks=tuple(_weighed(check, relevant) for check in checks),
            purposes=wanted,
        )

    def _needed(self) -> frozenset[str]:
        """What the users that exist need; the demo and the local host where there are none."""
        sessions = self._environment.store.sessions.all()
        users = self._environment.store.users.all()
        needed = {str(user.host_provider) for user in users}
        needed |= {str(session.host_provider) for session in sessions}
        if any(not session.simulated for session in sessions):
            needed.add("claude")
        return frozenset(needed or {"demo", "local"})


def _weighed(check: DoctorCheck, relevant: Collection[str]) -> DoctorCheck:
    """A fault that does not matter for what was asked is skipped, with its words kept."""
    is_cloud = check.id.startswith(("aws.", "azure."))
    is_fault = check.state is CheckState.FAIL or (is_cloud and check.state is CheckState.WARN)
    if is_fault and check.id not in relevant:
        return replace(check, state=CheckState.SKIP)
    return check


def _run_all(probes: Mapping[str, Probe]) -> list[DoctorCheck]:
    """Each probe in a thread of its own, so that one that hangs costs its limit and no more."""
    found: dict[str, DoctorCheck] = {}
    threads = [
        threading.Thread(target=_run_one, args=(name, probe, found), name=name, daemon=True)
        for name, probe in probes.items()
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + CHECK_LIMIT_S
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    answered = dict(found)
    return [answered.get(name) or _hung(name) for name in probes]


def _run_one(name: str, probe: Probe, found: dict[str, DoctorCheck]) -> None:
    started = time.monotonic()
    try:
        finding = probe()
    except BuilderError as error:
        finding = Finding(
            state=CheckState.FAIL, found=error.message, need="it to work", fix=error.remedy
        )
    except Exception as error:  # the thread's edge: one broken check is one line
        logger.warning("doctor check failed", exc_info=True, extra={"check": name})
        finding = Finding(
            state=CheckState.FAIL,
            found=f"the check itself failed: {error}",
            need="a check that runs",
            fix="tmux-builder report",
        )
    found[name] = DoctorCheck(
        id=name, state=finding.state, found=finding.found, need=finding.need, fix=finding.fix,
        ms=round((time.monotonic() - started) * 1000),
    )  # fmt: skip


def _hung(name: str) -> DoctorCheck:
    return DoctorCheck(
        id=name,
        state=CheckState.FAIL,
        found=f"no answer within {CHECK_LIMIT_S:g} s",
        need="an answer",
        fix=f"tmux-builder doctor again; if it stays, look at what {name} asks",
        ms=round(CHECK_LIMIT_S * 1000),
    )
