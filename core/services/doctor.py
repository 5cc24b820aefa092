"""All checks at once, each with its own limit; what matters depends on what was asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from core.errors import BuilderError, UsageError
from core.models.execution import Json
from core.services.checkup import (
    CheckState,
    DoctorCheck,
    DoctorReport,
    Finding,
    Probe,
)
from core.services.cloud_probes import AWS, AWS_CHECKS, AZURE, AZURE_CHECKS, CLOCK
from core.services.context import Environment
from core.services.probes import core_probes

__all__ = ["CheckState", "DoctorCheck", "DoctorReport", "DoctorService", "Finding", "Probe"]

CHECK_LIMIT_S = 5.0
CLOUD_LIMIT_S = 15.0
"""For what a cloud is asked: a login may have to be renewed on the way."""

_BASE = frozenset({"python", "data", "library"})
_PANES = _BASE | {"tmux.bin", "tmux.server", "bubblewrap", "network", "claude.bin"}
PURPOSES: Mapping[str, frozenset[str]] = {
    "demo": _PANES,
    "local": _PANES,
    AWS: _PANES | {*AWS_CHECKS, CLOCK},
    AZURE: _PANES | {*AZURE_CHECKS, CLOCK},
    "claude": _PANES | {"claude.login"},
}
_CLOUDS = frozenset({AWS, AZURE})

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
        probes = core_probes(self._environment, wanted)
        checks = _run_all({**probes, **self._environment.probes})
        failed = {check.id for check in checks if check.state is CheckState.FAIL}
        unasked = _CLOUDS - wanted
        ready = {
            purpose: not (ids & failed) and purpose not in unasked
            for purpose, ids in PURPOSES.items()
        }
        relevant = frozenset[str]().union(*(PURPOSES[purpose] for purpose in wanted))
        return DoctorReport(
            ready=ready,
            checks=tuple(_weighed(check, relevant) for check in checks),
            purposes=wanted,
        )

    def policy(self, cloud: str) -> dict[str, Json]:
        """The least rights that sites need: an IAM policy, or a definition of an Azure role.

        Raises:
            UsageError: No such cloud.
        """
        if cloud == AWS:
            from core.cloud.aws_policy import aws_policy  # noqa: PLC0415 - a long table

            return aws_policy()
        if cloud == AZURE:
            from core.cloud.azure_policy import azure_policy  # noqa: PLC0415 - a long table

            return azure_policy(self._environment.settings.azure_subscription)
        raise UsageError(
            f"There is no policy for {cloud[:40]!r}.", remedy=f"Use one of: {AWS}, {AZURE}."
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
    is_cloud = _is_cloud(check.id)
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
    started = time.monotonic()
    for thread in threads:
        thread.join(max(0.0, started + _limit_s(thread.name) - time.monotonic()))
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


def _limit_s(name: str) -> float:
    return CLOUD_LIMIT_S if _is_cloud(name) else CHECK_LIMIT_S


def _is_cloud(name: str) -> bool:
    return name.partition(".")[0] in _CLOUDS or name == CLOCK


def _hung(name: str) -> DoctorCheck:
    limit_s = _limit_s(name)
    fix = f"tmux-builder doctor again; if it stays, look at what {name} asks"
    if _is_cloud(name):
        fix = "check the network and HTTPS_PROXY, log in again, then tmux-builder doctor"
    return DoctorCheck(
        id=name,
        state=CheckState.FAIL,
        found=f"no answer within {limit_s:g} s",
        need="an answer",
        fix=fix,
        ms=round(limit_s * 1000),
    )
