"""Containers of the management plane: private ones, made beside an account's website."""

from __future__ import annotations

from typing import Any, Protocol

from tests.cloud.azure.arm_state import ArmState, Stored
from tests.cloud.azure.arm_storage import BLOB_SERVICES
from tests.cloud.azure.arm_types import ArmError, ResourceType

CONTAINERS = f"{BLOB_SERVICES}/containers"


class Blobs(Protocol):
    """The data plane of all accounts."""

    def make_container(self, name: str, container_name: str) -> None: ...


def container_type(blobs: Blobs) -> ResourceType:
    def fill(state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        parts = resource_id.split("/")
        blobs.make_container(parts[8], parts[-1])

    return ResourceType(
        path=CONTAINERS, model=_model, name=r"[a-z0-9](-?[a-z0-9])+", longest=63, taggable=False,
        check=_check, filled=fill, keeps_state=False,
    )  # fmt: skip


def _check(state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None) -> None:
    if (body.get("properties") or {}).get("publicAccess") != "None":
        raise ArmError(409, "PublicAccessNotPermitted", "The account has no public blobs.")


def _model() -> type:
    from azure.mgmt.storage.models import BlobContainer  # noqa: PLC0415 - heavy

    return BlobContainer
