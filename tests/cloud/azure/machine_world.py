"""An Azure with machines: networks, computers, vaults and names besides storage and Front Door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cloud.azure.arm_authorization import SECRETS_USER, roles_of
from tests.cloud.azure.arm_compute import MACHINES, SKUS, ComputeTypes
from tests.cloud.azure.arm_containers import container_type
from tests.cloud.azure.arm_dns import ZONE_LIST, DnsTypes, zones
from tests.cloud.azure.arm_network import NetworkTypes
from tests.cloud.azure.arm_state import Stored
from tests.cloud.azure.arm_vaults import DELETED, VAULTS, VaultTypes
from tests.cloud.azure.machines import Machines
from tests.cloud.azure.public_addresses import PublicAddresses
from tests.cloud.azure.quick_machines import QuickMachines
from tests.cloud.azure.world import AzureWorld


class MachineWorld(AzureWorld):
    """One Azure with machines.

    Args:
        is_real: Whether the machines really run what they are told.
    """

    def __init__(self, folder: Path, *, is_real: bool = True) -> None:
        super().__init__(folder)
        self._is_real = is_real
        self.machines_denied = 0
        """How many more reads of quick machines are refused: roles spread slowly."""
        self.machines = self._computers()
        self.addresses = PublicAddresses(self.machines, self.edges.backbone)
        self.networks = NetworkTypes(self.addresses)
        self.vaults = VaultTypes(self.certificates)
        principals = self.authorization.principals
        self.compute = ComputeTypes(self.machines, principals, waits=is_real)
        self.addresses.state = self.vaults.state = lambda: (self.arm.lock, self.state)
        for kind in (
            *self.networks.types(), *self.compute.types(), *self.vaults.types(),
            *DnsTypes().types(), container_type(self.blobs),
        ):  # fmt: skip
            self.state.types[kind.path.lower()] = kind
        self.arm.catalogues = {SKUS: self.compute.skus, ZONE_LIST: zones(self.state)}

    def reset(self) -> None:
        self.calls.choose = None
        self.arm.await_machines()
        super().reset()
        with self.arm.lock:
            for one in self.state.of(DELETED):
                self.state.remove(one.resource_id)
        self.compute.reset()
        self.machines_denied = 0
        self.networks.taken_labels.clear()
        self.vaults.read.clear()

    def described(self) -> dict[str, Any]:
        self.arm.await_machines()
        return super().described()

    def machine(self) -> Stored:
        """The one machine that there is."""
        [found] = self.state.of(MACHINES)
        return found

    def turn_off(self) -> None:
        """As somebody would in the portal."""
        with self.arm.lock:
            self.compute.turn_off(self.state, self.machine())

    def close(self) -> None:
        for part in (self.machines, self.addresses, self.vaults):
            part.close()
        super().close()

    def _computers(self) -> Machines | QuickMachines:
        if self._is_real:
            return Machines(self.certificates.authority)
        return QuickMachines(self._blob_for, self._secrets_for)

    def _blob_for(self, principal: str, url: str) -> bytes | None:
        """What a machine of that identity reads at a blob's address."""
        if self._is_denied():
            return None
        account, container, name = url.removeprefix(f"{self.blobs.url}/").split("/", 2)
        if not self._may_touch(principal, account, is_read=True):
            return None
        with self.blobs.container(account, container) as opened:
            return bytes(opened.download_blob(name).readall())

    def _is_denied(self) -> bool:
        self.machines_denied -= 1
        return self.machines_denied >= 0

    def _secrets_for(self, principal: str, url: str) -> dict[str, str] | None:
        for one in self.state.of(VAULTS):
            if one.properties.get("vaultUri", "").rstrip("/") == url:
                if SECRETS_USER not in roles_of(self.state, principal, one.resource_id):
                    return None
                return self.vaults.secrets(self.state, one.resource_id)
        return None


@contextmanager
def machine_world(folder: Path, *, is_real: bool = True) -> Iterator[MachineWorld]:
    world = MachineWorld(folder, is_real=is_real)
    try:
        yield world
    finally:
        world.close()
