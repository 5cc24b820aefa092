"""Everything that stands for Azure in the tests, put together; one for a module of tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.cloud.azure import AzureCloud
from tests.cloud.aws.certificates import make_certificates
from tests.cloud.aws.site_kit import PatientClock
from tests.cloud.azure.arm_authorization import (
    BLOB_CONTRIBUTOR,
    BLOB_READER,
    AuthorizationTypes,
    roles_of,
)
from tests.cloud.azure.arm_front_door import FrontDoorTypes
from tests.cloud.azure.arm_service import ArmService
from tests.cloud.azure.arm_state import ArmState
from tests.cloud.azure.arm_storage import ACCOUNTS, StorageTypes
from tests.cloud.azure.arm_types import ResourceType
from tests.cloud.azure.blob_plane import BlobPlane
from tests.cloud.azure.edges import EdgeServers
from tests.cloud.azure.faults import Calls
from tests.cloud.azure.tokens import PRINCIPAL, IdentityServer
from tests.cloud.azure.web_endpoints import WebEndpoints
from tests.cloud.azurite import Azurite

_CHANCE = frozenset(
    (
        "CreatedAt", "TXTRecords", "cname", "etag", "fqdn", "frontDoorId", "hostName", "httpPort",
        "httpsPort",
        "instanceView", "ipAddress", "keyData", "primaryEndpoints", "principalId", "script",
        "validationToken", "vaultUri", "vmId",
    )
)  # fmt: skip


class AzureWorld:
    """One Azure. Calls of both planes are counted and made to fail by `calls`.

    Args:
        types: Resource types besides storage, roles and Front Door.
    """

    def __init__(self, folder: Path, types: Iterable[ResourceType] = ()) -> None:
        self.certificates = make_certificates(folder)
        self.calls = Calls()
        self.clock = PatientClock()
        self.identity = IdentityServer()
        self.azurite = Azurite(self.certificates)
        self.blobs = BlobPlane(self.azurite, self.certificates, self.calls)
        self.websites = WebEndpoints(self.certificates, self.blobs.container)
        self.edges = EdgeServers(self.certificates)
        self.authorization = AuthorizationTypes({PRINCIPAL})
        self.storage = StorageTypes(self.blobs, self.websites)
        known = [
            *self.storage.types(), *self.authorization.types(),
            *FrontDoorTypes(self.edges).types(), *types,
        ]  # fmt: skip
        self.arm = ArmService(self.certificates, self.calls, known)
        self.edges.state = lambda: (self.arm.lock, self.state)
        self.blobs.may_touch = self._may_touch
        self.blobs.website = self.websites.website = self._website

    @property
    def state(self) -> ArmState:
        return self.arm.state

    @property
    def setting(self) -> dict[str, str]:
        """The value of `azure.cloud`."""
        return {"arm": self.arm.url, "ca": str(self.certificates.authority)}

    @property
    def cloud(self) -> AzureCloud:
        return AzureCloud(arm=self.arm.url, ca=self.certificates.authority)

    def environ(self) -> dict[str, str]:
        """Where azure-identity finds its login."""
        return self.identity.environ()

    def reset(self) -> None:
        """Nothing exists, nothing was called, nothing fails."""
        self.calls.begin()
        self.arm.reset()
        self.state.taken_names.clear()
        self.state.locked.clear()
        self.edges.purged.clear()
        self.storage.management_websites = True
        self.blobs.denied = 0
        self.identity.logged_in = True

    def ids(self) -> list[str]:
        """Everything that exists, in lower case."""
        with self.arm.lock:
            return sorted(self.state.resources)

    def described(self) -> dict[str, Any]:
        """Everything that exists, without what differs from run to run: ports and instants."""
        with self.arm.lock:
            self.state.settle()
            return {key: _without_chance(one.document) for key, one in self.state.resources.items()}

    def files(self, account: str) -> dict[str, bytes]:
        """What lies in an account's `$web`."""
        container = self.blobs.container(account)
        if container is None:
            return {}
        with container:
            return {
                one.name: bytes(container.download_blob(one.name).readall())
                for one in container.list_blobs()
            }

    @contextmanager
    def no_role_may_be_assigned(self) -> Iterator[None]:
        """The login owns resources and not who may use them, as in many organisations."""
        self.authorization.is_open = False
        try:
            yield
        finally:
            self.authorization.is_open = True

    def give_role_on_subscription(self) -> None:
        """What an administrator does once for everybody."""
        with self.arm.lock:
            self.authorization.give(self.state, PRINCIPAL, BLOB_CONTRIBUTOR)

    def close(self) -> None:
        for part in (self.arm, self.blobs, self.websites, self.edges, self.identity, self.azurite):
            part.close()

    def _may_touch(self, principal: str, account: str, is_read: bool) -> bool:
        enough = {BLOB_CONTRIBUTOR, BLOB_READER} if is_read else {BLOB_CONTRIBUTOR}
        with self.arm.lock:
            for one in self.state.of(ACCOUNTS):
                if one.name == account:
                    return bool(enough & roles_of(self.state, principal, one.resource_id))
        return False

    def _website(self, account: str) -> dict[str, Any]:
        with self.arm.lock:
            return self.storage.website(account)


def _without_chance(value: Any, name: str = "") -> Any:
    if name in _CHANCE:
        return name
    if isinstance(value, dict):
        return {key: _without_chance(item, key) for key, item in value.items()}
    return [_without_chance(item) for item in value] if isinstance(value, list) else value


@contextmanager
def azure_world(folder: Path, types: Iterable[ResourceType] = ()) -> Iterator[AzureWorld]:
    world = AzureWorld(folder, types)
    try:
        yield world
    finally:
        world.close()
