"""One uvicorn server with a listening socket per site, opened and closed while it runs."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from core.errors import ConflictError

BACKLOG = 256
TICK_S = 1.0

logger = logging.getLogger(__name__)


class PortServer(uvicorn.Server):
    """Speaks HTTP on any number of loopback ports; the application tells them apart."""

    def __init__(self, application: ASGIApp) -> None:
        config = uvicorn.Config(
            application, log_config=None, access_log=False, server_header=False,
            lifespan="off", http="h11", ws="none", loop="asyncio",
            interface="asgi3", proxy_headers=False,
            timeout_keep_alive=30, timeout_graceful_shutdown=2,
        )  # fmt: skip
        super().__init__(config)
        self._listening: dict[int, asyncio.Server] = {}
        self._told = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process's main, not to this server."""
        yield

    async def run_until_told(self) -> None:
        """Serve until `end` is called."""
        await self.serve(sockets=[])

    def end(self) -> None:
        """Answer what is asked at this moment, then return from `run_until_told`."""
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        """Keep the Date header fresh; a tick a second costs an idle computer nothing."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), TICK_S)

    def is_open(self, port: int) -> bool:
        return port in self._listening

    async def open(self, port: int) -> None:
        """Listen on a loopback port; nothing where it is listened on already.

        Raises:
            ConflictError: Another program has it.
        """
        if port in self._listening:
            return
        # The protocol is named because asyncio switches delays off (TCP_NODELAY) only then.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            loop = asyncio.get_running_loop()
            server = await loop.create_server(self._protocol, sock=listener, backlog=BACKLOG)
        except OSError as error:
            listener.close()
            raise ConflictError(
                f"Port {port} of this site is taken by another program.",
                remedy=f"End what listens there (ss -ltnp 'sport = :{port}'), then deploy again.",
                code="port_taken",
            ) from error
        self._listening[port] = server
        self.servers.append(server)

    def close_port(self, port: int) -> None:
        """Stop listening; requests in flight are still answered."""
        server = self._listening.pop(port, None)
        if server is not None:
            server.close()
            self.servers.remove(server)

    def _protocol(self) -> asyncio.Protocol:
        make = cast(Callable[..., asyncio.Protocol], self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state={})
