"""`python -m tests.cloud.s3_counting_server`: an object store on loopback that counts requests.

It speaks as much of S3 as publishing tools use: ListObjects in both versions, single and multipart
puts, HEAD, GET, single and bulk deletes. It is strict where S3 is: unsigned requests, bodies that
are not what was signed, keys that are too long and bulk deletes without a checksum are refused.
Latency and faults are injected by whoever started it, over `/-/control`. It prints its port and
ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cloud.s3_operations import Answer, Operations, Request, refused, unsigned

CONTROL = "/-/control"
_LONGEST_HEAD = 64 * 1024
_REASONS = {200: "OK", 204: "No Content", 304: "Not Modified", 400: "Bad Request"}


@dataclass(slots=True)
class Faults:
    """What goes wrong. `at` names single requests: operation, its number from 1, and what."""

    every: int = 0
    """Every n-th request answers 503 SlowDown; 0 for none."""
    at: list[dict[str, Any]] = field(default_factory=list)
    seen: int = 0

    def of(self, operation: str, number: int) -> str | None:
        """A status, `drop` for a closed connection, or None."""
        self.seen += 1
        if self.every and self.seen % self.every == 0:
            return "503"
        for one in self.at:
            if one["operation"] == operation and one["number"] == number:
                return str(one["what"])
        return None


class CountingServer:
    """All connections share one set of objects, counts and faults."""

    def __init__(self, *, latency_s: float, keep_bodies: bool) -> None:
        self.latency_s = latency_s
        self.operations = Operations(keep_bodies=keep_bodies)
        self.faults = Faults()
        self.counts: dict[str, int] = {}
        self.log: list[list[str]] = []
        self.open_now = 0
        self.most_open = 0

    def answer(self, request: Request) -> Answer | None:
        """None closes the connection without an answer."""
        operation = self.operations.name(request)
        self.counts[operation] = self.counts.get(operation, 0) + 1
        self.log.append([operation, request.key])
        fault = self.faults.of(operation, self.counts[operation])
        if fault == "drop":
            return None
        if fault is not None:
            return refused(int(fault), "SlowDown" if fault == "503" else "AccessDenied")
        return unsigned(request) or self.operations.answer(operation, request)

    def control(self, request: Request) -> Answer:
        """GET tells counts, log and objects; POST sets latency and faults, or forgets counts."""
        if request.method == "POST":
            self._change(json.loads(request.body or b"{}"))
        told = {
            "counts": self.counts, "log": self.log, "most_open": self.most_open,
            "objects": self.operations.shown(), "uploads": self.operations.open_uploads(),
        }  # fmt: skip
        return Answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _change(self, wanted: Mapping[str, Any]) -> None:
        if wanted.get("reset"):
            self.counts, self.log, self.faults, self.most_open = {}, [], Faults(), 0
        if wanted.get("empty"):
            self.operations.empty()
        if "latency_s" in wanted:
            self.latency_s = float(wanted["latency_s"])
        if "every" in wanted or "at" in wanted:
            self.faults = Faults(every=wanted.get("every", 0), at=wanted.get("at", []))
        for key, content in wanted.get("put", {}).items():
            self.operations.put_by_hand(key, content.encode())


class Connection(asyncio.Protocol):
    """HTTP/1.1 with kept connections, one request at a time."""

    def __init__(self, server: CountingServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._head: Request | None = None
        self._needed = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.open_now += 1
        self._server.most_open = max(self._server.most_open, self._server.open_now)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._server.open_now -= 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._head is None and not self._read_head():
            return
        if self._head is not None and len(self._buffer) >= self._needed:
            request, self._head = self._head, None
            request.body = bytes(self._buffer[: self._needed])
            del self._buffer[: self._needed]
            self._serve(request)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _LONGEST_HEAD and self._transport is not None:
                self._transport.close()
            return False
        request = Request.parsed(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._needed = int(request.headers.get("content-length", "0"))
        if "chunked" in request.headers.get("transfer-encoding", ""):
            self._send(Answer(411), request)
            return False
        if request.headers.get("expect", "").lower() == "100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._head = request
        return True

    def _serve(self, request: Request) -> None:
        if request.path == CONTROL:
            self._send(self._server.control(request), request)
            return
        answer = self._server.answer(request)
        loop = asyncio.get_running_loop()
        if answer is None:
            loop.call_later(self._server.latency_s, self._close)
        else:
            loop.call_later(self._server.latency_s, self._send, answer, request)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send(self, answer: Answer, request: Request) -> None:
        if self._transport is None:
            return
        reason = _REASONS.get(answer.status, "Answer")
        lines = [f"HTTP/1.1 {answer.status} {reason}", "Server: counting"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.status != 204 and "Content-Length" not in answer.headers:
            lines.append(f"Content-Length: {len(answer.body)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        self._transport.write(head if request.method == "HEAD" else head + answer.body)


async def serve(server: CountingServer) -> None:
    """Until standard input ends: whoever started it is gone or done."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    listening.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--forget-bodies", action="store_true", help="keep ETag and size only")
    options = parser.parse_args()
    server = CountingServer(
        latency_s=options.latency_ms / 1000, keep_bodies=not options.forget_bodies
    )
    asyncio.run(serve(server))


if __name__ == "__main__":
    main()
