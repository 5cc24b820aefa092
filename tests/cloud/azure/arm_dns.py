"""DNS zones of the management plane, and Front Door's domains, which are proven by a record."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from tests.cloud.azure.arm_front_door import PROFILES, routes_to
from tests.cloud.azure.arm_state import ArmState, Stored, parent_of
from tests.cloud.azure.arm_types import ArmError, ResourceType, Style, check_tags
from tests.cloud.azure.serving import Asked

ZONES = "Microsoft.Network/dnsZones"
ZONE_LIST = "/providers/microsoft.network/dnszones"
CNAMES = f"{ZONES}/CNAME"
TEXTS = f"{ZONES}/TXT"
DOMAINS = f"{PROFILES}/customDomains"

_LABEL = (
    r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}")
_TARGET = re.compile(r"[A-Za-z0-9.-]+(:\d+)?")


class DnsTypes:
    """The types. Zones are the operator's own: made by `add_zone`, never by the product."""

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(path=ZONES, model=None, name=r"[a-z0-9.-]+", taggable=False,
                         check=_refuse_zone),
            *(ResourceType(path=path, model=None, name=_LABEL, taggable=False,
                           required=("properties.TTL",), check=_check_record, filled=_fill_record,
                           keeps_state=False)
              for path in (CNAMES, TEXTS)),
            ResourceType(
                path=DOMAINS, model=_domain_model, taggable=False,
                required=("properties.hostName",), style=Style.ASYNC, check=_check_domain,
                filled=_fill_domain, busy=_domain_busy,
            ),
        ]  # fmt: skip


def add_zone(state: ArmState, name: str, group: str = "operators-own") -> str:
    """A zone of the operator's, in a group of the operator's."""
    group_id = f"/subscriptions/{state.subscription_id}/resourceGroups/{group}"
    zone_id = f"{group_id}/providers/{ZONES}/{name}"
    for resource_id, kind in ((group_id, "Microsoft.Resources/resourceGroups"), (zone_id, ZONES)):
        document = {"id": resource_id, "name": resource_id.rpartition("/")[2], "type": kind,
                    "location": "global", "properties": {}}  # fmt: skip
        state.resources[resource_id.lower()] = Stored(
            resource_id=resource_id, kind=kind, document=document
        )
    return zone_id


def zones(state: ArmState) -> Callable[[Asked], list[dict[str, Any]]]:
    return lambda _asked: [one.document for one in state.of(ZONES)]


def _refuse_zone(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    raise ArmError(403, "RequestDisallowedByPolicy", "Zones are the operator's own.")


def _check_record(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    properties = body["properties"]
    kind, label = resource_id.split("/")[-2:]
    part = "CNAMERecord" if kind.upper() == "CNAME" else "TXTRecords"
    unknown = (set(body) - {"properties", "etag"}) | (set(properties) - {"TTL", "metadata", part})
    if unknown or not properties.get(part):
        raise ArmError(400, "BadRequest", f"unknown {sorted(unknown)}, or no {part}")
    if not 1 <= properties["TTL"] <= 2147483647:
        raise ArmError(400, "BadRequest", "The TTL is wrong.")
    check_tags(properties.get("metadata"))
    if part == "CNAMERecord" and not _TARGET.fullmatch(properties[part]["cname"]):
        raise ArmError(400, "BadRequest", "That is no name to lead to.")
    beside = [one for one in state.of(CNAMES if part == "TXTRecords" else TEXTS)
              if one.name.lower() == label.lower()]  # fmt: skip
    if beside:
        raise ArmError(400, "BadRequest", "A CNAME record has its name for itself.")


def _fill_record(state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
    document["etag"] = uuid.uuid4().hex
    zone = parent_of(resource_id).rpartition("/")[2]
    document["properties"]["fqdn"] = f"{document['name']}.{zone}."
    for domain in state.of(DOMAINS):
        _prove(state, domain.document)


def _check_domain(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    host = body["properties"]["hostName"]
    if not _HOST.fullmatch(host):
        raise ArmError(400, "BadRequest", f"{host} is no domain.")
    if before is not None and before.properties["hostName"] != host:
        raise ArmError(400, "BadRequest", "A domain cannot be renamed.")
    others = [one for one in state.of(DOMAINS)
              if one.resource_id.lower() != resource_id.lower()]  # fmt: skip
    if any(one.properties["hostName"] == host for one in others):
        raise ArmError(409, "Conflict", f"{host} is another profile's.")


def _fill_domain(state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
    document["properties"].update(
        domainValidationState="Pending",
        validationProperties={"validationToken": uuid.uuid4().hex},
        deploymentStatus="NotStarted",
    )
    _prove(state, document)


def _prove(state: ArmState, document: dict[str, Any]) -> None:
    """The record says what was asked for: whoever wrote it has the name."""
    properties = document["properties"]
    token = (properties.get("validationProperties") or {}).get("validationToken")
    wanted = f"_dnsauth.{properties['hostName']}."
    for one in state.of(TEXTS):
        said = ["".join(row["value"]) for row in one.properties["TXTRecords"]]
        if one.properties.get("fqdn") == wanted and token in said:
            properties["domainValidationState"] = "Approved"


def _domain_busy(state: ArmState, stored: Stored) -> str | None:
    return "A route has the domain." if routes_to(state, stored.resource_id) else None


def _domain_model() -> type:
    from azure.mgmt.cdn.models import AFDDomain  # noqa: PLC0415 - heavy

    return AFDDomain
