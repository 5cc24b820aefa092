"""Machines of the management plane: sizes, machines with their disks, and managed run commands."""

from __future__ import annotations

import base64
import binascii
import re
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from tests.cloud.azure.arm_network import INTERFACES
from tests.cloud.azure.arm_state import ArmState, Stored, parent_of
from tests.cloud.azure.arm_types import ArmError, ResourceType, Style
from tests.cloud.azure.serving import Asked
from tests.cloud.azure.tokens import TENANT

MACHINES = "Microsoft.Compute/virtualMachines"
COMMANDS = f"{MACHINES}/runCommands"
DISKS = "Microsoft.Compute/disks"
SKUS = "/providers/microsoft.compute/skus"
MOST_COMMANDS = 25
OUTPUT_BYTES = 4096
SIZES = ("Standard_B2ats_v2", "Standard_B2ts_v2", "Standard_B2als_v2", "Standard_D2s_v5")
ENCRYPTION_REFUSED = (
    "The property 'securityProfile.encryptionAtHost' is not valid because the"
    " 'Microsoft.Compute/EncryptionAtHost' feature is not enabled for this subscription."
)

_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?"
_IMAGE = {
    "publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest",
}  # fmt: skip
_LOCATION = re.compile(r"location eq '([a-z0-9]+)'")
_KEY = re.compile(r"(ssh-rsa|ssh-ed25519) ([A-Za-z0-9+/=]{60,})( \S+)?")
_RUNNING, _STOPPED = "PowerState/running", "PowerState/deallocated"


class Computers(Protocol):
    """What stands for the machines themselves."""

    def boot(self, machine_id: str, principal: str) -> None:
        """Start it, or tell a running one who it is."""

    def stop(self, machine_id: str) -> None: ...

    def remove(self, machine_id: str) -> None: ...

    def execute(self, machine_id: str, script: str, timeout_s: float) -> tuple[str, int, str]:
        """(execution state, exit code, what it printed) of a script."""


class ComputeTypes:
    """The types, and what a subscription may have.

    Attributes:
        short: Sizes that are listed, and that there is no room for when a machine is to be made.
        barred: Sizes that this subscription may not have in the location.
        has_host_encryption: Whether the subscription is registered for it.
    """

    def __init__(self, computers: Computers, principals: set[str], *, waits: bool = True) -> None:
        self.short: set[str] = set()
        self.barred: set[str] = set()
        self.has_host_encryption = True
        self.shows_late: dict[str, Any] | None = None
        """An older view that the next look at the same command gets instead of its own."""
        self._computers = computers
        self._principals = principals
        self._waits = waits

    def reset(self) -> None:
        self.short, self.barred, self.has_host_encryption = set(), set(), True
        self.shows_late = None

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(
                path=MACHINES, model=_model("VirtualMachine"), name=_NAME, longest=64,
                required=("location", "identity.type", "properties.hardwareProfile.vmSize",
                          "properties.storageProfile.imageReference",
                          "properties.networkProfile.networkInterfaces"),
                style=Style.ASYNC, check=self._check_machine, filled=self._fill_machine,
                removed=self._remove_machine, actions={"start": self._start},
                views={"instanceView": _instance_view},
            ),
            ResourceType(path=DISKS, model=_model("Disk"), name=_NAME, longest=80),
            ResourceType(
                path=COMMANDS, model=_model("VirtualMachineRunCommand"), name=_NAME, longest=80,
                required=("location", "properties.source.script", "properties.timeoutInSeconds"),
                style=Style.ASYNC, check=_check_command, begun=self._begin_command,
                shown=self._shown,
            ),
        ]  # fmt: skip

    def skus(self, asked: Asked) -> list[dict[str, Any]]:
        """The sizes on offer in a location."""
        match = _LOCATION.fullmatch(asked.query.get("$filter", ""))
        if match is None:
            raise ArmError(400, "InvalidFilter", "Only a location is supported.")
        return [self._sku(name, match[1]) for name in (*SIZES, "Aligned")]

    def turn_off(self, state: ArmState, machine: Stored) -> None:
        """As somebody would in the portal."""
        machine.document["powerState"] = _STOPPED
        self._computers.stop(machine.resource_id)

    def _sku(self, name: str, location: str) -> dict[str, Any]:
        barred = {"type": "Location", "values": [location],
                  "reasonCode": "NotAvailableForSubscription"}  # fmt: skip
        capabilities = {
            "HyperVGenerations": "V1,V2", "EncryptionAtHostSupported": "True", "vCPUs": "2",
        }  # fmt: skip
        return {
            "resourceType": "disks" if name == "Aligned" else "virtualMachines",
            "name": name, "locations": [location],
            "capabilities": [{"name": key, "value": value} for key, value in capabilities.items()],
            "restrictions": [barred] if name in self.barred else [],
        }  # fmt: skip

    def _check_machine(
        self, state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
    ) -> None:
        if before is not None:
            _check_change(body, before)
            return
        properties = body["properties"]
        size = properties["hardwareProfile"]["vmSize"]
        if size not in SIZES or size in self.barred:
            raise ArmError(409, "SkuNotAvailable", f"{size} is not available.")
        _check_image(properties["storageProfile"])
        _check_system(properties["osProfile"])
        _check_interfaces(state, body)
        self._check_security(properties.get("securityProfile") or {})
        if body["identity"]["type"] != "SystemAssigned":
            raise ArmError(403, "RequestDisallowedByPolicy", "A machine has an identity.")

    def _check_security(self, security: dict[str, Any]) -> None:
        firmware = security.get("uefiSettings") or {}
        is_trusted = security.get("securityType") == "TrustedLaunch" and all(
            firmware.get(name) is True for name in ("secureBootEnabled", "vTpmEnabled")
        )
        if not is_trusted:
            raise ArmError(403, "RequestDisallowedByPolicy", "Machines launch trusted.")
        if security.get("encryptionAtHost") and not self.has_host_encryption:
            raise ArmError(400, "InvalidParameter", ENCRYPTION_REFUSED)

    def _fill_machine(self, state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        properties = document["properties"]
        if "vmId" in properties:
            self._identify(resource_id, document)
            return
        if properties["hardwareProfile"]["vmSize"] in self.short:
            raise ArmError(409, "AllocationFailed", "There is not enough room for the machine.")
        properties["vmId"] = str(uuid.uuid4())
        properties["osProfile"].pop("customData", None)
        self._attach(state, resource_id, document)
        document["powerState"] = _RUNNING
        self._identify(resource_id, document)

    def _identify(self, resource_id: str, document: dict[str, Any]) -> None:
        if document["identity"]["type"] == "SystemAssigned":
            principal = document["identity"].setdefault("principalId", str(uuid.uuid4()))
            document["identity"]["tenantId"] = TENANT
            self._principals.add(principal)
            self._computers.boot(resource_id, principal)

    def _attach(self, state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        """The disk that Azure makes itself has no tags; the interface knows its machine."""
        disk = document["properties"]["storageProfile"]["osDisk"]
        group = resource_id.partition("/providers/")[0]
        disk_id = f"{group}/providers/{DISKS}/{disk['name']}"
        disk["managedDisk"]["id"] = disk_id
        state.resources[disk_id.lower()] = Stored(
            resource_id=disk_id, kind=DISKS,
            document={"id": disk_id, "name": disk["name"], "type": DISKS,
                      "location": document["location"], "managedBy": resource_id,
                      "properties": {"provisioningState": "Succeeded"}},
        )  # fmt: skip
        for one in document["properties"]["networkProfile"]["networkInterfaces"]:
            state.needed(one["id"]).properties["virtualMachine"] = {"id": resource_id}

    def _remove_machine(self, state: ArmState, stored: Stored) -> None:
        """What has the delete option goes with it; what has none is left."""
        self._computers.remove(stored.resource_id)
        disk = stored.properties["storageProfile"]["osDisk"]
        if disk.get("deleteOption") == "Delete":
            state.resources.pop(str(disk["managedDisk"].get("id", "")).lower(), None)
        for one in stored.properties["networkProfile"]["networkInterfaces"]:
            interface = state.get(one["id"])
            if interface is None:
                continue
            interface.properties.pop("virtualMachine", None)
            if (one.get("properties") or {}).get("deleteOption") == "Delete":
                state.resources.pop(one["id"].lower(), None)

    def _start(self, state: ArmState, stored: Stored, body: Any) -> Callable[[], None]:
        def begin() -> None:
            stored.document["powerState"] = _RUNNING
            self._computers.boot(stored.resource_id, stored.document["identity"]["principalId"])

        return begin

    def _shown(self, document: dict[str, Any], query: Any) -> dict[str, Any]:
        """What the machine said is shown to those who ask for it, and sometimes a little late."""
        shown = _without_view(document, query)
        now, late = shown["properties"].get("instanceView"), self.shows_late
        if now is None or late is None or document["name"] != late["name"] or now == late["view"]:
            return shown
        self.shows_late = None
        return {**shown, "properties": {**shown["properties"], "instanceView": late["view"]}}

    def _begin_command(self, state: ArmState, stored: Stored) -> Callable[[], None] | None:
        """The script runs while its operation goes on."""
        properties = stored.properties
        machine_id = parent_of(stored.resource_id)

        began = datetime.now(UTC).isoformat()

        def work() -> None:
            ended, code, printed = self._computers.execute(
                machine_id, properties["source"]["script"], properties["timeoutInSeconds"]
            )
            properties["instanceView"] = {
                "executionState": ended, "exitCode": code, "output": printed[-OUTPUT_BYTES:],
                "startTime": began, "endTime": datetime.now(UTC).isoformat(),
            }  # fmt: skip

        if not self._waits:
            work()
            return None
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread.join


def _check_change(body: dict[str, Any], before: Stored) -> None:
    """Azure refuses to change what a machine was made with."""
    for part in ("osProfile", "storageProfile"):
        if body["properties"].get(part) != before.properties.get(part):
            raise ArmError(409, "PropertyChangeNotAllowed", f"{part} cannot be changed.")
    body["properties"]["vmId"] = before.properties.get("vmId")
    body["powerState"] = before.document.get("powerState", _RUNNING)
    if "principalId" in (before.document.get("identity") or {}):
        body["identity"]["principalId"] = before.document["identity"]["principalId"]


def _check_image(storage: dict[str, Any]) -> None:
    disk = storage["osDisk"]
    if storage["imageReference"] != _IMAGE:
        raise ArmError(404, "ImageNotFound", str(storage["imageReference"]))
    if disk.get("createOption") != "FromImage" or disk.get("deleteOption") != "Delete":
        raise ArmError(403, "RequestDisallowedByPolicy", "Disks go with their machines.")


def _check_system(system: dict[str, Any]) -> None:
    """Key-only, with a script for the first start that is small enough."""
    linux, admin = system.get("linuxConfiguration") or {}, system["adminUsername"]
    if linux.get("disablePasswordAuthentication") is not True or "adminPassword" in system:
        raise ArmError(403, "RequestDisallowedByPolicy", "Passwords are not allowed.")
    if admin in ("admin", "root", "administrator", "user", "test"):
        raise ArmError(400, "InvalidParameter", f"{admin} is not allowed.")
    keys = (linux.get("ssh") or {}).get("publicKeys") or []
    if not keys or any(
        one["path"] != f"/home/{admin}/.ssh/authorized_keys"
        or not _KEY.fullmatch(one["keyData"].strip())
        for one in keys
    ):
        raise ArmError(400, "InvalidParameter", "A public key is needed.")
    try:
        script = base64.b64decode(system["customData"], validate=True)
    except binascii.Error as error:
        raise ArmError(400, "InvalidParameter", "customData is no base64.") from error
    if not script.startswith(b"#!/bin/sh\n") or len(script) > 65535:
        raise ArmError(400, "InvalidParameter", "customData is no script.")


def _check_interfaces(state: ArmState, body: dict[str, Any]) -> None:
    for one in body["properties"]["networkProfile"]["networkInterfaces"]:
        interface = state.get(one["id"])
        if interface is None or interface.kind != INTERFACES:
            raise ArmError(404, "NotFound", one["id"])
        if "virtualMachine" in interface.properties:
            raise ArmError(409, "NicInUse", f"{one['id']} is another machine's.")
        if interface.document["location"] != body["location"]:
            raise ArmError(400, "InvalidResourceReference", "The interface is elsewhere.")


def _check_command(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    machine = state.needed(parent_of(resource_id))
    if machine.document.get("powerState") != _RUNNING:
        raise ArmError(409, "OperationNotAllowed", "The machine is not running.")
    others = [one for one in state.of(COMMANDS, f"{machine.resource_id}/")
              if one.resource_id.lower() != resource_id.lower()]  # fmt: skip
    if len(others) >= MOST_COMMANDS:
        raise ArmError(409, "OperationNotAllowed", f"{MOST_COMMANDS} commands are the most.")
    properties = body["properties"]
    if properties.get("asyncExecution") or not 0 < properties["timeoutInSeconds"] <= 5400:
        raise ArmError(400, "InvalidParameter", "The command's time is wrong.")
    if body["location"] != machine.document["location"]:
        raise ArmError(400, "InvalidParameter", "The command is elsewhere.")
    if before is not None and before.properties["source"] == properties["source"]:
        raise ArmError(400, "CommandWouldNotRun", "Azure runs an unchanged script no second time.")


def _without_view(document: dict[str, Any], query: Any) -> dict[str, Any]:
    """What the machine said is shown to those who ask for it."""
    if query.get("$expand") == "instanceView":
        return document
    kept = {key: value for key, value in document["properties"].items() if key != "instanceView"}
    return {**document, "properties": kept}


def _instance_view(state: ArmState, stored: Stored) -> dict[str, Any]:
    provisioned = f"ProvisioningState/{stored.properties['provisioningState'].lower()}"
    codes = [provisioned, stored.document.get("powerState", "PowerState/unknown")]
    return {"statuses": [{"code": code, "level": "Info"} for code in codes]}


def _model(name: str) -> Callable[[], type]:
    def load() -> type:
        from azure.mgmt.compute import models  # noqa: PLC0415 - heavy

        found: type = getattr(models, name)
        return found

    return load
