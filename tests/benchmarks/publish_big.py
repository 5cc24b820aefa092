"""Twenty times as many files: memory above idle, and time against twenty times the small site's.

It runs in a process of its own, so that nothing else's memory is counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from core.publish.source_tree import Limits
from tests.benchmarks.publish_input import FILES, LATENCY_MS, make_site
from tests.benchmarks.publish_ours import our_place
from tests.benchmarks.rows import Measure, Row, median
from tests.cloud.s3_counting_process import CHECKOUT, CountingS3, counting_s3

TIMES = 20
SMALL_ROUNDS = 5
TIMEOUT_S = 400


def measure(*, full: bool) -> list[Row]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.publish_big"], cwd=CHECKOUT, check=True,
        stdout=subprocess.PIPE, timeout=TIMEOUT_S,
    )  # fmt: skip
    told = json.loads(done.stdout)
    return [
        Row(
            name="big_rss_mb", value=told["peak_mb"] - told["idle_mb"], unit="MB", limit=150,
            peers={"idle_mb": told["idle_mb"], "files": told["files"]},
        ),
        Row(
            name="big_time_vs_linear", unit="ratio", limit=1.3,
            value=told["big_s"] / (told["small_s"] * told["files"] / FILES),
            peers={"big_s": told["big_s"], "small_s": told["small_s"], "files": told["files"]},
        ),
    ]  # fmt: skip


def main() -> None:
    files = min(FILES * TIMES, Limits().files)
    with (
        tempfile.TemporaryDirectory(prefix="tbb-site-") as folder,
        counting_s3("--latency-ms", str(LATENCY_MS), "--forget-bodies") as server,
    ):
        warm, small = make_site(Path(folder, "warm"), 20), make_site(Path(folder, "small"))
        big = make_site(Path(folder, "big"), files)
        with our_place(server, warm) as place:
            small_s = []
            idle_mb = resident_mb("VmRSS")
            for _ in range(SMALL_ROUNDS):
                server.forget(empty=True)
                small_s.append(place.site(small).deploy().seconds)
            server.forget(empty=True)
            forget_peak()
            big_s = place.site(big).deploy().seconds
            peak_mb = resident_mb("VmHWM")
            require_all(server, files)
    told = {
        "idle_mb": idle_mb, "peak_mb": peak_mb, "big_s": round(big_s, 3),
        "small_s": round(median(small_s), 3), "files": files,
    }  # fmt: skip
    sys.stdout.write(json.dumps(told))


def resident_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise AssertionError(f"{name} is not told by this kernel")


def forget_peak() -> None:
    """Let the kernel's high-water mark begin anew."""
    handle = os.open("/proc/self/clear_refs", os.O_WRONLY)
    os.write(handle, b"5")
    os.close(handle)


def require_all(server: CountingS3, files: int) -> None:
    found = len(server.objects())
    if found != files + 1:
        raise AssertionError(f"{found} of {files + 1} objects arrived")


MEASURE = Measure(rows=("big_rss_mb", "big_time_vs_linear"), run=measure)

if __name__ == "__main__":
    main()
