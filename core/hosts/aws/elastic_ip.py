"""The site's lasting public address: it outlives the instance that stands behind it."""

from __future__ import annotations

from typing import Any

from core.cloud.aws_errors import error_code
from core.hosts.aws.inventory import own_filters
from core.hosts.aws.site import AwsSite, tag_list, tag_map

ADDRESS = "elastic_ip"

_MISSING = "InvalidAllocationID.NotFound"
_LOOSE = "InvalidAssociationID.NotFound"


def ensure_address(site: AwsSite) -> str:
    """The allocation id of the session's one address.

    EC2 has no key that makes an allocation happen once: where an answer was lost and the call was
    sent again, there are two, and what is too much is given back.
    """
    found = own_addresses(site)
    if not found:
        with site.doing("get a public address"):
            site.client("ec2").allocate_address(
                Domain="vpc",
                TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tag_list(site.tags)}],
            )
        found = site.seen("The new public address", lambda: own_addresses(site) or None)
    kept, *extra = found
    for one in extra:
        release_address(site, str(one["AllocationId"]))
    site.made(ADDRESS, str(kept["AllocationId"]), tag_map(kept.get("Tags", [])))
    return str(kept["AllocationId"])


def own_addresses(site: AwsSite) -> list[dict[str, Any]]:
    """The session's addresses by their tags, one in use first."""
    with site.doing("look for the site's public address"):
        found = site.client("ec2").describe_addresses(Filters=own_filters(site))["Addresses"]
    return sorted(found, key=lambda one: ("AssociationId" not in one, one["AllocationId"]))


def attach_address(site: AwsSite, allocation_id: str, instance_id: str) -> None:
    """Let it lead to this instance and to no other."""
    found = find_address(site, allocation_id)
    if found is not None and found.get("InstanceId") == instance_id:
        return
    site.settled(
        f"lead the public address to {instance_id}",
        lambda: site.client("ec2").associate_address(
            AllocationId=allocation_id, InstanceId=instance_id, AllowReassociation=True
        ),
        "IncorrectInstanceState", "InvalidInstanceID",
    )  # fmt: skip


def find_address(site: AwsSite, allocation_id: str) -> dict[str, Any] | None:
    return next((one for one in own_addresses(site) if one["AllocationId"] == allocation_id), None)


def release_address(site: AwsSite, allocation_id: str) -> None:
    """Give it back, so that it costs nothing; missing is fine."""
    ec2, found = site.client("ec2"), find_address(site, allocation_id)
    if found is not None and found.get("AssociationId"):
        with site.doing(f"free the public address {allocation_id}"):
            try:
                ec2.disassociate_address(AssociationId=found["AssociationId"])
            except Exception as error:
                if error_code(error) != _LOOSE:
                    raise

    def release_unless_gone() -> None:
        try:
            ec2.release_address(AllocationId=allocation_id)
        except Exception as error:
            if error_code(error) != _MISSING:
                raise

    site.settled(
        f"give the public address {allocation_id} back", release_unless_gone,
        "InvalidIPAddress.InUse",
    )  # fmt: skip
