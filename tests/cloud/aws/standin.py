"""An AWS on loopback: strict services in front of moto, calls counted, faults on request."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from tests.cloud.aws.faults import FaultKind, FaultPlan
from tests.cloud.aws.wire import Call, RefusedError, read_call, refusal

_ANSWERS = {
    FaultKind.FORBIDDEN: RefusedError("AccessDenied", "no right to do this", 403),
    FaultKind.SLOW_DOWN: RefusedError("SlowDown", "reduce your request rate", 503),
    FaultKind.SERVER_ERROR: RefusedError("InternalError", "an internal fault", 500),
}

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Service(Protocol):
    """A strict front of one service: its own answer, or None to let moto answer.

    Services of other modules are put into `StandIn.services` by their signing name.
    """

    def answer(self, call: Call) -> Response | None: ...

    def after(self, call: Call, response: Response) -> None:
        """What moto forgets about a call that it accepted."""


class StandIn:
    """One server for all services; `url` is what AWS_ENDPOINT_URL names."""

    def __init__(self, services: dict[str, Service]) -> None:
        self.services = services
        self.calls: Counter[tuple[str, str]] = Counter()
        self.log: list[tuple[str, str]] = []
        self.faults = FaultPlan()
        self._lock = threading.Lock()
        self._moto: dict[str, Wsgi] = {}
        self._server = make_server(
            "127.0.0.1", 0, self._application, threaded=True, request_handler=QuietHandler
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def forget_calls(self) -> None:
        self.calls.clear()
        self.log.clear()

    def _application(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = _body(environ)
        try:
            call = read_call(environ, body)
        except RefusedError as error:
            return refusal(None, error)(environ, start)
        fault = self.faults.meets(call)
        self.calls[call.name] += 1
        self.log.append(call.name)
        if fault is FaultKind.KILLED_BEFORE:
            self.faults.kill_client()
        if fault in (FaultKind.DROPPED, FaultKind.KILLED_BEFORE):
            return _hang_up(environ)
        if fault in _ANSWERS:
            return refusal(call, _ANSWERS[fault])(environ, start)
        response = self._answer(call)
        if fault is FaultKind.KILLED_AFTER:
            self.faults.kill_client()
        if fault in (FaultKind.TIMEOUT, FaultKind.KILLED_AFTER):
            return _hang_up(environ)
        return response(environ, start)

    def _answer(self, call: Call) -> Response:
        service = self.services.get(call.service)
        try:
            response = None if service is None else service.answer(call)
        except RefusedError as error:
            return refusal(call, error)
        if response is None:
            response = Response.from_app(self._backend(call.service), call.environ, buffered=True)
            if service is not None and response.status_code < 400:
                service.after(call, response)
        return response

    def _backend(self, service: str) -> Wsgi:
        """moto's application of a service, by its signing name; its own dispatcher is slow."""
        with self._lock:
            if service not in self._moto:
                self._moto[service] = create_backend_app(service)  # type: ignore[arg-type]
            return self._moto[service]


class QuietHandler(MotoRequestHandler):
    """Nothing of a request goes to stderr, and no answer waits for an acknowledgement."""

    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Nothing."""


def _body(environ: dict[str, Any]) -> bytes:
    """The whole body, put back for whoever reads it next."""
    import io  # noqa: PLC0415

    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated") and not environ.get("CONTENT_LENGTH"):
        body = bytes(stream.read())
    else:
        body = bytes(stream.read(int(environ.get("CONTENT_LENGTH") or 0)))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body


def _hang_up(environ: dict[str, Any]) -> Iterable[bytes]:
    connection: socket.socket = environ["werkzeug.socket"]
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError
