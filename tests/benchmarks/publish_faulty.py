"""A store that is busy: every 50th request answers 503."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.publish_input import FILES, LATENCY_MS, make_site
from tests.benchmarks.publish_ours import OurPlace, our_place
from tests.benchmarks.rows import Measure, Row, median, say
from tests.cloud.s3_counting_process import CountingS3, counting_s3

EVERY, ROUNDS = 50, 5


def measure(*, full: bool) -> list[Row]:
    clean, faulty, missing = [], [], 0
    with (
        tempfile.TemporaryDirectory(prefix="tbb-site-") as folder,
        counting_s3("--latency-ms", str(LATENCY_MS), "--forget-bodies") as server,
    ):
        source, warm = make_site(Path(folder, "site")), make_site(Path(folder, "warm"), 20)
        with our_place(server, warm) as place:
            for _ in range(ROUNDS * (3 if full else 1)):
                clean.append(first(place, server, source, every=0))
                faulty.append(first(place, server, source, every=EVERY))
                missing += FILES + 1 - len(server.objects())
                say(f"  clean {clean[-1]:.3f} faulty {faulty[-1]:.3f}")
    peers = {"clean_s": round(median(clean), 3), "faulty_s": round(median(faulty), 3)}
    return [
        Row(name="faulty_missing", value=missing, unit="files", limit=0),
        Row(
            name="faulty_vs_clean", value=median(faulty) / median(clean), unit="ratio", limit=1.5,
            peers=peers,
        ),
    ]  # fmt: skip


def first(place: OurPlace, server: CountingS3, source: Path, *, every: int) -> float:
    site = place.site(source)
    server.forget(empty=True, every=every)
    return site.deploy().seconds


MEASURE = Measure(rows=("faulty_missing", "faulty_vs_clean"), run=measure)
