"""The gate and the forwarder of a limited pane, on real sockets and without a sandbox."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.clock import wait_for
from core.errors import UsageError
from core.paths import CHECKOUT
from tmux_bridge.network_gate.gate import CONNECTIONS, Destination, Gate
from tmux_bridge.network_gate.hosts import (
    allowed_hosts,
    limited_environment,
    loopback_ports,
    upstream_proxy,
)

WORD = b"the model says hello"


@contextmanager
def listening(answer: bytes = WORD) -> Iterator[int]:
    """A server that says one thing to everybody; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                heard = b""
                while b"\r\n\r\n" not in heard and (piece := connection.recv(65536)):
                    heard += piece
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer) + len(heard)}\r\n\r\n"
                connection.sendall(head.encode() + answer + heard)

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@contextmanager
def serving(allowed: list[Destination], upstream: str | None = None) -> Iterator[int]:
    """A gate on a TCP port instead of a socket file; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    life, end = os.pipe()
    gate = Gate(allowed, upstream)
    thread = threading.Thread(target=gate.serve, args=(listener, life), daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    os.close(end)
    thread.join(5)
    assert not thread.is_alive()
    listener.close()
    os.close(life)


def connect(port: int, host: str, host_port: int) -> tuple[int, bytes]:
    """What a CONNECT through the gate at `port` gives: the status and the answer behind it."""
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        one.sendall(f"CONNECT {host}:{host_port} HTTP/1.1\r\n\r\n".encode())
        answer = http.client.HTTPResponse(one, method="CONNECT")
        answer.begin()
        if answer.status != 200:
            return answer.status, answer.read()
        one.sendall(b"GET / HTTP/1.0\r\n\r\n")
        inner = http.client.HTTPResponse(one)
        inner.begin()
        return 200, inner.read()


def test_an_allowed_host_is_reached_and_another_port_of_it_is_not() -> None:
    with (
        listening() as port,
        listening() as other,
        serving([Destination("127.0.0.1", port, is_own=True)]) as gate,
    ):
        assert connect(gate, "127.0.0.1", port)[0] == 200
        status, said = connect(gate, "127.0.0.1", other)
        assert status == 403
        assert b"network = limited" in said


def test_a_plain_request_reaches_the_model_in_origin_form() -> None:
    with listening() as port, serving([Destination("localhost", port, is_own=True)]) as gate:
        one = http.client.HTTPConnection("127.0.0.1", gate, timeout=10)
        one.request("GET", f"http://localhost:{port}/v1/messages?beta=true")
        said = one.getresponse().read()
        assert said.startswith(WORD)
        assert b"GET /v1/messages?beta=true HTTP/1.1\r\n" in said


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_listed_name_with_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """As if a registry's name were pointed at this computer."""
    with listening() as port, serving([Destination("pypi.org", port)]) as gate:
        look_up = socket.getaddrinfo

        def forged(name: str, *rest: Any, **more: Any) -> Any:
            return look_up(host if name == "pypi.org" else name, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", forged)
        status, said = connect(gate, "pypi.org", port)
    assert (status, said) == (403, b"pypi.org leads to a private address.\n")


@pytest.mark.parametrize(
    "head",
    [b"\x16\x03\x01 tls", b"GET / HTTP/1.1", b"CONNECT x HTTP/1.1", b"GET ftp://x/ HTTP/1.1"],
)
def test_what_is_no_proxy_request_is_refused(head: bytes) -> None:
    with serving([]) as gate, socket.create_connection(("127.0.0.1", gate), 10) as one:
        one.sendall(head + b"\r\n\r\n")
        assert one.recv(4096).split(b" ")[1] in {b"400", b"403"}


def test_more_connections_than_allowed_are_refused_and_the_next_one_works() -> None:
    with listening() as port, serving([Destination("127.0.0.1", port, is_own=True)]) as gate:
        held = [socket.create_connection(("127.0.0.1", gate), 10) for _ in range(CONNECTIONS)]
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", gate), 10) as one:
            assert one.recv(4096).startswith(b"HTTP/1.1 503")
        for one in held:
            one.close()
        assert wait_for(lambda: _status(gate, port) == 200, deadline_s=10)


def _status(gate: int, port: int) -> int:
    try:
        return connect(gate, "127.0.0.1", port)[0]
    except (OSError, http.client.HTTPException):
        return 0


def test_the_operators_own_proxy_is_the_way_out() -> None:
    with (
        listening(b"from the proxy") as proxy,
        serving(
            [Destination("registry.npmjs.org", 443, is_direct=False)],
            f"http://me:p%40ss@127.0.0.1:{proxy}",
        ) as gate,
        socket.create_connection(("127.0.0.1", gate), 10) as one,
    ):
        one.sendall(b"CONNECT registry.npmjs.org:443 HTTP/1.1\r\n\r\n")
        assert one.recv(4096).startswith(b"HTTP/1.1 200")


def test_what_may_be_reached_follows_the_models_address() -> None:
    registries = {("pypi.org", 443), ("files.pythonhosted.org", 443), ("registry.npmjs.org", 443)}

    def places(**environment: str) -> set[tuple[str, int]]:
        return {(one.host, one.port) for one in allowed_hosts(environment)}

    assert places() == {("api.anthropic.com", 443), *registries}
    assert places(ANTHROPIC_BASE_URL="http://127.0.0.1:8123") == {("127.0.0.1", 8123), *registries}
    assert places(ANTHROPIC_BASE_URL="https://gateway.example/v1") == {
        ("gateway.example", 443), *registries,
    }  # fmt: skip
    bedrock = places(CLAUDE_CODE_USE_BEDROCK="1", AWS_REGION="eu-west-1")
    assert bedrock == {("bedrock-runtime.eu-west-1.amazonaws.com", 443), *registries}
    vertex = places(CLAUDE_CODE_USE_VERTEX="1", CLOUD_ML_REGION="global")
    assert vertex == {("aiplatform.googleapis.com", 443), *registries}
    with pytest.raises(UsageError):
        places(ANTHROPIC_BASE_URL="gateway")


def test_no_proxy_of_the_operator_decides_what_goes_direct() -> None:
    operator = {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": ".example, pypi.org"}
    allowed = allowed_hosts({"ANTHROPIC_BASE_URL": "https://gate.example"}, operator)
    assert {one.host: one.is_direct for one in allowed} == {
        "gate.example": True, "pypi.org": True, "files.pythonhosted.org": False,
        "registry.npmjs.org": False,
    }  # fmt: skip
    assert upstream_proxy(operator) == "http://proxy:3128"
    assert upstream_proxy({}) is None


def test_claude_is_told_of_the_gate_only() -> None:
    told = limited_environment({"HTTPS_PROXY": "http://operator:1", "NO_PROXY": "*", "X": "1"})
    assert told["HTTPS_PROXY"] == told["http_proxy"] == "http://127.0.0.1:3128"
    assert "*" not in told["NO_PROXY"]
    own = [Destination("localhost", 8123, is_own=True), Destination("::1", 9, is_own=True)]
    assert loopback_ports(own) == "8123=localhost:8123,9=[::1]:9"
    assert loopback_ports([Destination("pypi.org", 443)]) == "-"


def test_the_gate_ends_with_the_process_that_it_serves(tmp_path: Path) -> None:
    folder = tmp_path / "gate"
    folder.mkdir(mode=0o700)
    settings = tmp_path / "settings"
    settings.write_text(f'{{"folder": "{folder}", "upstream": null, "allowed": []}}')
    code = f"import sys; sys.path.append({str(CHECKOUT)!r})\n"
    code += "from tmux_bridge.network_gate.gate import main\nmain()"
    script = '"$1" -S -E -s -P -c "$2" "$3" $$ & exec sleep 600'
    served = subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", sys.executable, code, str(settings)],
        start_new_session=True,
    )
    try:
        assert wait_for((folder / "gate").exists, deadline_s=20)
        assert not settings.exists()
    finally:
        os.kill(served.pid, signal.SIGKILL)
        served.wait(10)
    assert wait_for(lambda: not folder.exists(), deadline_s=10)
