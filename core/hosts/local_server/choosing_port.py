"""A session's lasting port: chosen once, kept in the store, below the range systems give away."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator

from core.models.session import SessionKey

FIRST_PORT = 20_000
LAST_PORT = 29_999
MOST_TRIES = 200


def candidate_ports(key: SessionKey) -> Iterator[int]:
    """Ports to try, in an order of this session's own, so that sessions seldom meet."""
    name = f"{key.user_id}/{key.session_id}".encode()
    start = int.from_bytes(hashlib.sha256(name).digest()[:4], "big")
    span = LAST_PORT - FIRST_PORT + 1
    for step in range(MOST_TRIES):
        yield FIRST_PORT + (start + step) % span


def is_free(port: int) -> bool:
    """Whether nothing listens on that loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
