"""First, unchanged, rebuilt and one changed page: ours and every peer in turn, on one server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from core.publish.object_uploads import CONNECTIONS
from tests.benchmarks.publish_input import LATENCY_MS, change_page, make_site
from tests.benchmarks.publish_ours import Deployed, OurPlace, OurSite, our_place
from tests.benchmarks.publish_peers import BARE_CONNECTIONS, Peer, bare_upload, peers
from tests.benchmarks.rows import Figure, Measure, Row, median, say
from tests.cloud.s3_counting_process import CountingS3, counting_s3

ROUNDS, FULL_ROUNDS = 5, 11
SLOW_PEER_S = 3.0
OURS = "ours"
BARE, BARE_AS_OURS = "bare_obstore", "bare_obstore_with_our_connections"
NO_PEERS = {OURS, BARE, BARE_AS_OURS}
WHAT = ("first", "unchanged", "rebuilt", "onepage")
PUBLISH_ROWS = (
    "first_vs_fastest_peer", "first_vs_bare_obstore", "unchanged_vs_fastest_peer",
    "unchanged_lists", "unchanged_puts", "unchanged_invalidations", "rebuilt_puts",
    "onepage_vs_fastest_peer", "onepage_puts", "onepage_invalidation_paths",
)  # fmt: skip


@dataclass(slots=True)
class Times:
    """Seconds by what was done and by tool; what the server counted for ours."""

    seconds: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: {what: {} for what in WHAT}
    )
    take_s: dict[str, list[float]] = field(default_factory=lambda: {what: [] for what in WHAT})
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict)
    invalidated: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, tool: str, seconds: float) -> None:
        self.seconds[what].setdefault(tool, []).append(seconds)

    def of(self, what: str, tool: str) -> float:
        return median(self.seconds[what][tool])

    def fastest_peer(self, what: str) -> tuple[str, float]:
        tools = [tool for tool in self.seconds[what] if tool not in NO_PEERS]
        name = min(tools, key=lambda tool: self.of(what, tool))
        return name, self.of(what, name)


def measure(*, full: bool) -> list[Row]:
    times, number = Times(), count(1)
    with (
        tempfile.TemporaryDirectory(prefix="tbb-site-") as folder,
        counting_s3("--latency-ms", str(LATENCY_MS), "--forget-bodies") as server,
    ):
        source, warm = make_site(Path(folder, "site")), make_site(Path(folder, "warm"), 20)
        tools = peers()
        with our_place(server, warm) as place:
            for peer in tools:
                server.forget(empty=True)
                peer.publish(warm, server)
            bare_upload(warm, server)
            for _ in range(FULL_ROUNDS if full else ROUNDS):
                one_round(times, place, tools, server, source, number)
    return rows(times)


def one_round(
    times: Times, place: OurPlace, tools: list[Peer], server: CountingS3, source: Path,
    number: count[int],
) -> None:  # fmt: skip
    server.forget(empty=True)
    times.add("first", BARE, bare_upload(source, server))
    server.forget(empty=True)
    times.add("first", BARE_AS_OURS, bare_upload(source, server, CONNECTIONS))
    ours(times, place, server, source, number)
    for peer in tools:
        known = times.seconds["first"].get(peer.name, [])
        if len(known) < 2 or known[0] < SLOW_PEER_S:
            theirs(times, peer, server, source, number)
    say(f"  {' '.join(f'{what} {times.of(what, OURS):.3f}' for what in WHAT)}")


def ours(
    times: Times, place: OurPlace, server: CountingS3, source: Path, number: count[int]
) -> None:
    server.forget(empty=True)
    site = place.site(source)

    def deploy(what: str) -> None:
        server.forget()
        site.invalidations.clear()
        done = site.deploy()
        note(times, what, done, server, site)

    deploy("first")
    each_kind(deploy, source, number)


def note(times: Times, what: str, done: Deployed, server: CountingS3, site: OurSite) -> None:
    times.add(what, OURS, done.seconds)
    times.take_s[what].append(done.take_s)
    times.counts[what] = server.counts()
    times.invalidated[what] = sum(len(paths) for paths in site.invalidations)


def theirs(
    times: Times, peer: Peer, server: CountingS3, source: Path, number: count[int]
) -> None:  # fmt: skip
    server.forget(empty=True)

    def run(what: str) -> None:
        times.add(what, peer.name, peer.publish(source, server))

    run("first")
    each_kind(run, source, number)


def each_kind(run: Callable[[str], None], source: Path, number: count[int]) -> None:
    run("unchanged")
    for file in source.rglob("*"):
        os.utime(file)
    run("rebuilt")
    change_page(source, next(number))
    run("onepage")


def rows(times: Times) -> list[Row]:
    return [
        versus(times, "first", 0.6),
        Row(
            name="first_vs_bare_obstore", unit="ratio", limit=1.4,
            value=times.of("first", OURS) / times.of("first", BARE), peers=told(times, "first"),
        ),
        versus(times, "unchanged", 0.5),
        counted("unchanged_lists", times.counts["unchanged"].get("LIST", 0), 1),
        counted("unchanged_puts", writes(times, "unchanged"), 0),
        counted("unchanged_invalidations", times.invalidated["unchanged"], 0),
        counted("rebuilt_puts", writes(times, "rebuilt"), 0, **told(times, "rebuilt")),
        versus(times, "onepage", 0.5),
        counted("onepage_puts", writes(times, "onepage"), 2),
        counted("onepage_invalidation_paths", times.invalidated["onepage"], 3),
    ]  # fmt: skip


def versus(times: Times, what: str, limit: float) -> Row:
    name, seconds = times.fastest_peer(what)
    return Row(
        name=f"{what}_vs_fastest_peer", unit="ratio", limit=limit,
        value=times.of(what, OURS) / seconds,
        peers={"fastest_peer": name, **told(times, what)},
    )  # fmt: skip


def told(times: Times, what: str) -> dict[str, Figure]:
    """Median seconds of every tool; `ours` is the whole of step 4, `ours_take` part of it."""
    figures: dict[str, Figure] = {
        f"{tool}_s": round(times.of(what, tool), 3) for tool in times.seconds[what]
    }
    figures["ours_take_s"] = round(median(times.take_s[what]), 3)
    figures["rounds"] = len(times.seconds[what][OURS])
    figures["our_connections"], figures["bare_connections"] = CONNECTIONS, BARE_CONNECTIONS
    figures["measured"] = "release taken, published and recorded, in this process"
    return figures


def writes(times: Times, what: str) -> int:
    counts = times.counts[what]
    return sum(counts.get(verb, 0) for verb in ("PUT", "DELETE", "BULK_DELETE", "MULTIPART"))


def counted(name: str, value: int, limit: int, **figures: Figure) -> Row:
    return Row(name=name, value=value, unit="requests", limit=limit, peers=figures)


MEASURE = Measure(rows=PUBLISH_ROWS, run=measure)
