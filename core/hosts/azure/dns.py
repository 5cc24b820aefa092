"""Records of a session in an Azure DNS zone of the operator's; they have metadata instead of tags.

The zone itself is the operator's and is never made, changed or deleted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.cloud.azure_errors import azure_errors, http_status
from core.errors import CloudRefusedError
from core.hosts.azure.site import AzureSite, refuse_foreign
from core.hosts.azure.vm_names import RECORD

TTL_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Where a zone's records are."""

    group: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of the session.

    Attributes:
        kind: `CNAME` or `TXT`.
        label: Its name within the zone.
        value: What it says.
    """

    kind: str
    label: str
    value: str


def find_zone(site: AzureSite, name: str) -> Zone:
    """The zone of that name in the subscription.

    Raises:
        CloudRefusedError: There is none (code `no_zone`), or more than one.
    """
    zones = site.client("dns").zones
    listed = site.asked("look for DNS zones", lambda: list(zones.list()))
    fitting = [one for one in listed if str(one.name).casefold() == name.casefold()]
    if len(fitting) != 1:
        raise CloudRefusedError(
            f"The subscription has {len(fitting) or 'no'} public DNS zones called {name}.",
            remedy="Make the zone in Azure DNS, or take the name away: tmux-builder config unset"
            " domain.zone.",
            code="no_zone",
        )
    return Zone(group=_group_of(str(fitting[0].id)), name=str(fitting[0].name))


def record_id(zone: Zone, kind: str, label: str) -> str:
    """How a record is recorded."""
    return f"{zone.group}/{zone.name}/{kind}/{label}"


def ensure_record(site: AzureSite, zone: Zone, record: Record) -> None:
    """The record says this and nothing else.

    Raises:
        CloudRefusedError: Somebody else has a record of that name.
    """
    site.leave_if_cancelled()
    what = f"the {record.kind} record {record.label}.{zone.name}"
    found = _found(site, zone, record.kind, record.label)
    metadata: Mapping[str, str] = site.tags if found is None else found.metadata or {}
    if not site.names.config.owns(metadata):
        raise refuse_foreign(what, site.names.config.key.session_id)
    recorded_as = record_id(zone, record.kind, record.label)
    if found is None or said(found) != record.value:
        site.intends(RECORD, recorded_as, metadata)
        _write(site, zone, record, metadata, found)
    site.made(RECORD, recorded_as, metadata)


def _write(
    site: AzureSite, zone: Zone, record: Record, metadata: Mapping[str, str], found: Any
) -> None:
    """Only if nobody has written meanwhile, unless that was the try before, unheard of."""
    calls = site.client("dns").record_sets
    only_if = {"if_none_match": "*"} if found is None else {"if_match": str(found.etag)}
    place = (zone.group, zone.name, record.label, record.kind, _body(record, metadata))
    try:
        site.asked(
            f"write the {record.kind} record {record.label}.{zone.name}",
            lambda: calls.create_or_update(*place, **only_if),
        )
    except CloudRefusedError as error:
        if error.__cause__ is None or http_status(error.__cause__) != 412:
            raise
        now = _found(site, zone, record.kind, record.label)
        is_ours = now is not None and site.names.config.owns(now.metadata or {})
        if not is_ours or said(now) != record.value:
            raise


def remove_record(site: AzureSite, resource_id: str) -> bool:
    """Delete a recorded record if it is still the session's; whether there was one."""
    group, name, kind, label = resource_id.split("/")
    zone = Zone(group=group, name=name)
    found = _found(site, zone, kind, label)
    if found is None or not site.names.config.owns(found.metadata or {}):
        return False
    calls = site.client("dns").record_sets
    site.asked(
        f"delete the {kind} record {label}.{name}", lambda: calls.delete(group, name, label, kind)
    )
    return True


def value_of(site: AzureSite, zone: Zone, kind: str, label: str) -> str | None:
    """What the record says, None where there is none."""
    found = _found(site, zone, kind, label)
    return None if found is None else said(found)


def said(found: Any) -> str:
    """What an SDK record set of ours says."""
    if found.cname_record is not None:
        return str(found.cname_record.cname).rstrip(".")
    return "".join(part for one in found.txt_records or [] for part in one.value or [])


def _found(site: AzureSite, zone: Zone, kind: str, label: str) -> Any:
    calls = site.client("dns").record_sets
    act = f"look for the {kind} record {label}.{zone.name}"
    with azure_errors(act, site.subscription.name):
        try:
            return calls.get(zone.group, zone.name, label, kind)
        except Exception as error:
            if http_status(error) == 404:
                return None
            raise


def _body(record: Record, metadata: Mapping[str, str]) -> Any:
    from azure.mgmt.dns.models import (  # noqa: PLC0415 - heavy, on use only
        CnameRecord,
        RecordSet,
        TxtRecord,
    )

    body = RecordSet(ttl=TTL_S, metadata=dict(metadata))
    if record.kind == "CNAME":
        body.cname_record = CnameRecord(cname=record.value)
    else:
        body.txt_records = [TxtRecord(value=[record.value])]
    return body


def _group_of(resource_id: str) -> str:
    return resource_id.split("/")[4]
