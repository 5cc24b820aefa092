"""Names of a DNS zone of the tests for this process: a proxy that follows the zone's records.

Set as `HTTPS_PROXY` and `HTTP_PROXY`, with 127.0.0.1 in `NO_PROXY`, it is what a resolver is
elsewhere: a name that has no record cannot be reached.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_CHUNK = 65536

Resolve = Callable[[str], tuple[str, int] | None]


class NameProxy:
    """Tunnels `CONNECT`, and passes plain requests on, to where a name leads."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def environ(self) -> dict[str, str]:
        return {"HTTPS_PROXY": self.url, "HTTP_PROXY": self.url, "NO_PROXY": "127.0.0.1"}

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                chunk = client.recv(_CHUNK)
                if not chunk:
                    return
                head += chunk
            verb, target, _version = head.split(b"\r\n", 1)[0].decode().split(" ")
            place = self._resolve(_host(target))
            if place is None:
                client.sendall(b"HTTP/1.1 502 No Such Name\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(place, timeout=20) as server:
                if verb == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                else:
                    server.sendall(head.replace(target.encode(), _path(target), 1))
                _join(client, server)


def _host(target: str) -> str:
    return target.removeprefix("http://").partition("/")[0].partition(":")[0]


def _path(target: str) -> bytes:
    return b"/" + target.removeprefix("http://").partition("/")[2].encode()


def _join(client: socket.socket, server: socket.socket) -> None:
    back = threading.Thread(target=_copy, args=(server, client), daemon=True)
    back.start()
    _copy(client, server)
    back.join(timeout=20)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
