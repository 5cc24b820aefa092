"""Bytes both ways between two sockets, and the head of an HTTP message; for both programs."""

from __future__ import annotations

import select
import socket
import time

CHUNK_BYTES = 65_536
HEAD_BYTES = 16_384
HEAD_S = 10.0
IDLE_S = 900.0
"""A connection on which nothing moves for so long is closed; a model's stream pings more often."""

SOCKET = "gate"
"""The name of the gate's socket in the folder that both ends see."""


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes until both ends have said their last, one breaks, or nothing moves for long."""
    ways = {one: other, other: one}
    for end in (one, other):
        end.settimeout(IDLE_S)
    try:
        while ways:
            ready, _, _ = select.select(list(ways), [], [], IDLE_S)
            if not ready:
                return
            for end in ready:
                _carry(end, ways)
    except OSError:
        return


def _carry(end: socket.socket, ways: dict[socket.socket, socket.socket]) -> None:
    piece = end.recv(CHUNK_BYTES)
    if piece:
        ways[end].sendall(piece)
    else:
        ways.pop(end).shutdown(socket.SHUT_WR)


def read_head(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """The head of an HTTP message with its empty line, and what came behind it.

    Returns:
        None where the other end closed, took too long or says too much.
    """
    ends = time.monotonic() + HEAD_S
    said = b""
    while b"\r\n\r\n" not in said:
        left = ends - time.monotonic()
        if left <= 0 or len(said) > HEAD_BYTES:
            return None
        connection.settimeout(left)
        try:
            piece = connection.recv(CHUNK_BYTES)
        except OSError:
            return None
        if not piece:
            return None
        said += piece
    head, _, rest = said.partition(b"\r\n\r\n")
    return (head + b"\r\n\r\n", rest) if len(head) <= HEAD_BYTES else None
