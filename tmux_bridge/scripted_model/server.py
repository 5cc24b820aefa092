"""The loopback server: threads, headers, chunked bodies, faults and the log of requests."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec

from tmux_bridge.scripted_model.answers import error_document, events, message_document
from tmux_bridge.scripted_model.choosing import Chooser, Chosen
from tmux_bridge.scripted_model.conversation import Conversation, RefusedError, parse
from tmux_bridge.scripted_model.script import Fault, FaultKind, Json, Script

logger = logging.getLogger(__name__)

_BODY_LIMIT = 32 * 1024 * 1024
_MESSAGES = "/v1/messages"
_COUNT = "/v1/messages/count_tokens"
_MODELS = "/v1/models"
_PATHS = {_MESSAGES: "POST", _COUNT: "POST", _MODELS: "GET", "/": "GET"}
_SECRET_HEADERS = frozenset({"x-api-key", "authorization", "cookie"})
_HEADERS_KEPT = 64


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request as it was answered. `outcome` is complete, refused, failed or cut off."""

    number: int
    path: str
    kind: str = ""
    session: str = ""
    turn: str = ""
    status: int = 200
    outcome: str = "open"
    text: str = ""
    tool_results: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


class ScriptedModel:
    """A Messages API on 127.0.0.1 that answers from a script.

    Args:
        script: What to say.
        key: The only key that is taken; without it any key is.
        port: 0 takes a free one.
        log: A file that gets one JSON line per request.
        keep: How many of the newest requests are remembered.
        keeps_bodies: Remember what was sent, whole, by the request's number.
    """

    def __init__(
        self, script: Script, *, key: str | None = None, port: int = 0, log: Path | None = None,
        keep: int = 10_000, keeps_bodies: bool = False,
    ) -> None:  # fmt: skip
        self.key = key
        self.requests: list[RequestRecord] = []
        self.bodies: dict[int, bytes] = {}
        self.keeps_bodies = keeps_bodies
        self.chooser = Chooser(script)
        self.stopping = threading.Event()
        self.last_request = time.monotonic()
        self._log = log
        self._keep = keep
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.model = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="scripted-model", daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> str:
        """Serve in a thread; returns the base URL."""
        self._thread.start()
        return self.url

    def stop(self) -> None:
        """End every open answer and close the port."""
        self.stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()

    def open_record(self, path: str, headers: Mapping[str, str]) -> RequestRecord:
        kept = {k: v for k, v in headers.items() if k not in _SECRET_HEADERS}
        with self._lock:
            record = RequestRecord(number=next(self._numbers), path=path, headers=kept)
            self.requests.append(record)
            del self.requests[: -self._keep]
            self.last_request = time.monotonic()
        return record

    def close_record(self, record: RequestRecord) -> None:
        self.last_request = time.monotonic()
        if self._log is None:
            return
        line = msgspec.json.encode(record) + b"\n"
        handle = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    model: ScriptedModel


class _Handler(BaseHTTPRequestHandler):
    """One connection of the CLI."""

    protocol_version = "HTTP/1.1"
    timeout = 600

    @property
    def _model(self) -> ScriptedModel:
        return cast("_Server", self.server).model

    def do_HEAD(self) -> None:
        self._send_json(200, {})

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - same
        logger.debug("scripted model", extra={"line": format % args})

    def _answer(self, method: str) -> None:
        path = urlsplit(self.path).path
        headers = {
            name.lower(): value for name, value in list(self.headers.items())[:_HEADERS_KEPT]
        }
        record = self._model.open_record(path, headers)
        try:
            self._check(method, path, headers)
            self._serve(path, headers, record)
        except RefusedError as refused:
            record.status, record.outcome = refused.status, "refused"
            self.close_connection = True
            with contextlib.suppress(OSError):
                self._send_json(refused.status, error_document(refused.status, refused.message))
        except OSError:
            record.outcome = "cut off"
            self.close_connection = True
        finally:
            self._model.close_record(record)

    def _check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        if path not in _PATHS:
            raise RefusedError(404, f"Not found: {path}")
        if _PATHS[path] != method:
            raise RefusedError(405, f"Method not allowed: {method} {path}")
        if path == "/":
            return
        self._check_key(headers)
        if not headers.get("anthropic-version"):
            raise RefusedError(400, "anthropic-version: header is required")
        if method == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise RefusedError(400, "content-type: must be application/json")

    def _check_key(self, headers: Mapping[str, str]) -> None:
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        key = headers.get("x-api-key", "").strip() or bearer
        if not key:
            raise RefusedError(401, "x-api-key header is required")
        if self._model.key is not None and key != self._model.key:
            raise RefusedError(401, "invalid x-api-key")

    def _serve(self, path: str, headers: Mapping[str, str], record: RequestRecord) -> None:
        if path == "/":
            return self._finish(record, {"name": "scripted model"})
        if path == _MODELS:
            models: list[Json] = [{"type": "model", "id": "claude-scripted"}]
            return self._finish(record, {"data": models, "has_more": False})
        body = self._body(headers)
        if path == _COUNT:
            return self._finish(record, {"input_tokens": max(1, len(body) // 4)})
        if self._model.keeps_bodies:
            self._model.bodies[record.number] = body
        request = parse(body, headers)
        chosen = self._model.chooser.choose(request)
        record.kind, record.turn, record.session = request.kind, chosen.turn, request.session
        record.text, record.tool_results = request.prompt, request.tool_results
        return self._reply(request, chosen, record)

    def _finish(self, record: RequestRecord, document: dict[str, Json]) -> None:
        record.outcome = "complete"
        self._send_json(200, document)

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunked()
        try:
            size = int(headers.get("content-length", ""))
        except ValueError as error:
            raise RefusedError(400, "content-length: a number is required") from error
        if not 0 <= size <= _BODY_LIMIT:
            raise RefusedError(413, "The request is too large")
        return self.rfile.read(size)

    def _chunked(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            try:
                size = int(self.rfile.readline(64).split(b";")[0], 16)
            except ValueError as error:
                raise RefusedError(400, "The chunked body is broken") from error
            if not 0 <= size <= _BODY_LIMIT - sum(map(len, pieces)):
                raise RefusedError(413, "The request is too large")
            pieces.append(self.rfile.read(size))
            self.rfile.readline(8)
            if size == 0:
                return b"".join(pieces)

    def _reply(self, request: Conversation, chosen: Chosen, record: RequestRecord) -> None:
        self._wait(chosen.reply.pace.delay_s)
        fault = chosen.reply.fault if chosen.fails else None
        if fault is not None and fault.kind is not FaultKind.MID_STREAM:
            self._fail(fault, record)
        elif request.stream:
            self._stream(request, chosen, record, fault)
        else:
            self._finish(record, message_document(chosen.reply, request.model))

    def _fail(self, fault: Fault, record: RequestRecord) -> None:
        record.outcome = "failed"
        if fault.kind is FaultKind.STATUS:
            record.status = fault.status
            more = {} if fault.retry_after_s is None else {"retry-after": str(fault.retry_after_s)}
            document = error_document(fault.status, "The script says so.")
            return self._send_json(fault.status, document, more)
        if fault.kind is FaultKind.SILENCE:
            self._model.stopping.wait(self.timeout)
        self._drop()
        return None

    def _drop(self) -> None:
        """Close with a reset, so that the peer sees a broken connection and no clean end."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def _stream(
        self, request: Conversation, chosen: Chosen, record: RequestRecord, fault: Fault | None
    ) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", f"req_{record.number}")
        self.end_headers()
        for name, data in events(chosen.reply, request.model):
            if fault is not None and name == "content_block_stop":
                self._event("error", error_document(529, "The script says so."))
                record.outcome = "failed"
                break
            self._event(name, {"type": name, **data})
            if name == "content_block_delta":
                self._wait(chosen.reply.pace.chunk_delay_s)
        else:
            record.outcome = "complete"
        self._chunk(b"")

    def _event(self, name: str, data: Mapping[str, Json]) -> None:
        self._chunk(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and self._model.stopping.wait(seconds):
            raise ConnectionAbortedError("the scripted model is ending")

    def _send_json(
        self, status: int, document: dict[str, Json], more: Mapping[str, str] | None = None
    ) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
