"""A site's own name in the operator's zone: its records in Route 53 and its certificate.

Records have no tags: each is recorded before it is written, and the name ends with a piece of the
session's hash, so what lies there unrecorded is somebody else's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.cloud.aws_errors import error_code
from core.cloud.retrying import Patience, awaited
from core.errors import CloudRefusedError
from core.hosts.aws.certificate import (
    CERTIFICATE,
    Proof,
    await_issued,
    ensure_certificate,
    proof_of,
)
from core.hosts.aws.site import AwsSite

RECORD = "route53_record"
CLOUDFRONT_ZONE = {"aws": "Z2FDTNDATAQYW2", "aws-cn": "Z3RFFRIM2A3IF5"}
"""The zone that CloudFront's own names are in, by AWS's documentation of alias targets."""
ADDRESSES = ("A", "AAAA")
PROOF_TTL_S = 300
SPREADS = Patience(deadline_s=300.0, interval_s=2.0, longest_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteDomain:
    """A name that a distribution can answer to."""

    name: str
    zone_id: str
    certificate_arn: str

    @property
    def url(self) -> str:
        return f"https://{self.name}"


def domain_name(label: str, zone: str | None) -> str | None:
    """The site's name in the zone; None where no zone is set.

    Args:
        label: The session's own name, 63 characters at most.
    """
    return None if zone is None else f"{label}.{zone.strip('.').lower()}"


def nominal_domain(name: str | None) -> SiteDomain | None:
    """The name without ids, for the digest of a desired configuration."""
    return None if name is None else SiteDomain(name=name, zone_id="", certificate_arn="")


def ensure_domain(site: AwsSite, zone: str) -> SiteDomain:
    """The name with an issued certificate. Its addresses come when the distribution knows it.

    Raises:
        CloudRefusedError: There is no such zone in this account, or the name is taken in it.
    """
    name = f"{site.names.name()}.{zone.strip('.').lower()}"
    zone_id = find_zone(site, zone)
    _require_free(site, zone_id, name)
    # The certificate has no name of ours before it is made: these say that there may be one.
    for kind in ADDRESSES:
        site.made(RECORD, _id(zone_id, name, kind), {})
    arn = ensure_certificate(site, name)
    proof = proof_of(site, arn)
    _put(site, zone_id, [_proof_record(proof)])
    await_issued(site, arn)
    return SiteDomain(name=name, zone_id=zone_id, certificate_arn=arn)


def lead_domain(site: AwsSite, domain: SiteDomain, distribution_domain: str) -> None:
    """Let the name lead to the distribution, and return when Route 53 answers so everywhere."""
    target = {
        "HostedZoneId": CLOUDFRONT_ZONE[site.account.partition()],
        "DNSName": distribution_domain, "EvaluateTargetHealth": False,
    }  # fmt: skip
    records = [
        {"Name": domain.name, "Type": kind, "AliasTarget": target} for kind in ADDRESSES
    ]  # fmt: skip
    change_id = _put(site, domain.zone_id, records)

    def is_spread() -> bool | None:
        with site.doing(f"look at the records of {domain.name}"):
            found = site.client("route53").get_change(Id=change_id)["ChangeInfo"]
        return True if found["Status"] == "INSYNC" else None

    awaited(
        is_spread, what=f"The records of {domain.name} are spread",
        remedy="Route 53 goes on by itself; run the same command again.",
        patience=SPREADS, clock=site.clock, cancelled=site.cancelled,
    )  # fmt: skip


def recorded_domain(site: AwsSite, zone: str | None) -> SiteDomain | None:
    """The site's own name by the records; None where it has none."""
    name = domain_name(site.names.name(), zone)
    zones = [
        one.partition("/")[0] for one in site.recorded(RECORD) if one.split("/")[1:] == [name, "A"]
    ]
    certificates = site.recorded(CERTIFICATE)
    if name is None or not zones or not certificates:
        return None
    return SiteDomain(name=name, zone_id=zones[0], certificate_arn=certificates[0])


def find_zone(site: AwsSite, zone: str) -> str:
    """The id of the public zone of that name in this account.

    Raises:
        CloudRefusedError: There is none.
    """
    wanted = f"{zone.strip('.').lower()}."
    with site.doing(f"look for the zone {zone}"):
        found = site.client("route53").list_hosted_zones_by_name(DNSName=wanted)["HostedZones"]
    for one in found:
        if one["Name"] == wanted and not one.get("Config", {}).get("PrivateZone"):
            return str(one["Id"]).rpartition("/")[2]
    raise CloudRefusedError(
        f"The account {site.account_id} has no public zone {zone} in Route 53.",
        remedy="Make the zone there, or take it away with tmux-builder config unset domain.zone.",
        code="no_zone",
    )


def own_records(site: AwsSite) -> list[str]:
    """The recorded ones, those that lead to a distribution before those that prove a name."""
    return sorted(site.recorded(RECORD), key=lambda one: one.endswith("/CNAME"))


def record_in_zone(site: AwsSite, resource_id: str) -> dict[str, Any] | None:
    """What the zone has under a recorded id; None where it has nothing."""
    zone_id, name, kind = resource_id.split("/")
    with site.doing(f"look at the record {name}"):
        try:
            found = site.client("route53").list_resource_record_sets(
                HostedZoneId=zone_id, StartRecordName=name, StartRecordType=kind, MaxItems="1"
            )["ResourceRecordSets"]
        except Exception as error:
            if error_code(error) != "NoSuchHostedZone":
                raise
            return None
    is_it = found and found[0]["Type"] == kind and _plain(found[0]["Name"]) == _plain(name)
    return dict(found[0]) if is_it else None


def remove_record(site: AwsSite, resource_id: str) -> None:
    """Delete what the zone has under that id; missing is fine."""
    found = record_in_zone(site, resource_id)
    if found is None:
        return
    zone_id = resource_id.partition("/")[0]
    with site.doing(f"delete the record {found['Name']}"):
        try:
            _change(site, zone_id, "DELETE", [found])
        except Exception as error:
            if error_code(error) != "InvalidChangeBatch" or "not found" not in str(error):
                raise


def _require_free(site: AwsSite, zone_id: str, name: str) -> None:
    for kind in ADDRESSES:
        resource_id = _id(zone_id, name, kind)
        if resource_id in site.recorded(RECORD) or record_in_zone(site, resource_id) is None:
            continue
        raise CloudRefusedError(
            f"The zone has a record {name} that this installation has not made.",
            remedy="Deploy with --suffix and a word of your own, which makes another name.",
            code="name_taken",
        )


def _put(site: AwsSite, zone_id: str, records: list[dict[str, Any]]) -> str:
    """Write records, whatever was there; the id of the change."""
    for one in records:
        site.made(RECORD, _id(zone_id, one["Name"], one["Type"]), {})
    with site.doing(f"write the record {records[0]['Name']}"):
        return _change(site, zone_id, "UPSERT", records)


def _change(site: AwsSite, zone_id: str, action: str, records: list[dict[str, Any]]) -> str:
    answer = site.client("route53").change_resource_record_sets(
        HostedZoneId=zone_id,
        ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": one} for one in records]},
    )
    return str(answer["ChangeInfo"]["Id"])


def _proof_record(proof: Proof) -> dict[str, Any]:
    return {
        "Name": proof.name, "Type": "CNAME", "TTL": PROOF_TTL_S,
        "ResourceRecords": [{"Value": proof.value}],
    }  # fmt: skip


def _id(zone_id: str, name: str, kind: str) -> str:
    """A record's only lasting key: zone, name and type."""
    return f"{zone_id}/{_plain(name)}/{kind}"


def _plain(name: str) -> str:
    return name.rstrip(".").lower()
