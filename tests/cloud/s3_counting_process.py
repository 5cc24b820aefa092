"""The counting object store as a process of its own, and what it can be asked and told."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent.parent
BUCKET = "site"
_TIMEOUT_S = 30


class CountingS3:
    """A running server; `BUCKET` exists in it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"

    def counts(self) -> dict[str, int]:
        """Requests by operation since the last `forget`."""
        found: dict[str, int] = self._asked("GET")["counts"]
        return found

    def log(self) -> list[tuple[str, str]]:
        """Operation and key of every request since the last `forget`, in order of arrival."""
        return [(operation, key) for operation, key in self._asked("GET")["log"]]

    def objects(self) -> dict[str, dict[str, Any]]:
        """ETag, size and kept headers by key."""
        found: dict[str, dict[str, Any]] = self._asked("GET")["objects"]
        return found

    def told(self) -> dict[str, Any]:
        return self._asked("GET")

    def forget(self, *, empty: bool = False, **more: object) -> None:
        """Counts and faults begin anew; `empty` removes the objects too.

        Args:
            more: `latency_s`; `every` for 503s; `at` for single faults; `put` for keys by hand.
        """
        self._asked("POST", {"reset": True, "empty": empty, **more})

    def _asked(self, method: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, "/-/control", json.dumps(body or {}))
            told: dict[str, Any] = json.loads(connection.getresponse().read())
            return told
        finally:
            connection.close()


@contextmanager
def counting_s3(*arguments: str) -> Iterator[CountingS3]:
    """Start it and end it; it also ends by itself when this process does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cloud.s3_counting_server", *arguments],
        cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield CountingS3(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=_TIMEOUT_S)
        finally:
            process.kill()
            process.stdout.close()
