"""The gate: an HTTP proxy on a socket file that knows a handful of hosts and refuses all others.

It runs outside the sandbox, one for each pane, started by the pane's script beside bubblewrap, and
ends when that process ends. Names are looked up here; a name of the list that leads to a private
or loopback address is refused, unless the operator named that host as the model's.
"""

from __future__ import annotations

import ipaddress
import json
import os
import select
import socket
import sys
import threading
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from tmux_bridge.network_gate.relay import SOCKET, read_head, relay

CONNECTIONS = 64
DIAL_S = 15.0

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3", "::/127", "64:ff9b::/96", "fc00::/7",
        "fe80::/10", "ff00::/8",
    )
)  # fmt: skip
_REASONS = {
    400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip


class RefusedError(Exception):
    """The gate does not connect; the text is what the program inside reads."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Destination:
    """One host that may be reached.

    Attributes:
        is_own: The operator named it, so that it may have a private address.
        is_direct: Not by way of the operator's own proxy.
    """

    host: str
    port: int
    is_own: bool = False
    is_direct: bool = True


class Gate:
    """Serves one pane.

    Args:
        allowed: Everything that may be reached.
        upstream: The operator's own proxy, as a URL, for what is not direct.
    """

    def __init__(self, allowed: list[Destination], upstream: str | None = None) -> None:
        self._allowed = {(one.host, one.port): one for one in allowed}
        self._upstream = upstream
        self._slots = threading.BoundedSemaphore(CONNECTIONS)

    def serve(self, listener: socket.socket, life: int) -> None:
        """Answer until `life` becomes readable: a descriptor of the process that is served."""
        while True:
            ready, _, _ = select.select([listener.fileno(), life], [], [])
            if life in ready:
                return
            with suppress(OSError):
                self._admit(listener.accept()[0])

    def _admit(self, connection: socket.socket) -> None:
        if not self._slots.acquire(blocking=False):
            _refuse(connection, RefusedError(503, f"More than {CONNECTIONS} connections at once."))
            return
        threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        try:
            self._converse(connection)
        except RefusedError as error:
            _refuse(connection, error)
        except OSError:
            connection.close()
        finally:
            self._slots.release()

    def _converse(self, connection: socket.socket) -> None:
        said = read_head(connection)
        if said is None:
            connection.close()
            return
        head, rest = said
        method, target, following = _request_line(head)
        far = self._dial(self._find(method, target))
        with connection, far:
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                far.sendall(rest)
            else:
                far.sendall(_origin_form(method, target) + following + rest)
            relay(connection, far)

    def _find(self, method: str, target: str) -> Destination:
        """The allowed host behind a request's target.

        Raises:
            RefusedError: It is not one, or the target is none.
        """
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        try:
            host, port = (parts.hostname or "").rstrip("."), parts.port or 80
        except ValueError:
            host, port = "", 0
        if not host or (method != "CONNECT" and parts.scheme != "http"):
            raise RefusedError(400, "This is a proxy: name a host and a port.")
        found = self._allowed.get((host, port))
        if found is None:
            raise RefusedError(
                403,
                f"tmux-builder does not let this session reach {host}:{port}. Its network is"
                " limited to Claude's model and the package registries (network = limited).",
            )
        return found

    def _dial(self, destination: Destination) -> socket.socket:
        if self._upstream is not None and not destination.is_direct:
            return _dial_by(self._upstream, destination)
        for address in _addresses(destination):
            with suppress(OSError):
                return socket.create_connection(address, timeout=DIAL_S)
        raise RefusedError(502, f"{destination.host}:{destination.port} does not answer.")


def _addresses(destination: Destination) -> list[tuple[str, int]]:
    try:
        found = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RefusedError(502, f"{destination.host} has no address: {error}.") from error
    addresses = [(str(entry[4][0]), destination.port) for entry in found]
    if destination.is_own:
        return addresses
    public = [address for address in addresses if not _is_private(address[0])]
    if not public:
        raise RefusedError(403, f"{destination.host} leads to a private address.")
    return public


def _is_private(text: str) -> bool:
    """Whether an address belongs to this computer or to a network around it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in _PRIVATE if network.version == address.version)


def _dial_by(upstream: str, destination: Destination) -> socket.socket:
    """A connection through the operator's own proxy.

    Raises:
        RefusedError: The proxy cannot be reached or does not connect.
    """
    parts = urlsplit(upstream)
    name = f"{destination.host}:{destination.port}"
    lines = [f"CONNECT {name} HTTP/1.1", f"Host: {name}"]
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}")
    try:
        far = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=DIAL_S)
        far.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        said = read_head(far)
    except OSError as error:
        raise RefusedError(502, f"The operator's proxy cannot be reached: {error}.") from error
    if said is None or said[0].split(b" ", 2)[1:2] != [b"200"]:
        far.close()
        raise RefusedError(502, f"The operator's proxy does not connect to {name}.")
    return far


def _request_line(head: bytes) -> tuple[str, str, bytes]:
    """Method, target and everything behind the first line."""
    line, _, following = head.partition(b"\r\n")
    words = line.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise RefusedError(400, "This is an HTTP proxy and nothing else.")
    return words[0], words[1], following


def _origin_form(method: str, target: str) -> bytes:
    parts = urlsplit(target)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return f"{method} {path} HTTP/1.1\r\n".encode("latin-1")


def _refuse(connection: socket.socket, error: RefusedError) -> None:
    body = f"{error.text}\n".encode()
    head = (
        f"HTTP/1.1 {error.status} {_REASONS[error.status]}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with connection, suppress(OSError):
        connection.settimeout(1.0)
        connection.sendall(head.encode() + body)


def main() -> None:
    """`gate FILE PID`: settings in a file that is removed, and the process that is served."""
    file, pid = sys.argv[-2], int(sys.argv[-1])
    os.setsid()
    life = os.pidfd_open(pid)
    if os.getppid() != pid:
        return
    with open(file, "rb") as stream:  # noqa: PTH123 - pathlib is half of this program's start
        settings = json.load(stream)
    os.unlink(file)  # noqa: PTH108 - same
    allowed = [Destination(*entry) for entry in settings["allowed"]]
    os.chdir(settings["folder"])
    listener = socket.socket(socket.AF_UNIX)
    os.umask(0o077)
    listener.bind(SOCKET)
    listener.listen(CONNECTIONS)
    try:
        Gate(allowed, settings["upstream"]).serve(listener, life)
    finally:
        with suppress(OSError):
            os.unlink(SOCKET)  # noqa: PTH108 - same
            os.rmdir(settings["folder"])  # noqa: PTH106 - same
        # Threads that still carry bytes for a pane that is gone.
        os._exit(0)
