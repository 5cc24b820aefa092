"""The forwarder: what listens on a limited pane's own loopback and hands everything to the gate.

It is bubblewrap's program: it listens, leaves a child behind that carries bytes, and becomes
Claude. Port `PROXY_PORT` is the proxy that programs are told of; another port stands for one
address of the computer, such as a model on its loopback.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
from contextlib import suppress

from tmux_bridge.network_gate.relay import SOCKET, read_head, relay

PROXY_PORT = 3128
CONNECTIONS = 64
GATE_S = 5.0
"""How long the gate may take to come up; it is started at the same time."""

_LOOPBACK = "127.0.0.1"


def serve(listeners: dict[socket.socket, str | None]) -> None:
    """Carry connections for ever; a listener's text is the address that it stands for."""
    slots = threading.BoundedSemaphore(CONNECTIONS)
    while True:
        ready, _, _ = select.select(list(listeners), [], [])
        for listener in ready:
            with suppress(OSError):
                connection, _ = listener.accept()
                if not slots.acquire(blocking=False):
                    connection.close()
                    continue
                arguments = (connection, listeners[listener], slots)
                threading.Thread(target=_carry, args=arguments, daemon=True).start()


def _carry(
    connection: socket.socket, address: str | None, slots: threading.BoundedSemaphore
) -> None:
    try:
        with connection, _gate() as gate:
            rest = b"" if address is None else _ask(gate, address)
            if rest is not None:
                connection.sendall(rest)
                relay(connection, gate)
    except OSError:
        return
    finally:
        slots.release()


def _gate() -> socket.socket:
    ends = time.monotonic() + GATE_S
    while True:
        gate = socket.socket(socket.AF_UNIX)
        try:
            gate.connect(SOCKET)
        except OSError:
            gate.close()
            if time.monotonic() >= ends:
                raise
            time.sleep(0.02)
        else:
            return gate


def _ask(gate: socket.socket, address: str) -> bytes | None:
    """Have the gate connect to that address; what came behind its answer, None for a refusal."""
    gate.sendall(f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    answer = read_head(gate)
    if answer is None or answer[0].split(b" ", 2)[1:2] != [b"200"]:
        return None
    return answer[1]


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((_LOOPBACK, port))
    listener.listen(CONNECTIONS)
    return listener


def _leave_behind(folder: str, listeners: dict[socket.socket, str | None]) -> None:
    """A grandchild that belongs to nobody in here and holds neither terminal nor folder."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    serve(listeners)


def main() -> None:
    """`forwarder FOLDER PORTS COMMAND...`: the gate's folder, and ports that stand for addresses.

    PORTS is a comma-separated list of `PORT=HOST:PORT`, or `-`.
    """
    folder, ports, *command = sys.argv[1:]
    listeners: dict[socket.socket, str | None] = {_listen(PROXY_PORT): None}
    for entry in ports.split(",") if ports != "-" else ():
        port, _, address = entry.partition("=")
        # The proxy's own port, or one below 1024, cannot be had; the model is silent then.
        with suppress(OSError):
            listeners[_listen(int(port))] = address
    _leave_behind(folder, listeners)
    for listener in listeners:
        listener.close()
    os.execv(command[0], command)  # noqa: S606 - becomes Claude, whose list the product made
