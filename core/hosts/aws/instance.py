"""The EC2 instance of a dynamic site: found by its tags, made once, started, awaited, ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.cloud.aws_errors import aws_errors, error_code
from core.cloud.config import NamedKind
from core.cloud.prices import EC2_DISK_GB, EC2_TYPE
from core.cloud.retrying import Patience, awaited, retried
from core.errors import CloudRefusedError
from core.hosts.aws.inventory import own_filters
from core.hosts.aws.machine_image import MachineImage
from core.hosts.aws.site import SETTLES, AwsSite, tag_list, tag_map
from core.hosts.instance.commands import start_digest, user_data

INSTANCE = "ec2_instance"
INSTANCE_TYPE = EC2_TYPE
"""Arm, two cores, 1 GiB: the smallest on which packages can be installed beside a running site."""
DISK_GB = EC2_DISK_GB
METADATA = {
    "HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1,
    "InstanceMetadataTags": "disabled",
}  # fmt: skip
"""Version 2 only, and not beyond the instance itself: a program's proxy cannot be made to ask."""
GENERATION = "Generation"
"""Tag: the how many-th instance of the session this is. A token that was used for one that has
ended brings no new one, so each has a token of its own."""

START = "Start"
"""Tag: which text it was started with."""

STARTS = Patience(deadline_s=600.0, interval_s=2.0, longest_s=10.0)
ENDS = Patience(deadline_s=900.0, interval_s=3.0, longest_s=15.0)

_LIVE = ("pending", "running", "stopping", "stopped")
_MOST_GENERATIONS = 20
_MISSING = "InvalidInstanceID.NotFound"
_GOES_ON = "EC2 goes on by itself; run the same command again."


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceWish:
    """What a new instance is made of."""

    image: MachineImage
    profile: str
    group_id: str


def instance_name(site: AwsSite) -> str:
    return site.names.name(NamedKind.EC2)


def instance_settings() -> dict[str, Any]:
    """What an instance is set to, for the digest of the desired configuration."""
    return {"type": INSTANCE_TYPE, "metadata": METADATA, "disk": DISK_GB, "start": user_data()}


def ensure_instance(site: AwsSite, wish: Callable[[], InstanceWish]) -> dict[str, Any]:
    """The session's running instance: found, started where it was stopped, or made.

    One that was ended is replaced by another of the next generation.

    Args:
        wish: Asked only where one has to be made.
    """
    known = own_instances(site)
    found = _live(known) or _made(site, wish(), known)
    instance_id = str(found["InstanceId"])
    site.made(INSTANCE, instance_id, tag_map(found.get("Tags", [])))
    for other in site.recorded(INSTANCE):
        if other != instance_id:
            site.gone(INSTANCE, other)
    return running(site, instance_id)


def own_instances(site: AwsSite) -> list[dict[str, Any]]:
    """Every instance of the session that EC2 still knows, by tags; ended ones for an hour."""
    with site.doing("look for the site's instance"):
        return list(_described(site, Filters=own_filters(site)))


def find_instance(site: AwsSite, instance_id: str) -> dict[str, Any] | None:
    with site.doing(f"look at the instance {instance_id}"):
        try:
            return next(_described(site, InstanceIds=[instance_id]), None)
        except Exception as error:
            if error_code(error) != _MISSING:
                raise
            return None


def running(site: AwsSite, instance_id: str) -> dict[str, Any]:
    """The instance once it runs; a stopped one is started.

    Raises:
        TimedOutError: It does not run in time.
    """

    def is_running() -> dict[str, Any] | None:
        found = find_instance(site, instance_id)
        state = None if found is None else found["State"]["Name"]
        if state == "stopped":
            with site.doing(f"start the instance {instance_id}"):
                site.client("ec2").start_instances(InstanceIds=[instance_id])
        if found is not None and state not in (*_LIVE, "running"):
            raise _ended(found)
        return found if state == "running" else None

    return awaited(
        is_running, what=f"The instance {instance_id} runs", remedy=_GOES_ON,
        patience=STARTS, clock=site.clock, cancelled=site.cancelled,
    )  # fmt: skip


def public_name(site: AwsSite, instance_id: str, address: str) -> str:
    """The DNS name that leads to the instance by this address.

    Raises:
        CloudRefusedError: The network gives no names.
    """

    def is_there() -> dict[str, Any] | None:
        found = find_instance(site, instance_id)
        return found if found is not None and found.get("PublicIpAddress") == address else None

    found = site.seen(f"The address {address} at the instance", is_there)
    name = str(found.get("PublicDnsName") or "")
    if not name:
        raise CloudRefusedError(
            f"The network {found.get('VpcId')} gives instances no public DNS names.",
            remedy=f"aws ec2 modify-vpc-attribute --vpc-id {found.get('VpcId')}"
            " --enable-dns-hostnames, then deploy again.",
            code="no_network",
        )
    return name


def remove_instance(site: AwsSite, instance_id: str) -> None:
    """End it, and return when its disk and its network interface are gone; missing is fine."""
    with site.doing(f"end the instance {instance_id}"):
        try:
            site.client("ec2").terminate_instances(InstanceIds=[instance_id])
        except Exception as error:
            if error_code(error) != _MISSING:
                raise
            return

    def is_ended() -> bool | None:
        found = find_instance(site, instance_id)
        return True if found is None or found["State"]["Name"] == "terminated" else None

    awaited(
        is_ended, what=f"The instance {instance_id} has ended", remedy=_GOES_ON,
        patience=ENDS, clock=site.clock, cancelled=site.cancelled,
    )  # fmt: skip


def disk_of(site: AwsSite, instance_id: str) -> dict[str, Any]:
    """The instance's disk as EC2 describes it; empty where it has none."""
    wanted = {"Name": "attachment.instance-id", "Values": [instance_id]}
    with site.doing(f"look at the disk of {instance_id}"):
        found = site.client("ec2").describe_volumes(Filters=[wanted])["Volumes"]
    return dict(found[0]) if found else {}


def _live(known: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The newest that is not ended or ending."""
    live = [one for one in known if one["State"]["Name"] in _LIVE]
    return max(live, key=_generation, default=None)


def _made(site: AwsSite, wish: InstanceWish, known: list[dict[str, Any]]) -> dict[str, Any]:
    """The instance of the next generation.

    Args:
        known: The very look that showed no live one: a newer look may show one, and then the next
            generation would be a second instance.
    """
    first = 1 + max((_generation(one) for one in known), default=0)
    for generation in range(first, first + _MOST_GENERATIONS):
        found = _run(site, wish, generation)
        if found["State"]["Name"] in _LIVE:
            return found
    raise CloudRefusedError(
        f"EC2 brings only instances of {instance_name(site)} that have ended.",
        remedy="Deploy again tomorrow, or with --suffix and a word of your own.",
    )


def _run(site: AwsSite, wish: InstanceWish, generation: int) -> dict[str, Any]:
    """The instance of that generation: new, or what an earlier try has made.

    A new profile or group is not known to all of EC2 at once. Tags tell when a run began, so a
    later try asks for something else under the same token: EC2 refuses that, and the instance is
    looked up by the token.
    """
    token = _token(site, generation)

    def run() -> dict[str, Any] | None:
        try:
            answer = site.client("ec2").run_instances(**_request(site, wish, generation, token))
        except Exception as error:
            if error_code(error) != "IdempotentParameterMismatch":
                raise
            return None
        return dict(answer["Instances"][0])

    with aws_errors(f"make the instance {instance_name(site)}", site.account.profile):
        made = retried(
            run, again=_is_not_known_yet, patience=SETTLES, clock=site.clock,
            cancelled=site.cancelled,
        )  # fmt: skip
    if made is not None:
        site.made(INSTANCE, str(made["InstanceId"]), _tags(site, generation))
        return made
    return site.seen("The instance of an earlier try", lambda: _by_token(site, token))


def _request(site: AwsSite, wish: InstanceWish, generation: int, token: str) -> dict[str, Any]:
    tags = tag_list(_tags(site, generation))
    disk = {
        "VolumeType": "gp3", "VolumeSize": DISK_GB, "Encrypted": True, "DeleteOnTermination": True,
    }  # fmt: skip
    return {
        "ClientToken": token,
        "MinCount": 1,
        "MaxCount": 1,
        "ImageId": wish.image.image_id,
        "InstanceType": INSTANCE_TYPE,
        # Without this a busy program is charged for more than the instance.
        "CreditSpecification": {"CpuCredits": "standard"},
        "IamInstanceProfile": {"Name": wish.profile},
        "SecurityGroupIds": [wish.group_id],
        "MetadataOptions": METADATA,
        "BlockDeviceMappings": [{"DeviceName": wish.image.root_device, "Ebs": disk}],
        "UserData": user_data(),
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tags}
            for kind in ("instance", "volume", "network-interface")
        ],
    }


def _tags(site: AwsSite, generation: int) -> dict[str, str]:
    own = {"Name": instance_name(site), GENERATION: str(generation), START: start_digest()}
    return {**site.tags, **own}


def _token(site: AwsSite, generation: int) -> str:
    """The same for every try of one generation; 64 characters are the most."""
    named = f"{site.names.installation_id}\n{instance_name(site)}\n{generation}"
    return hashlib.sha256(named.encode()).hexdigest()


def _is_not_known_yet(error: Exception) -> bool:
    code, said = error_code(error), str(error).lower()
    is_profile = code == "InvalidParameterValue" and "instance profile" in said
    return is_profile or code == "InvalidGroup.NotFound"


def _by_token(site: AwsSite, token: str) -> dict[str, Any] | None:
    with site.doing("look for the instance of an earlier try"):
        found = _described(site, Filters=[{"Name": "client-token", "Values": [token]}])
        return next(found, None)


def _described(site: AwsSite, **selection: Any) -> Iterator[dict[str, Any]]:
    for page in site.client("ec2").get_paginator("describe_instances").paginate(**selection):
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]


def _generation(found: dict[str, Any]) -> int:
    text = tag_map(found.get("Tags", [])).get(GENERATION, "0")
    return int(text) if text.isdecimal() else 0


def _ended(found: dict[str, Any]) -> CloudRefusedError:
    reason = (found.get("StateReason") or {}).get("Message") or "without a reason"
    return CloudRefusedError(
        f"The instance {found['InstanceId']} has ended: {reason}.",
        remedy="Deploy again; it is replaced by a new one.",
        code="instance_missing",
    )
