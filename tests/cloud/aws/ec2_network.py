"""EC2's networks, security groups and addresses, as strict as the real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cloud.aws.ec2_region import (
    NETWORK,
    PREFIX_LISTS,
    Address,
    Group,
    Region,
    fits,
    shown_tags,
    tags_for,
)
from tests.cloud.aws.wire import RefusedError

MOST_RULES = 60
_SOURCES = (
    ("PrefixListIds", "PrefixListId"), ("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"),
    ("UserIdGroupPairs", "GroupId"),
)  # fmt: skip
Rule = tuple[str, int, int, str, str]


class Network:
    """Handlers by operation; the region comes with each call."""

    def on_DescribeVpcs(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if not fits(values, {"is-default": "true"}, {}):
            return {"Vpcs": []}
        return {"Vpcs": [{"VpcId": NETWORK, "IsDefault": True, "State": "available"}]}

    def on_DescribeManagedPrefixLists(  # noqa: N802
        self, region: Region, values: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "PrefixLists": [
                {"PrefixListId": list_id, "PrefixListName": name}
                for list_id, (name, _weight) in PREFIX_LISTS.items()
                if fits(values, {"prefix-list-name": name}, {})
            ]
        }

    def on_CreateSecurityGroup(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = values["GroupName"]
        if name.startswith("sg-") or values.get("VpcId") != NETWORK:
            raise RefusedError("InvalidParameterValue", f"{name} in {values.get('VpcId')}")
        if any(one.name == name for one in region.groups.values()):
            raise RefusedError("InvalidGroup.Duplicate", name)
        tags = tags_for(values, "security-group")
        made = Group(
            group_id=f"sg-{region.number():017x}", name=name, tags=tags,
            description=values["Description"],
        )  # fmt: skip
        region.groups[made.group_id] = made
        return {"GroupId": made.group_id}

    def on_DescribeSecurityGroups(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for group_id in values.get("GroupIds", []):
            _group(region, group_id)
        return {
            "SecurityGroups": [
                _group_document(one)
                for one in region.groups.values()
                if fits(values, {"group-name": one.name, "vpc-id": NETWORK}, one.tags)
            ]
        }

    def on_AuthorizeSecurityGroupIngress(  # noqa: N802
        self, region: Region, values: dict[str, Any]
    ) -> dict[str, Any]:
        group, rules = _group(region, values["GroupId"]), _rules(values)
        for rule in rules:
            _check_rule(group, rule)
        if sum(_weight(one) for one in group.rules | set(rules)) > MOST_RULES:
            raise RefusedError("RulesPerSecurityGroupLimitExceeded", group.name)
        group.rules |= set(rules)
        return {"Return": True}

    def on_RevokeSecurityGroupIngress(  # noqa: N802
        self, region: Region, values: dict[str, Any]
    ) -> dict[str, Any]:
        group = _group(region, values["GroupId"])
        for rule in _rules(values):
            if rule not in group.rules:
                raise RefusedError("InvalidPermission.NotFound", str(rule))
            group.rules.discard(rule)
        return {"Return": True}

    def on_DeleteSecurityGroup(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        group = _group(region, values["GroupId"])
        users = [one for one in region.instances.values() if group.group_id in one.groups]
        if any(one.state != "terminated" for one in users):
            raise RefusedError("DependencyViolation", f"{group.group_id} has a dependent object")
        del region.groups[group.group_id]
        return {"Return": True}

    # Addresses.

    def on_AllocateAddress(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if values.get("Domain") != "vpc":
            raise RefusedError("InvalidParameterCombination", "EC2-Classic is retired")
        number, tags = region.number(), tags_for(values, "elastic-ip")
        made = Address(
            allocation_id=f"eipalloc-{number:017x}", public_ip=f"203.0.113.{number % 250 + 1}",
            tags=tags,
        )  # fmt: skip
        region.addresses[made.allocation_id] = made
        return {"AllocationId": made.allocation_id, "PublicIp": made.public_ip, "Domain": "vpc"}

    def on_DescribeAddresses(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [one for one in region.addresses.values() if fits(values, {}, one.tags)]
        return {"Addresses": [_address_document(one) for one in found]}

    def on_AssociateAddress(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        address = _address(region, values["AllocationId"])
        instance = region.instance(values["InstanceId"])
        if instance.state not in ("running", "stopped"):
            raise RefusedError("IncorrectInstanceState", f"it is {instance.state}")
        if address.association_id is not None and not values.get("AllowReassociation"):
            raise RefusedError("Resource.AlreadyAssociated", address.allocation_id)
        for other in region.addresses.values():
            if other.instance_id == instance.instance_id:
                other.association_id = other.instance_id = None
        address.association_id = f"eipassoc-{region.number():017x}"
        address.instance_id = instance.instance_id
        return {"AssociationId": address.association_id}

    def on_DisassociateAddress(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for one in region.addresses.values():
            if one.association_id == values["AssociationId"]:
                one.association_id = one.instance_id = None
                return {}
        raise RefusedError("InvalidAssociationID.NotFound", values["AssociationId"])

    def on_ReleaseAddress(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        address = _address(region, values["AllocationId"])
        if address.association_id is not None:
            raise RefusedError("InvalidIPAddress.InUse", f"{address.public_ip} is in use")
        del region.addresses[address.allocation_id]
        return {}


Handler = Callable[[Region, dict[str, Any]], dict[str, Any]]


def _group(region: Region, group_id: str) -> Group:
    if group_id not in region.groups:
        raise RefusedError("InvalidGroup.NotFound", group_id)
    return region.groups[group_id]


def _address(region: Region, allocation_id: str) -> Address:
    if allocation_id not in region.addresses:
        raise RefusedError("InvalidAllocationID.NotFound", allocation_id)
    return region.addresses[allocation_id]


def _rules(values: dict[str, Any]) -> list[Rule]:
    found = [
        (one["IpProtocol"], int(one.get("FromPort", -1)), int(one.get("ToPort", -1)), member,
         source[key])
        for one in values.get("IpPermissions", [])
        for member, key in _SOURCES
        for source in one.get(member, [])
    ]  # fmt: skip
    if not found:
        raise RefusedError("InvalidRequest", "a rule without a source")
    return found


def _check_rule(group: Group, rule: Rule) -> None:
    _protocol, first, last, member, source = rule
    if rule in group.rules:
        raise RefusedError("InvalidPermission.Duplicate", str(rule))
    if member == "PrefixListIds" and source not in PREFIX_LISTS:
        raise RefusedError("InvalidPrefixListID.NotFound", source)
    if member != "PrefixListIds" or first != last:
        raise RefusedError("UnauthorizedOperation", f"a policy refuses {rule}", 403)


def _weight(rule: Rule) -> int:
    return PREFIX_LISTS[rule[4]][1] if rule[3] == "PrefixListIds" else 1


def _group_document(group: Group) -> dict[str, Any]:
    permissions: dict[tuple[str, int, int], dict[str, Any]] = {}
    for protocol, first, last, member, source in sorted(group.rules):
        one = permissions.setdefault(
            (protocol, first, last),
            {"IpProtocol": protocol, "FromPort": first, "ToPort": last},
        )
        one.setdefault(member, []).append({dict(_SOURCES)[member]: source})
    return {
        "GroupId": group.group_id, "GroupName": group.name, "Description": group.description,
        "VpcId": NETWORK, "IpPermissions": list(permissions.values()),
        "Tags": shown_tags(group.tags),
    }  # fmt: skip


def _address_document(address: Address) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "AllocationId": address.allocation_id, "PublicIp": address.public_ip, "Domain": "vpc",
        "Tags": shown_tags(address.tags),
    }  # fmt: skip
    if address.association_id is not None:
        shown |= {"AssociationId": address.association_id, "InstanceId": address.instance_id}
    return shown
