"""What a site's instance may do: a role for SSM, the site's own bucket and its own variables.

Where the account has the product's own policy, that is the role's boundary: no role that the
product makes can do more than the product itself, whatever somebody writes into it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from core.cloud.aws_errors import error_code
from core.cloud.aws_policy import POLICY_NAME as PRODUCT_POLICY
from core.errors import CloudRefusedError
from core.hosts.aws.bucket import SiteBucket
from core.hosts.aws.parameters import parameter_path
from core.hosts.aws.site import AwsSite, tag_list, tag_map
from core.models.execution import Json

ROLE = "iam_role"
PROFILE = "iam_instance_profile"
POLICY_NAME = "site"

_CORE = "AmazonSSMManagedInstanceCore"
_MISSING = "NoSuchEntity"
_EXISTS = "EntityAlreadyExists"
_READS = (
    "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteProfile:
    """The session's instance profile.

    Attributes:
        boundary: The policy that bounds its role; None where the account has none.
    """

    name: str
    boundary: str | None


def role_name(site: AwsSite) -> str:
    """Of the role and of the profile that hands it to an instance."""
    return site.names.name()


def ensure_profile(site: AwsSite, bucket: SiteBucket) -> SiteProfile:
    """The session's instance profile, with its role and the role's rights.

    Raises:
        CloudRefusedError: The login may give rights within the product's policy only, and the
            account has no policy of its name (code `no_boundary`).
    """
    name = role_name(site)
    boundary = _ensure_role(site, name)
    iam, document = site.client("iam"), json.dumps(role_policy(site, bucket), sort_keys=True)
    for give in (
        lambda: iam.attach_role_policy(RoleName=name, PolicyArn=core_policy_arn(site)),
        lambda: iam.put_role_policy(RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=document),
    ):
        site.settled(f"give the role {name} its rights", give, _MISSING)
    _ensure_profile(site, name)
    return SiteProfile(name=name, boundary=boundary)


def boundary_arn(site: AwsSite) -> str:
    """The policy that the login has too, where it is as `doctor --policy aws` prints it."""
    return f"arn:{site.account.partition()}:iam::{site.account_id}:policy/{PRODUCT_POLICY}"


def role_policy(site: AwsSite, bucket: SiteBucket) -> dict[str, Json]:
    """Read the site's own archives and variables.

    AWS's own policy for SSM lets an instance read every parameter of the account, and with it
    other customers' secrets: the denial takes that back.
    """
    root = f"arn:{bucket.partition}:ssm:{site.region}:{site.account_id}:parameter"
    own: list[Json] = [f"{root}{parameter_path(site)}", f"{root}{parameter_path(site)}/*"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OwnArchives",
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": [f"{bucket.arn}/agents/*", f"{bucket.arn}/releases/*"],
            },
            {
                "Sid": "OwnVariables",
                "Effect": "Allow",
                "Action": "ssm:GetParametersByPath",
                "Resource": own,
            },
            {
                "Sid": "NobodyElsesVariables",
                "Effect": "Deny",
                "Action": [*_READS],
                "NotResource": own,
            },
        ],
    }


def core_policy_arn(site: AwsSite) -> str:
    return f"arn:{site.account.partition()}:iam::aws:policy/{_CORE}"


def find_role(site: AwsSite) -> str | None:
    """Its name if it is there and ours.

    Raises:
        CloudRefusedError: It is somebody else's.
    """
    name = role_name(site)
    with site.doing(f"look for the role {name}"):
        return _own(site, f"The role {name}", name, _role(site, name))


def find_profile(site: AwsSite) -> str | None:
    """Its name if it is there and ours.

    Raises:
        CloudRefusedError: It is somebody else's.
    """
    name = role_name(site)
    with site.doing(f"look for the instance profile {name}"):
        return _own(site, f"The instance profile {name}", name, _profile(site, name))


def role_tags(site: AwsSite, name: str) -> dict[str, str]:
    with site.doing(f"read the tags of the role {name}"):
        return tag_map((_role(site, name) or {}).get("Tags", []))


def role_boundary(site: AwsSite, name: str) -> str | None:
    """The policy beyond which the role cannot go, None without one."""
    with site.doing(f"read the boundary of the role {name}"):
        return _boundary_of(_role(site, name) or {})


def role_rights(site: AwsSite, name: str) -> tuple[dict[str, Json], tuple[str, ...]]:
    """The document of our own policy, and the names of all others that the role has."""
    iam = site.client("iam")
    with site.doing(f"read the rights of the role {name}"):
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
        own: dict[str, Json] = {}
        if POLICY_NAME in inline:
            answer = iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)
            own = _document(answer["PolicyDocument"])
    others = {str(one["PolicyArn"]) for one in attached} | set(map(str, inline)) - {POLICY_NAME}
    return own, tuple(sorted(others))


def remove_profile(site: AwsSite, name: str) -> None:
    """Take the role out of it and delete it; missing is fine."""
    iam = site.client("iam")
    with site.doing(f"delete the instance profile {name}"):
        found = _profile(site, name)
        for role in (found or {}).get("Roles", []):
            iam.remove_role_from_instance_profile(
                InstanceProfileName=name, RoleName=role["RoleName"]
            )
        if found is not None:
            iam.delete_instance_profile(InstanceProfileName=name)


def remove_role(site: AwsSite, name: str) -> None:
    """Take its rights and delete it. A profile that is just gone holds it for a moment."""
    iam = site.client("iam")
    with site.doing(f"take the rights of the role {name}"):
        for one in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=one["PolicyArn"])
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
    site.settled(
        f"delete the role {name}", lambda: iam.delete_role(RoleName=name), "DeleteConflict"
    )


def _ensure_role(site: AwsSite, name: str) -> str | None:
    """Make or adopt it; the policy that bounds it, None where the account has none."""
    arn, tags = boundary_arn(site), dict(site.tags)
    with site.doing(f"make the role {name}"):
        try:
            boundary = _create_role(site, name, arn)
        except Exception as error:
            if error_code(error) != _EXISTS:
                raise
            found = _role(site, name) or {}
            tags = tag_map(found.get("Tags", []))
            site.require_own(f"The role {name}", tags)
            boundary = _boundary_of(found) or _bound(site, name, arn)
    site.made(ROLE, name, tags)
    return boundary


def _create_role(site: AwsSite, name: str, boundary: str) -> str | None:
    """With the boundary; without it where the account has no such policy."""
    wanted = {
        "RoleName": name, "AssumeRolePolicyDocument": json.dumps(_TRUST),
        "Tags": tag_list(site.tags), "Description": f"tmux-builder {site.names.key.session_id}",
    }  # fmt: skip
    iam = site.client("iam")
    try:
        iam.create_role(**wanted, PermissionsBoundary=boundary)
    except Exception as error:
        if error_code(error) != _MISSING:
            raise
    else:
        return boundary
    try:
        iam.create_role(**wanted)
    except Exception as error:
        if error_code(error) == "AccessDenied":
            raise _unbounded(site) from error
        raise
    return None


def _bound(site: AwsSite, name: str, boundary: str) -> str | None:
    """Give a role its boundary where the account has the policy by now."""
    try:
        site.client("iam").put_role_permissions_boundary(
            RoleName=name, PermissionsBoundary=boundary
        )
    except Exception as error:
        if error_code(error) != _MISSING:
            raise
        return None
    return boundary


def _boundary_of(role: dict[str, Any]) -> str | None:
    found = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return None if found is None else str(found)


def _unbounded(site: AwsSite) -> CloudRefusedError:
    return CloudRefusedError(
        f"AWS refused to make a role without a boundary, and the account {site.account_id} has no"
        f" policy {PRODUCT_POLICY} to bound it with.",
        remedy="Keep what tmux-builder doctor --policy aws prints as a managed policy of that name"
        f" (aws iam create-policy --policy-name {PRODUCT_POLICY}), then deploy again.",
        code="no_boundary",
    )


def _ensure_profile(site: AwsSite, name: str) -> None:
    iam, tags = site.client("iam"), dict(site.tags)
    with site.doing(f"make the instance profile {name}"):
        try:
            iam.create_instance_profile(InstanceProfileName=name, Tags=tag_list(tags))
            roles: list[str] = []
        except Exception as error:
            if error_code(error) != _EXISTS:
                raise
            found = _profile(site, name) or {}
            tags = tag_map(found.get("Tags", []))
            site.require_own(f"The instance profile {name}", tags)
            roles = [str(one["RoleName"]) for one in found.get("Roles", [])]
    site.made(PROFILE, name, tags)
    with site.doing(f"put the role into the instance profile {name}"):
        for other in roles:
            if other != name:
                iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=other)
    if name not in roles:
        site.settled(
            f"put the role into the instance profile {name}",
            lambda: iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name),
            _MISSING,
        )


_TRUST: dict[str, Json] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def _role(site: AwsSite, name: str) -> dict[str, Any] | None:
    try:
        return dict(site.client("iam").get_role(RoleName=name)["Role"])
    except Exception as error:
        if error_code(error) != _MISSING:
            raise
        return None


def _profile(site: AwsSite, name: str) -> dict[str, Any] | None:
    try:
        answer = site.client("iam").get_instance_profile(InstanceProfileName=name)
    except Exception as error:
        if error_code(error) != _MISSING:
            raise
        return None
    return dict(answer["InstanceProfile"])


def _own(site: AwsSite, what: str, name: str, found: dict[str, Any] | None) -> str | None:
    if found is None:
        return None
    site.require_own(what, tag_map(found.get("Tags", [])))
    return name


def _document(given: Any) -> dict[str, Json]:
    """botocore decodes policies; what it leaves as text is decoded here."""
    return dict(json.loads(given)) if isinstance(given, str) else dict(given)
