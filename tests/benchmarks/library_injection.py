"""What an injection costs: milliseconds on disk, and bytes in Claude's first request."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

from core.files import make_private_folder
from core.injection.inject import inject, plan_injection
from core.injection.templates import SessionFacts
from core.models.user import HostProvider, SiteType
from core.paths import DataRoot, SessionPaths, library_folder
from tests.benchmarks.places import new_place
from tests.benchmarks.rows import Measure, Row, median, percentile, say
from tests.contract.first_request import find_claude, first_request

ROUNDS = 40
BAR_MS = 50.0
BAR_BYTES = 32_768
USER_ID = "7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa"


def measure(*, full: bool) -> list[Row]:
    rounds = ROUNDS * (5 if full else 1)
    with new_place() as place:
        sessions = _sessions(place)
        return [_injection_ms(sessions, rounds), _injected_bytes(sessions)]


def _injection_ms(sessions: Iterator[SessionPaths], rounds: int) -> Row:
    """Reading the whole library, planning and writing, into a session's empty folder."""
    facts = max(_all_facts(), key=_size)
    fresh = list(itertools.islice(sessions, rounds))
    began = time.process_time()
    took = [_inject_once(paths, facts) for paths in fresh]
    cpu_ms = (time.process_time() - began) * 1000 / rounds
    plan = plan_injection(library_folder(), facts)
    rule = ", ".join(plan.lock.rules)
    say(f"  {rule}: {len(plan.files)} files, {plan.size_bytes} B, {median(took):.1f} ms")
    return Row(
        name="injection_ms", value=median(took), unit="ms", limit=BAR_MS,
        peers={
            "rule": rule, "files": len(plan.files), "bytes": plan.size_bytes,
            "p95_ms": round(percentile(took, 0.95), 1), "cpu_ms": round(cpu_ms, 1),
        },
    )  # fmt: skip


def _inject_once(paths: SessionPaths, facts: SessionFacts) -> float:
    began = time.perf_counter()
    inject(library_folder(), paths, facts)
    return (time.perf_counter() - began) * 1000


def _injected_bytes(sessions: Iterator[SessionPaths]) -> Row:
    """The first request of a full session against that of the same one without a `.claude`."""
    claude = find_claude()
    assert claude is not None, "no Claude CLI: make test installs it"
    empty = first_request(claude, next(sessions)).size_bytes
    added: dict[str, int] = {}
    for facts in _all_facts():
        paths = next(sessions)
        inject(library_folder(), paths, facts)
        name = f"{facts.host_provider}/{facts.site_type}"
        added[name] = first_request(claude, paths).size_bytes - empty
        say(f"  {name}: {added[name]} B added to {empty} B")
    return Row(
        name="injected_bytes", value=max(added.values()), unit="B", limit=BAR_BYTES,
        peers={"empty_session_bytes": empty, **added},
    )  # fmt: skip


def _all_facts() -> Iterator[SessionFacts]:
    for host_provider, site_type in itertools.product(HostProvider, SiteType):
        yield SessionFacts(
            user_id=USER_ID, session_id="sess_20260112_142233", host_provider=host_provider,
            site_type=site_type, product_version="0.0.0",
        )  # fmt: skip


def _size(facts: SessionFacts) -> int:
    return plan_injection(library_folder(), facts).size_bytes


def _sessions(place: DataRoot) -> Iterator[SessionPaths]:
    """Fresh sessions with their folders; their names, which stand in the request, are as long."""
    for number in itertools.count():
        paths = place.session(USER_ID, f"sess_20260112_{number:06d}")
        folders: list[Path] = [paths.root, *paths.folders(), paths.claude_config]
        for folder in folders:
            make_private_folder(folder)
        yield paths


MEASURE = Measure(rows=("injection_ms", "injected_bytes"), run=measure)
