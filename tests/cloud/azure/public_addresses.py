"""Public addresses: a plain port for each, with the filter in front and the machine behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from tests.cloud.azure.arm_network import FRONT_DOOR, INTERNET, allows, interface_at
from tests.cloud.azure.arm_state import ArmState
from tests.cloud.azure.edges import BACKBONE
from tests.cloud.azure.serving import Answer, Asked, LoopbackServer

WEB_PORT = 80


class Answering(Protocol):
    """The machines as visitors see them."""

    def answer(self, machine_id: str, asked: Asked) -> Answer: ...


class PublicAddresses:
    """Drops what the machine's filter does not let in, as a network does: without an answer.

    Attributes:
        state: The management plane's lock and resources.
        backbone: What requests of Front Door carry.
    """

    def __init__(self, machines: Answering, backbone: str) -> None:
        self.state: Callable[[], tuple[threading.RLock, ArmState]] | None = None
        self._machines = machines
        self._backbone = backbone
        self._servers: dict[str, LoopbackServer] = {}

    def open_address(self, address_id: str) -> str:
        key = address_id.lower()
        if key not in self._servers:
            self._servers[key] = LoopbackServer(lambda asked: self._answer(key, asked))
        return f"127.0.0.1:{self._servers[key].port}"

    def close_address(self, address_id: str) -> None:
        server = self._servers.pop(address_id.lower(), None)
        if server is not None:
            server.close()

    def close(self) -> None:
        for address_id in list(self._servers):
            self.close_address(address_id)

    def _answer(self, address_id: str, asked: Asked) -> Answer:
        is_front = asked.headers.get(BACKBONE.lower()) == self._backbone
        machine_id = self._machine_behind(address_id, FRONT_DOOR if is_front else INTERNET)
        if machine_id is None:
            return Answer(status=500, dropped=True)
        return self._machines.answer(machine_id, asked)

    def _machine_behind(self, address_id: str, source: str) -> str | None:
        assert self.state is not None
        lock, state = self.state()
        with lock:
            interface = interface_at(state, address_id)
            if interface is None:
                return None
            group = state.get(interface.properties["networkSecurityGroup"]["id"])
            rules = [] if group is None else group.properties.get("securityRules") or []
            machine = (interface.properties.get("virtualMachine") or {}).get("id")
            return str(machine) if machine and allows(rules, source, WEB_PORT) else None
