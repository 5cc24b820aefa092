"""Key vaults of the management plane, deleted ones too, and their data plane for machines."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from tests.cloud.aws.certificates import Certificates
from tests.cloud.azure.arm_authorization import SECRETS_USER, roles_of
from tests.cloud.azure.arm_state import ArmState, Stored, parent_of
from tests.cloud.azure.arm_types import ArmError, ResourceType, Style, check_tags
from tests.cloud.azure.serving import Answer, Asked, LoopbackServer, json_answer
from tests.cloud.azure.tokens import TENANT, principal_of

VAULTS = "Microsoft.KeyVault/vaults"
SECRETS = f"{VAULTS}/secrets"
DELETED = "Microsoft.KeyVault/locations/deletedVaults"
MOST_TAGS = 15
VALUE_BYTES = 25_000

_SECRET = re.compile(r"/secrets(?:/([A-Za-z0-9-]+))?")


class VaultTypes:
    """The types, and one https port for each vault's secrets.

    Attributes:
        state: The management plane's lock and resources.
        read: Names of secrets whose values were given out, in order.
    """

    def __init__(self, certificates: Certificates) -> None:
        self.state: Callable[[], tuple[threading.RLock, ArmState]] | None = None
        self.read: list[str] = []
        self._certificates = certificates
        self._servers: dict[str, LoopbackServer] = {}

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(
                path=VAULTS, model=_model("VaultCreateOrUpdateParameters"),
                name=r"[A-Za-z](-?[A-Za-z0-9])*", longest=24,
                required=("location", "properties.tenantId", "properties.sku.name"),
                style=Style.ASYNC, check=self._check_vault, filled=self._fill_vault,
                removed=self._remove_vault,
            ),
            ResourceType(
                path=SECRETS, model=_model("SecretCreateOrUpdateParameters"),
                name=r"[A-Za-z0-9-]+", longest=127, required=("properties.value",),
                check=_check_secret, shown=_without_value, keeps_state=False,
            ),
            ResourceType(
                path=DELETED, model=None, taggable=False, actions={"purge": _purge},
            ),
        ]  # fmt: skip

    def close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def secrets(self, state: ArmState, vault_id: str) -> dict[str, str]:
        """Enabled secrets with their values."""
        return {
            one.name: one.properties["value"]
            for one in state.of(SECRETS, f"{vault_id}/")
            if one.properties.get("attributes", {}).get("enabled", True)
        }

    def _check_vault(
        self, state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
    ) -> None:
        name, properties = resource_id.rpartition("/")[2], body["properties"]
        if before is None and (state.is_taken(name, VAULTS) or _deleted(state, name)):
            raise ArmError(409, "VaultAlreadyExists", f"The vault name {name} is in use.")
        if properties["tenantId"] != TENANT or properties["sku"].get("family") != "A":
            raise ArmError(400, "BadRequest", "The tenant or the sku is wrong.")
        if properties.get("enableRbacAuthorization") is not True:
            raise ArmError(403, "RequestDisallowedByPolicy", "Vaults go by roles.")
        if properties.get("enablePurgeProtection") is False:
            raise ArmError(400, "BadRequest", "enablePurgeProtection cannot be set to false.")
        if not 7 <= properties.get("softDeleteRetentionInDays", 90) <= 90:
            raise ArmError(400, "BadRequest", "softDeleteRetentionInDays is 7 to 90.")
        if before is not None:
            properties["vaultUri"] = before.properties["vaultUri"]

    def _fill_vault(self, state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        key = resource_id.lower()
        if key not in self._servers:
            self._servers[key] = LoopbackServer(
                lambda asked: self._answer(key, asked), self._certificates.server_context()
            )
        document["properties"]["vaultUri"] = f"{self._servers[key].url}/"

    def _remove_vault(self, state: ArmState, stored: Stored) -> None:
        """Deleted vaults keep their name, in their location, until they are purged."""
        server = self._servers.pop(stored.resource_id.lower(), None)
        if server is not None:
            server.close()
        location = stored.document["location"]
        subscription = "/".join(stored.resource_id.split("/")[:3])
        deleted_id = (
            f"{subscription}/providers/{DELETED.replace('locations', f'locations/{location}')}"
        )
        deleted_id += f"/{stored.name}"
        state.resources[deleted_id.lower()] = Stored(
            resource_id=deleted_id, kind=DELETED,
            document={"id": deleted_id, "name": stored.name, "type": DELETED,
                      "properties": {"vaultId": stored.resource_id, "location": location,
                                     "tags": stored.tags}},
        )  # fmt: skip

    def _answer(self, vault_id: str, asked: Asked) -> Answer:
        """List names, or one secret's value, for an identity that has the role."""
        assert self.state is not None
        host = self._servers[vault_id].url.removeprefix("https://")
        domain = host.partition(":")[0].partition(".")[2]
        principal = principal_of(asked, f"https://{domain}")
        match = _SECRET.fullmatch(asked.path)
        if principal is None:
            return json_answer(401, {"error": {"code": "Unauthorized"}})
        if match is None or asked.method != "GET" or "api-version" not in asked.query:
            return json_answer(400, {"error": {"code": "BadParameter"}})
        lock, state = self.state()
        with lock:
            if SECRETS_USER not in roles_of(state, principal, vault_id):
                return json_answer(403, {"error": {"code": "Forbidden"}})
            return self._secret(state, vault_id, match[1], f"https://{host}")

    def _secret(self, state: ArmState, vault_id: str, name: str | None, url: str) -> Answer:
        stored = state.of(SECRETS, f"{vault_id}/")
        if name is None:
            rows = [{"id": f"{url}/secrets/{one.name}",
                     "attributes": one.properties.get("attributes") or {}}
                    for one in stored]  # fmt: skip
            return json_answer(200, {"value": rows, "nextLink": None})
        for one in stored:
            if one.name == name and (one.properties.get("attributes") or {}).get("enabled", True):
                self.read.append(name)
                return json_answer(200, {"id": f"{url}/secrets/{name}/1",
                                         "value": one.properties["value"]})  # fmt: skip
        return json_answer(404, {"error": {"code": "SecretNotFound"}})


def _check_secret(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    value = body["properties"]["value"]
    if not value or len(value.encode()) > VALUE_BYTES:
        raise ArmError(400, "BadParameter", "A secret's value has 1 to 25,000 bytes.")
    if len(body.get("tags") or {}) > MOST_TAGS:
        raise ArmError(400, "BadParameter", "A secret has at most 15 tags.")
    check_tags(body.get("tags"))
    state.needed(parent_of(resource_id))


def _without_value(document: dict[str, Any], query: Any) -> dict[str, Any]:
    """The management plane gives no value out."""
    kept = {key: value for key, value in document["properties"].items() if key != "value"}
    return {**document, "properties": kept}


def _deleted(state: ArmState, name: str) -> bool:
    return any(one.name.lower() == name.lower() for one in state.of(DELETED))


def _purge(state: ArmState, stored: Stored, body: Any) -> Callable[[], None]:
    return lambda: state.remove(stored.resource_id)


def _model(name: str) -> Callable[[], type]:
    def load() -> type:
        from azure.mgmt.keyvault import models  # noqa: PLC0415 - heavy

        found: type = getattr(models, name)
        return found

    return load
