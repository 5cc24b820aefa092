"""A doctor's report with one line of each kind."""

from __future__ import annotations

from core.services.checkup import CheckState, DoctorCheck, DoctorReport


def make_report(purposes: set[str]) -> DoctorReport:
    def check(name: str, state: CheckState, found: str, fix: str | None = None) -> DoctorCheck:
        return DoctorCheck(id=name, state=state, found=found, need=None, fix=fix, ms=3)

    return DoctorReport(
        ready={"demo": True, "local": True, "aws": False},
        checks=(
            check("python", CheckState.OK, "3.11.7"),
            check("tmux.bin", CheckState.WARN, "3.3a", "nothing to do"),
            check("claude.login", CheckState.FAIL, "not logged in", "claude auth login"),
            check("aws.login", CheckState.SKIP, "not asked for"),
        ),
        purposes=frozenset(purposes),
    )
