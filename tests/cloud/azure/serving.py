"""Small threaded HTTP servers on loopback, each on a port of its own, plain or TLS."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        found = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[0] for name, values in found.items()}

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response; `dropped` closes the connection instead of sending it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: bool = False


def json_answer(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(
        status=status,
        body=json.dumps(document).encode(),
        headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


def blob_error(status: int, code: str) -> Answer:
    """As the data plane of storage says it."""
    parts = f"<Code>{code}</Code><Message>Refused by the stand-in.</Message>"
    headers = {"Content-Type": "application/xml", "x-ms-error-code": code}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer authorization_uri="https://login.example"'
    body = f'<?xml version="1.0" encoding="utf-8"?><Error>{parts}</Error>'
    return Answer(status=status, body=body.encode(), headers=headers)


class LoopbackServer:
    """Serves until it is closed; its threads die with the process."""

    def __init__(
        self, answer: Callable[[Asked], Answer], context: ssl.SSLContext | None = None
    ) -> None:
        self._server = _Server(answer, context)
        self.port = int(self._server.server_address[1])
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Callable[[Asked], Answer], context: ssl.SSLContext | None) -> None:
        self.answer = answer
        self.context = context
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def setup(self) -> None:
        """The TLS handshake is the connection's own thread's, so that none waits for another."""
        server = self.server
        assert isinstance(server, _Server)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server.context is not None:
            self.request.settimeout(self.timeout)
            self.request = server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def _serve(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        asked = Asked(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
        )
        answer = server.answer(asked)
        if answer.dropped:
            self.close_connection = True
            with suppress(OSError):
                self.request.shutdown(socket.SHUT_RDWR)
            return
        self._send(answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> bytes:
        found = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            found += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return found

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in (204, 304) and "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing is logged: calls are recorded where they are answered."""

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815
