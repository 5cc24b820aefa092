"""Storage accounts of the management plane: key-less ones, with a static website each."""

from __future__ import annotations

from typing import Any, Protocol

from tests.cloud.azure.arm_state import ArmState, Stored
from tests.cloud.azure.arm_types import ArmError, ResourceType, Style

ACCOUNTS = "Microsoft.Storage/storageAccounts"
BLOB_SERVICES = "Microsoft.Storage/storageAccounts/blobServices"


class Blobs(Protocol):
    """The data plane of all accounts."""

    def open_account(self, name: str) -> str:
        """Make the account's blobs reachable, again if they are; their URL."""

    def close_account(self, name: str) -> None: ...

    def make_web_container(self, name: str) -> None: ...


class Websites(Protocol):
    """The web endpoints of all accounts."""

    def open_site(self, name: str) -> str: ...

    def close_site(self, name: str) -> None: ...


class StorageTypes:
    """The two types; `management_websites` off is a plane that drops static websites silently."""

    def __init__(self, blobs: Blobs, websites: Websites) -> None:
        self.management_websites = True
        self._blobs = blobs
        self._websites = websites
        self._sites: dict[str, dict[str, Any]] = {}

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(
                path=ACCOUNTS, model=_account_model, name=r"[a-z0-9]{3,24}", longest=24,
                required=("location", "kind", "sku.name"), style=Style.LOCATION,
                check=self._check_account, filled=self._fill_account,
                removed=self._remove_account, actions={"listKeys": self._list_keys},
            ),
            ResourceType(
                path=BLOB_SERVICES, model=_service_model, name="default", taggable=False,
                check=self._check_service, filled=self._fill_service, keeps_state=False,
            ),
        ]  # fmt: skip

    def website(self, account_name: str) -> dict[str, Any]:
        """The account's static website, whichever plane switched it on."""
        return self._sites.setdefault(account_name, {"enabled": False})

    def _check_account(
        self, state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
    ) -> None:
        name = resource_id.rpartition("/")[2]
        if before is None and state.is_taken(name, ACCOUNTS):
            raise ArmError(409, "StorageAccountAlreadyTaken", f"The name {name} is taken.")
        if body["kind"] != "StorageV2":
            raise ArmError(400, "FeatureNotSupported", "Static websites need StorageV2.")
        wanted: dict[str, Any] = {
            "allowSharedKeyAccess": False, "allowBlobPublicAccess": False,
            "minimumTlsVersion": "TLS1_2", "supportsHttpsTrafficOnly": True,
        }  # fmt: skip
        properties = body.get("properties", {})
        wrong = sorted(key for key, value in wanted.items() if properties.get(key) != value)
        if wrong:
            raise ArmError(403, "RequestDisallowedByPolicy", f"Not allowed: {wrong}.")
        if before is not None and before.document["location"] != body["location"]:
            raise ArmError(409, "InvalidResourceLocation", f"{name} is elsewhere.")

    def _fill_account(self, state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        name = resource_id.rpartition("/")[2]
        document["properties"]["primaryEndpoints"] = {
            "blob": f"{self._blobs.open_account(name)}/",
            "web": f"{self._websites.open_site(name)}/",
        }
        service_id = f"{resource_id}/blobServices/default"
        if state.get(service_id) is None:
            state.resources[service_id.lower()] = Stored(
                resource_id=service_id, kind=BLOB_SERVICES,
                document={"id": service_id, "name": "default", "type": BLOB_SERVICES,
                          "properties": {}},
            )  # fmt: skip

    def _remove_account(self, state: ArmState, stored: Stored) -> None:
        self._blobs.close_account(stored.name)
        self._websites.close_site(stored.name)
        self._sites.pop(stored.name, None)

    def _list_keys(self, state: ArmState, stored: Stored, body: Any) -> Any:
        raise ArmError(
            403, "KeyBasedAuthenticationNotPermitted", "Shared keys are off on this account."
        )

    def _check_service(
        self, state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
    ) -> None:
        wanted = body.setdefault("properties", {}).pop("staticWebsite", None)
        if wanted is not None and self.management_websites:
            self._sites[resource_id.split("/")[8]] = dict(wanted)

    def _fill_service(self, state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        account = resource_id.split("/")[8]
        website = self.website(account)
        if self.management_websites:
            document["properties"]["staticWebsite"] = dict(website)
        if website["enabled"]:
            self._blobs.make_web_container(account)


def _account_model() -> type:
    from azure.mgmt.storage.models import StorageAccountCreateParameters  # noqa: PLC0415 - heavy

    return StorageAccountCreateParameters


def _service_model() -> type:
    from azure.mgmt.storage.models import BlobServiceProperties  # noqa: PLC0415 - heavy

    return BlobServiceProperties
