"""The firewall of a site's instance: the web port, for CloudFront's servers alone."""

from __future__ import annotations

from typing import Any

from core.cloud.aws_errors import error_code
from core.errors import CloudRefusedError
from core.hosts.aws.site import AwsSite, tag_list, tag_map

SECURITY_GROUP = "security_group"
WEB_PORT = 80
CLOUDFRONT_LIST = "com.amazonaws.global.cloudfront.origin-facing"
"""AWS keeps it: the addresses from which CloudFront asks origins, IPv4 only. It weighs as much as
55 of the 60 rules that a group may have, so it stays the only one."""

_MISSING = "InvalidGroup.NotFound"

Rule = tuple[str, int, int, str]
"""Protocol, first port, last port, and from where: a prefix list, a range or a group."""


def group_name(site: AwsSite) -> str:
    return site.names.name()


def wanted_rule(prefix_list: str) -> Rule:
    return ("tcp", WEB_PORT, WEB_PORT, prefix_list)


def ensure_security_group(site: AwsSite) -> str:
    """The id of the session's group in the default network, with exactly our one rule."""
    wanted = wanted_rule(cloudfront_prefix_list(site))
    group = find_group(site)
    if group is None:
        _create(site, _default_network(site))
        group = _appeared(site)
    site.made(SECURITY_GROUP, group["GroupId"], tag_map(group.get("Tags", [])))
    _set_rules(site, group, wanted)
    return str(group["GroupId"])


def cloudfront_prefix_list(site: AwsSite) -> str:
    """Its id in this region.

    Raises:
        CloudRefusedError: The region has no such list.
    """
    name = {"Name": "prefix-list-name", "Values": [CLOUDFRONT_LIST]}
    with site.doing("look for CloudFront's addresses"):
        found = site.client("ec2").describe_managed_prefix_lists(Filters=[name])["PrefixLists"]
    if not found:
        raise CloudRefusedError(
            f"The region {site.region} does not know CloudFront's addresses.",
            remedy="Choose another region with tmux-builder config set aws.region, such as"
            " us-east-1.",
        )
    return str(found[0]["PrefixListId"])


def find_group(site: AwsSite) -> dict[str, Any] | None:
    """The group of the session's name if it is there and ours.

    Raises:
        CloudRefusedError: It is somebody else's.
    """
    name = group_name(site)
    with site.doing(f"look for the security group {name}"):
        found = site.client("ec2").describe_security_groups(
            Filters=[{"Name": "group-name", "Values": [name]}]
        )["SecurityGroups"]
    if not found:
        return None
    site.require_own(f"The security group {name}", tag_map(found[0].get("Tags", [])))
    return dict(found[0])


def rules_of(group: dict[str, Any]) -> set[Rule]:
    """What may come in, one entry for each source."""
    return {rule for one in group.get("IpPermissions", []) for rule in _split(one)}


def remove_group(site: AwsSite, group_id: str) -> None:
    """Delete it; missing is fine. A network interface that is just gone holds it for a while."""
    ec2 = site.client("ec2")

    def remove_unless_gone() -> None:
        try:
            ec2.delete_security_group(GroupId=group_id)
        except Exception as error:
            if error_code(error) != _MISSING:
                raise

    site.settled(f"delete the security group {group_id}", remove_unless_gone, "DependencyViolation")


def _create(site: AwsSite, network: str) -> None:
    name = group_name(site)
    with site.doing(f"make the security group {name}"):
        try:
            site.client("ec2").create_security_group(
                GroupName=name, VpcId=network,
                Description=f"tmux-builder {site.names.key.session_id}",
                TagSpecifications=[
                    {"ResourceType": "security-group", "Tags": tag_list(site.tags)}
                ],
            )  # fmt: skip
        except Exception as error:
            if error_code(error) != "InvalidGroup.Duplicate":
                raise


def _appeared(site: AwsSite) -> dict[str, Any]:
    return site.seen("The new security group", lambda: find_group(site))


def _set_rules(site: AwsSite, group: dict[str, Any], wanted: Rule) -> None:
    """Whatever else somebody let in is shut; ours is opened."""
    ec2, group_id, found = site.client("ec2"), str(group["GroupId"]), rules_of(group)
    with site.doing(f"set the rules of the security group {group_id}"):
        if found - {wanted}:
            ec2.revoke_security_group_ingress(
                GroupId=group_id, IpPermissions=_foreign(group, wanted)
            )
    if wanted not in found:
        site.settled(
            f"set the rules of the security group {group_id}",
            lambda: _open(site, group_id, wanted),
            _MISSING,
        )


def _open(site: AwsSite, group_id: str, rule: Rule) -> None:
    protocol, first, last, prefix_list = rule
    permission = {
        "IpProtocol": protocol, "FromPort": first, "ToPort": last,
        "PrefixListIds": [{"PrefixListId": prefix_list, "Description": "CloudFront"}],
    }  # fmt: skip
    try:
        site.client("ec2").authorize_security_group_ingress(
            GroupId=group_id, IpPermissions=[permission]
        )
    except Exception as error:
        if error_code(error) != "InvalidPermission.Duplicate":
            raise


_SOURCES = (
    ("PrefixListIds", "PrefixListId"), ("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"),
    ("UserIdGroupPairs", "GroupId"),
)  # fmt: skip


def _split(permission: dict[str, Any]) -> list[Rule]:
    protocol = str(permission["IpProtocol"])
    first, last = int(permission.get("FromPort", -1)), int(permission.get("ToPort", -1))
    return [
        (protocol, first, last, str(source[key]))
        for member, key in _SOURCES
        for source in permission.get(member, [])
    ]


def _foreign(group: dict[str, Any], wanted: Rule) -> list[dict[str, Any]]:
    """The group's permissions without our own rule, as AWS takes them back."""
    kept = []
    for one in group.get("IpPermissions", []):
        part = {name: one[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in one}
        for member, key in _SOURCES:
            sources = [
                {key: source[key]}
                for source in one.get(member, [])
                if (*_split({**part, member: [source]})[0],) != wanted
            ]
            if sources:
                kept.append({**part, member: sources})
    return kept


def _default_network(site: AwsSite) -> str:
    with site.doing("look for the default network"):
        found = site.client("ec2").describe_vpcs(
            Filters=[{"Name": "is-default", "Values": ["true"]}]
        )["Vpcs"]
    if not found:
        raise CloudRefusedError(
            f"The account has no default network in {site.region}.",
            remedy="aws ec2 create-default-vpc, then deploy again.",
            code="no_network",
        )
    return str(found[0]["VpcId"])
