"""The system that a site's instance starts from: Amazon Linux 2023, resolved once a site."""

from __future__ import annotations

from dataclasses import dataclass

from core.cloud.aws_errors import error_code
from core.errors import CloudRefusedError
from core.hosts.aws.site import AwsSite

ARCHITECTURE = "arm64"
PARAMETER = f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{ARCHITECTURE}"
"""AWS's own parameter: the newest image of the region."""

_MISSING = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineImage:
    """An image and where its disk is attached."""

    image_id: str
    root_device: str


def chosen_image(site: AwsSite, recorded: str | None) -> MachineImage:
    """The recorded image as long as AWS has it, else the newest one.

    A new image never replaces a running instance by itself.

    Raises:
        CloudRefusedError: The region offers none.
    """
    known = None if recorded is None else _described(site, recorded)
    if known is not None:
        return known
    with site.doing("look for the newest Amazon Linux"):
        newest = str(site.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"])
    found = _described(site, newest)
    if found is None:
        raise CloudRefusedError(
            f"The region {site.region} has no image {newest}, which AWS names as its newest.",
            remedy="Deploy again in a few minutes.",
        )
    return found


def _described(site: AwsSite, image_id: str) -> MachineImage | None:
    with site.doing(f"look at the image {image_id}"):
        try:
            found = site.client("ec2").describe_images(ImageIds=[image_id])["Images"]
        except Exception as error:
            if error_code(error) not in _MISSING:
                raise
            return None
    usable = [one for one in found if one.get("State") == "available"]
    if not usable:
        return None
    return MachineImage(image_id=image_id, root_device=str(usable[0]["RootDeviceName"]))
