"""What one region of EC2 holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.cloud.aws.required_tags import items_of, pairs, require_tags
from tests.cloud.aws.wire import RefusedError

NETWORK = "vpc-0a1b2c3d4e5f60718"
PREFIX_LISTS = {
    "pl-3b927c52": ("com.amazonaws.global.cloudfront.origin-facing", 55),
    "pl-63a5400a": ("com.amazonaws.us-east-1.s3", 8),
}
"""Name and weight: how many of a group's sixty rules it counts for."""
CLOUDFRONT_LIST = "pl-3b927c52"
STATES = {
    "pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64,
    "stopped": 80,
}  # fmt: skip


class Machine(Protocol):
    """The computer that an instance is: it runs what SSM brings and serves a port."""

    port: int

    def run(self, text: str, timeout_s: int) -> tuple[int, str]: ...

    def close(self) -> None: ...


@dataclass(kw_only=True)
class Group:
    """A security group; rules are (protocol, first, last, member, source)."""

    group_id: str
    name: str
    description: str
    tags: dict[str, str]
    rules: set[tuple[str, int, int, str, str]] = field(default_factory=set)

    def lets_cloudfront_in(self) -> bool:
        return any(rule[4] == CLOUDFRONT_LIST and rule[1] <= 80 <= rule[2] for rule in self.rules)


@dataclass(kw_only=True)
class Address:
    """An Elastic IP."""

    allocation_id: str
    public_ip: str
    tags: dict[str, str]
    association_id: str | None = None
    instance_id: str | None = None

    @property
    def public_name(self) -> str:
        return f"ec2-{self.public_ip.replace('.', '-')}.compute-1.amazonaws.com"


@dataclass(kw_only=True)
class Instance:
    """An instance, its disk and what it was asked with."""

    instance_id: str
    token: str
    asked: dict[str, Any]
    state: str
    tags: dict[str, dict[str, str]]
    """By the type of the resource: instance, volume, network-interface."""
    groups: list[str]
    profile: str
    machine: Machine | None = None
    looks: int = 0
    is_seen: bool = False
    was_online: int = 0

    @property
    def volume_id(self) -> str:
        return self.instance_id.replace("i-", "vol-")

    @property
    def is_ended(self) -> bool:
        return self.state in ("shutting-down", "terminated")

    def look(self) -> None:
        """One poll: what is under way is done at the third one."""
        self.looks += 1
        after = {"pending": "running", "shutting-down": "terminated", "stopping": "stopped"}
        if self.looks > 2 and self.state in after:
            self.state, self.looks = after[self.state], 0

    def turn(self, state: str) -> None:
        self.state, self.looks = state, 0


@dataclass(kw_only=True)
class Region:
    """All of it, by id."""

    groups: dict[str, Group] = field(default_factory=dict)
    addresses: dict[str, Address] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    counted: int = 0

    def number(self) -> int:
        self.counted += 1
        return self.counted

    def instance(self, instance_id: str) -> Instance:
        if instance_id not in self.instances:
            raise RefusedError("InvalidInstanceID.NotFound", instance_id)
        return self.instances[instance_id]


def tags_for(values: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The tags that a creating call gives a kind of resource: all of them are required."""
    found: dict[str, str] = {}
    for one in values.get("TagSpecifications", []):
        if one["ResourceType"] == kind:
            found |= pairs(one["Tags"])
    require_tags(found, "UnauthorizedOperation")
    return found


def shown_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return items_of(dict(sorted(tags.items())))


def fits(values: Mapping[str, Any], known: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    """Whether a resource passes all filters.

    Raises:
        RefusedError: There is no filter of that name.
    """
    for one in values.get("Filters", []):
        name, wanted = one["Name"], one["Values"]
        if name.startswith("tag:"):
            found = tags.get(name[4:])
        elif name in known:
            found = known[name]
        else:
            raise RefusedError("InvalidParameterValue", f"the filter {name!r} is invalid")
        if found not in wanted:
            return False
    return True
