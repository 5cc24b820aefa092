"""Route 53: zones of one account, strict records, changes that spread over polls."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from werkzeug.wrappers import Response

from tests.cloud.aws.wire import Call, RefusedError, answer, read_values

CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"
_AT = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)


@dataclass(kw_only=True)
class Zone:
    """A hosted zone; records by name (with a dot at its end) and type."""

    zone_id: str
    name: str
    is_private: bool = False
    records: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


class Route53:
    """The service of one account."""

    def __init__(self) -> None:
        self.zones: dict[str, Zone] = {}
        self._looks: dict[str, int] = {}

    def answer(self, call: Call) -> Response | None:
        handler = getattr(self, f"on_{call.operation}", None)
        if handler is None:
            raise RefusedError("InvalidAction", f"the stand-in has no {call.operation}")
        return answer(call, handler(read_values(call)))

    def after(self, call: Call, response: Response) -> None:
        """Nothing goes to moto."""

    def empty(self) -> None:
        self.zones.clear()
        self._looks.clear()

    def add_zone(self, name: str, *, is_private: bool = False) -> Zone:
        zone = Zone(zone_id=f"Z{len(self.zones):012d}", name=f"{name}.", is_private=is_private)
        self.zones[zone.zone_id] = zone
        return zone

    def on_ListHostedZonesByName(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """From that name on, as the real one does: others follow the wanted zone."""
        names = sorted(self.zones.values(), key=lambda one: (one.name, not one.is_private))
        shown = [one for one in names if one.name >= values.get("DNSName", "")]
        return {
            "HostedZones": [
                {
                    "Id": f"/hostedzone/{one.zone_id}", "Name": one.name, "CallerReference": "x",
                    "Config": {"PrivateZone": one.is_private},
                }
                for one in shown
            ],
            "IsTruncated": False, "MaxItems": "100",
        }  # fmt: skip

    def on_ListResourceRecordSets(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        zone = self._zone(values["HostedZoneId"])
        start = (_dotted(values.get("StartRecordName", "")), values.get("StartRecordType", ""))
        found = [one for key, one in sorted(zone.records.items()) if key >= start]
        most = int(values.get("MaxItems", 300))
        return {
            "ResourceRecordSets": found[:most], "IsTruncated": len(found) > most,
            "MaxItems": str(most),
        }  # fmt: skip

    def on_ChangeResourceRecordSets(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        zone = self._zone(values["HostedZoneId"])
        changes = values["ChangeBatch"]["Changes"]
        for one in changes:
            _check(zone, one["Action"], one["ResourceRecordSet"])
        for one in changes:
            record = {**one["ResourceRecordSet"], "Name": _dotted(one["ResourceRecordSet"]["Name"])}
            key = (record["Name"], record["Type"])
            if one["Action"] == "DELETE":
                del zone.records[key]
            else:
                zone.records[key] = record
        change_id = f"/change/C{len(self._looks):013d}"
        self._looks[change_id] = 0
        return {"ChangeInfo": self._change(change_id)}

    def on_GetChange(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        change_id = f"/change/{values['Id'].rpartition('/')[2]}"
        if change_id not in self._looks:
            raise RefusedError("NoSuchChange", change_id, 404)
        self._looks[change_id] += 1
        return {"ChangeInfo": self._change(change_id)}

    def _change(self, change_id: str) -> dict[str, Any]:
        status = "INSYNC" if self._looks[change_id] > 1 else "PENDING"
        return {"Id": change_id, "Status": status, "SubmittedAt": _AT}

    def _zone(self, zone_id: str) -> Zone:
        plain = zone_id.rpartition("/")[2]
        if plain not in self.zones:
            raise RefusedError("NoSuchHostedZone", zone_id, 404)
        return self.zones[plain]


def _check(zone: Zone, action: str, record: dict[str, Any]) -> None:
    name, kind = _dotted(record["Name"]), record["Type"]
    known = zone.records.get((name, kind))
    if not name.endswith(f".{zone.name}"):
        raise RefusedError("InvalidChangeBatch", f"{name} is not in {zone.name}")
    if action == "DELETE" and (known is None or {**record, "Name": name} != known):
        raise RefusedError("InvalidChangeBatch", f"{name} {kind} but it was not found")
    if action == "CREATE" and known is not None:
        raise RefusedError("InvalidChangeBatch", f"{name} {kind} but it already exists")
    alias = record.get("AliasTarget")
    if (alias is None) != ("TTL" in record and bool(record.get("ResourceRecords"))):
        raise RefusedError("InvalidInput", "a record has values with a TTL, or an alias")
    if alias is not None and alias["HostedZoneId"] != CLOUDFRONT_ZONE:
        raise RefusedError("InvalidChangeBatch", "that zone has no such target")


def _dotted(name: str) -> str:
    return name if not name or name.endswith(".") else f"{name}."
