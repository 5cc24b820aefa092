"""Origin access control: how CloudFront signs its requests to a private bucket.

It takes no tags, so its description says whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.cloud.aws_errors import error_code
from core.cloud.config import NamedKind
from core.errors import CloudRefusedError
from core.hosts.aws.site import ACCESS_CONTROL, AwsSite

SIGNING = {
    "SigningProtocol": "sigv4",
    "SigningBehavior": "always",
    "OriginAccessControlOriginType": "s3",
}


def access_control_name(site: AwsSite) -> str:
    return site.names.name(NamedKind.CLOUDFRONT)


def ensure_access_control(site: AwsSite) -> str:
    """The id of the session's control; one of its name is adopted, since names are unique.

    Raises:
        CloudRefusedError: The name is another one's (code `name_taken`).
    """
    name = access_control_name(site)
    wanted = {"Name": name, "Description": _description(site), **SIGNING}
    with site.doing(f"make the origin access control {name}"):
        try:
            answer = site.cloudfront.create_origin_access_control(OriginAccessControlConfig=wanted)
        except Exception as error:
            if error_code(error) != "OriginAccessControlAlreadyExists":
                raise
            found = find_access_control(site)
            if found is None:
                raise
        else:
            found = str(answer["OriginAccessControl"]["Id"])
    site.made(ACCESS_CONTROL, found, {})
    return found


def find_access_control(site: AwsSite) -> str | None:
    """The id of the session's control, by its name.

    Raises:
        CloudRefusedError: The name is another one's (code `name_taken`).
    """
    name = access_control_name(site)
    with site.doing(f"look for the origin access control {name}"):
        found = next((one for one in _controls(site) if one["Name"] == name), None)
    if found is None:
        return None
    if found.get("Description") != _description(site):
        raise CloudRefusedError(
            f"The origin access control {name} exists already and is not this site's.",
            remedy="Deploy with --suffix and a word of your own, which makes another name.",
            code="name_taken",
        )
    return str(found["Id"])


def remove_access_control(site: AwsSite, control_id: str) -> None:
    """Delete it; missing is fine. A distribution that is just gone holds it for a while."""
    cloudfront = site.cloudfront

    def remove() -> None:
        etag = cloudfront.get_origin_access_control(Id=control_id)["ETag"]
        cloudfront.delete_origin_access_control(Id=control_id, IfMatch=etag)

    def remove_unless_gone() -> None:
        try:
            remove()
        except Exception as error:
            if error_code(error) != "NoSuchOriginAccessControl":
                raise

    site.settled(
        f"delete the origin access control {control_id}",
        remove_unless_gone,
        "OriginAccessControlInUse",
    )
    site.gone(ACCESS_CONTROL, control_id)


def _description(site: AwsSite) -> str:
    return f"tmux-builder {site.names.installation_id} {site.names.key.session_id}"


def _controls(site: AwsSite) -> Iterator[dict[str, Any]]:
    paginator = site.cloudfront.get_paginator("list_origin_access_controls")
    for page in paginator.paginate():
        yield from page["OriginAccessControlList"].get("Items", [])
