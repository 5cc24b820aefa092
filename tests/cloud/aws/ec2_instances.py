"""EC2's instances: tokens, checks and states as the real ones have them, over polls, not time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.cloud.aws.ec2_region import (
    NETWORK,
    STATES,
    Instance,
    Machine,
    Region,
    fits,
    shown_tags,
    tags_for,
)
from tests.cloud.aws.wire import RefusedError

NEWEST_IMAGE = "ami-0c0ffee0000000002"
OLD_IMAGE = "ami-0c0ffee0000000001"
FAMILIES = {"t4g": "arm64", "t3": "x86_64", "t3a": "x86_64"}
LARGEST_USER_DATA_BYTES = 16 * 1024
PROFILE_REFUSALS = 2
"""So many runs with a new profile are refused: IAM has not told EC2 yet."""
_KINDS = ("instance", "volume", "network-interface")


class Instances:
    """Handlers by operation; the region comes with each call.

    Args:
        role_of: The role in an instance profile, None where there is no such profile.
        boot: Starts the computer behind a new instance: (instance id, user data).
    """

    def __init__(
        self, role_of: Callable[[str], str | None], boot: Callable[[str, str], Machine]
    ) -> None:
        self.images = {OLD_IMAGE: "arm64", NEWEST_IMAGE: "arm64"}
        self._role_of = role_of
        self._boot = boot
        self._refused: dict[str, int] = {}

    def empty(self) -> None:
        self.images = {OLD_IMAGE: "arm64", NEWEST_IMAGE: "arm64"}
        self._refused.clear()

    def on_DescribeImages(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for image_id in values.get("ImageIds", []):
            if image_id not in self.images:
                raise RefusedError("InvalidAMIID.NotFound", image_id)
        return {
            "Images": [
                {
                    "ImageId": one, "State": "available", "Architecture": self.images[one],
                    "RootDeviceName": "/dev/xvda",
                }
                for one in values["ImageIds"]
            ]
        }  # fmt: skip

    def on_RunInstances(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        token = values.get("ClientToken", "")
        if not 0 < len(token) <= 64:
            raise RefusedError("InvalidParameterValue", "the client token")
        known = next((one for one in region.instances.values() if one.token == token), None)
        if known is not None and _written(known.asked) != _written(values):
            raise RefusedError("IdempotentParameterMismatch", "the token was used otherwise")
        made = known or self._made(region, values)
        return {"ReservationId": "r-1", "Instances": [_document(region, made)]}

    def on_DescribeInstances(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        asked = values.get("InstanceIds", [])
        for instance_id in asked:
            if not region.instance(instance_id).is_seen:
                self._all_seen(region)
                raise RefusedError("InvalidInstanceID.NotFound", f"{instance_id} is too new")
        found = [
            one
            for one in region.instances.values()
            if one.is_seen and (not asked or one.instance_id in asked)
            and fits(values, _known(one), one.tags["instance"])
        ]  # fmt: skip
        self._all_seen(region)
        for one in found:
            one.look()
            _free_what_ended(region, one)
        documents = [_document(region, one) for one in found]
        return {"Reservations": [{"ReservationId": "r", "Instances": [one]} for one in documents]}

    def on_StartInstances(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for instance_id in values["InstanceIds"]:
            found = region.instance(instance_id)
            if found.state != "stopped":
                raise RefusedError("IncorrectInstanceState", f"it is {found.state}")
            found.turn("pending")
        return {}

    def on_TerminateInstances(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for instance_id in values["InstanceIds"]:
            found = region.instance(instance_id)
            if not found.is_ended:
                found.turn("shutting-down")
                if found.machine is not None:
                    found.machine.close()
        return {}

    def on_DescribeVolumes(self, region: Region, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {
            "Volumes": [
                {
                    "VolumeId": one.volume_id, "Encrypted": True, "VolumeType": "gp3",
                    "Tags": shown_tags(one.tags["volume"]),
                }
                for one in region.instances.values()
                if one.state != "terminated"
                and fits(values, {"attachment.instance-id": one.instance_id}, one.tags["volume"])
            ]
        }  # fmt: skip

    def _made(self, region: Region, values: dict[str, Any]) -> Instance:
        self._check(region, values)
        tags = {kind: tags_for(values, kind) for kind in _KINDS}
        profile = values["IamInstanceProfile"]["Name"]
        self._check_profile(profile)
        made = Instance(
            instance_id=f"i-{region.number():017x}", token=values["ClientToken"], asked=values,
            state="pending", tags=tags, groups=values["SecurityGroupIds"], profile=profile,
        )  # fmt: skip
        made.machine = self._boot(made.instance_id, base64.b64decode(values["UserData"]).decode())
        region.instances[made.instance_id] = made
        return made

    def _check(self, region: Region, values: dict[str, Any]) -> None:
        architecture = FAMILIES[values["InstanceType"].partition(".")[0]]
        if self.images.get(values["ImageId"]) is None:
            raise RefusedError("InvalidAMIID.NotFound", values["ImageId"])
        if self.images[values["ImageId"]] != architecture:
            raise RefusedError("InvalidParameterValue", "the image is for another architecture")
        if "KeyName" in values:
            raise RefusedError("UnauthorizedOperation", "nobody logs in: no key pair", 403)
        options = values.get("MetadataOptions", {})
        if options.get("HttpTokens") != "required" or options.get("HttpPutResponseHopLimit") != 1:
            raise RefusedError("UnauthorizedOperation", "metadata version 2, one hop", 403)
        disks = [one["Ebs"] for one in values.get("BlockDeviceMappings", [])]
        if not disks or not all(
            one.get("Encrypted") and one.get("VolumeType") == "gp3" and one["DeleteOnTermination"]
            for one in disks
        ):
            raise RefusedError("UnauthorizedOperation", "the disk", 403)
        for group_id in values.get("SecurityGroupIds", ["none"]):
            if group_id not in region.groups:
                raise RefusedError("InvalidGroup.NotFound", group_id)
        if len(values.get("UserData", "")) * 3 // 4 > LARGEST_USER_DATA_BYTES:
            raise RefusedError("InvalidParameterValue", "user data is limited to 16384 bytes")

    def _check_profile(self, profile: str) -> None:
        refused = self._refused.get(profile, 0)
        if self._role_of(profile) is None or refused < PROFILE_REFUSALS:
            self._refused[profile] = refused + 1
            raise RefusedError(
                "InvalidParameterValue",
                f"Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM"
                " Instance Profile name",
            )

    def _all_seen(self, region: Region) -> None:
        """A look shows what is new to the next one only."""
        for one in region.instances.values():
            one.is_seen = True


def _written(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _known(one: Instance) -> dict[str, str]:
    return {"client-token": one.token, "instance-state-name": one.state}


def _free_what_ended(region: Region, one: Instance) -> None:
    if one.state == "terminated":
        for address in region.addresses.values():
            if address.instance_id == one.instance_id:
                address.association_id = address.instance_id = None


def _document(region: Region, one: Instance) -> dict[str, Any]:
    address = next(
        (known for known in region.addresses.values() if known.instance_id == one.instance_id),
        None,
    )
    shown: dict[str, Any] = {
        "InstanceId": one.instance_id, "ImageId": one.asked["ImageId"], "ClientToken": one.token,
        "State": {"Code": STATES[one.state], "Name": one.state}, "VpcId": NETWORK,
        "InstanceType": one.asked["InstanceType"], "Tags": shown_tags(one.tags["instance"]),
        "MetadataOptions": {
            "State": "applied", "HttpProtocolIpv6": "disabled", **one.asked["MetadataOptions"],
        },
        "IamInstanceProfile": {
            "Arn": f"arn:aws:iam::123456789012:instance-profile/{one.profile}", "Id": "AIPA1",
        },
        "SecurityGroups": [
            {"GroupId": group_id, "GroupName": region.groups[group_id].name}
            for group_id in one.groups
            if group_id in region.groups
        ],
    }  # fmt: skip
    if address is not None and not one.is_ended:
        shown |= {"PublicIpAddress": address.public_ip, "PublicDnsName": address.public_name}
    return shown
