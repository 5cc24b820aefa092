"""IAM's refusals that moto leaves out; what is allowed goes on to moto."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from moto.iam.models import AWSManagedPolicy, iam_backends
from werkzeug.wrappers import Response

from tests.cloud.aws.instance_rights import Rights
from tests.cloud.aws.query import read_form
from tests.cloud.aws.required_tags import pairs, require_tags
from tests.cloud.aws.wire import Call, RefusedError

CORE_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
_CORE_RIGHTS: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ssm:DescribeAssociation", "ssm:GetParameter", "ssm:GetParameters",
                "ssm:UpdateInstanceInformation", "ssmmessages:*", "ec2messages:*",
            ],
            "Resource": "*",
        }
    ],
}  # fmt: skip


class Iam:
    """Roles and instance profiles of one account, and what an instance may do by them."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.policies: dict[str, dict[str, Any]] = {}
        """Documents of the account's own managed policies, by ARN."""
        self.needs_boundary: str | None = None
        """The login may give rights within this policy only."""
        self.empty()

    @property
    def backend(self) -> Any:
        return iam_backends[self.account_id]["aws"]

    def empty(self) -> None:
        """After moto has forgotten everything."""
        self.policies.clear()
        self.needs_boundary = None
        policy = AWSManagedPolicy.from_data(
            CORE_POLICY.rpartition("/")[2], self.account_id, "us-east-1",
            {
                "Arn": CORE_POLICY, "Path": "/", "CreateDate": "2019-03-15T17:22:12+00:00",
                "DefaultVersionId": "v1", "Document": _CORE_RIGHTS,
                "UpdateDate": "2019-03-15T17:22:12+00:00",
            },
        )  # fmt: skip
        self.backend.managed_policies[CORE_POLICY] = policy

    def answer(self, call: Call) -> Response | None:
        values = read_form(call)
        if call.operation in ("CreateRole", "CreateInstanceProfile"):
            if self._exists(call.operation, values):
                return None
            require_tags(pairs(values.get("Tags", [])))
        self._check_boundary(call.operation, values)
        if call.operation == "CreateRole":
            _check_trust(values)
        if call.operation == "PutRolePolicy":
            _check_rights(json.loads(values["PolicyDocument"]))
        if call.operation == "AttachRolePolicy" and values["PolicyArn"] != CORE_POLICY:
            raise RefusedError("AccessDenied", "a policy allows only SSM's core", 403)
        return None

    def after(self, call: Call, response: Response) -> None:
        """moto keeps what it was told."""

    def role_of(self, profile: str) -> str | None:
        found = self._profile(profile)
        return next((str(role.name) for role in found.roles), None) if found else None

    def rights_of(self, profile: str) -> Rights:
        """The statements of all policies of the role in a profile, and of its boundary."""
        role = self._role(self.role_of(profile) or "")
        if role is None:
            return Rights(principal="", statements=[])
        attached = [_CORE_RIGHTS for arn in role.managed_policies if arn == CORE_POLICY]
        inline = [json.loads(unquote(text)) for text in role.policies.values()]
        statements = [one for document in [*attached, *inline] for one in document["Statement"]]
        arn = role.permissions_boundary_arn
        bounds = None if arn is None else self.policies[arn]["Statement"]
        return Rights(principal=role.arn, statements=statements, bounds=bounds)

    def tagged(self) -> dict[str, dict[str, str]]:
        roles = {one.arn: one.tags for one in self.backend.roles.values()}
        profiles = {one.arn: one.tags for one in self.backend.instance_profiles.values()}
        return {arn: _tag_values(tags) for arn, tags in {**roles, **profiles}.items()}

    def state(self) -> dict[str, Any]:
        """All that is there, for comparison."""
        return {
            "roles": {
                one.name: {
                    "policies": {name: json.loads(text) for name, text in one.policies.items()},
                    "attached": sorted(one.managed_policies),
                    "boundary": one.permissions_boundary_arn,
                }
                for one in self.backend.roles.values()
            },
            "profiles": {
                one.name: sorted(role.name for role in one.roles)
                for one in self.backend.instance_profiles.values()
            },
        }

    def _check_boundary(self, operation: str, values: dict[str, Any]) -> None:
        """Before anything else it is decided whether the login may."""
        if operation in ("CreateRole", "PutRolePermissionsBoundary"):
            arn = values.get("PermissionsBoundary")
        elif operation in ("PutRolePolicy", "AttachRolePolicy"):
            arn = getattr(self._role(values["RoleName"]), "permissions_boundary_arn", None)
        else:
            return
        if self.needs_boundary not in (None, arn):
            raise RefusedError("AccessDenied", "no right to give rights without bounds", 403)
        if arn is not None and arn not in self.policies:
            said = f"Scope ARN: {arn} does not exist or is not attachable."
            raise RefusedError("NoSuchEntity", said, 404)

    def _exists(self, operation: str, values: dict[str, Any]) -> bool:
        if operation == "CreateRole":
            return self._role(values["RoleName"]) is not None
        return self._profile(values["InstanceProfileName"]) is not None

    def _role(self, name: str) -> Any:
        return next((one for one in self.backend.roles.values() if one.name == name), None)

    def _profile(self, name: str) -> Any:
        known = self.backend.instance_profiles.values()
        return next((one for one in known if one.name == name), None)


def _check_trust(values: dict[str, Any]) -> None:
    statements = json.loads(values["AssumeRolePolicyDocument"])["Statement"]
    if [one["Principal"] for one in statements] != [{"Service": "ec2.amazonaws.com"}]:
        raise RefusedError("AccessDenied", "only an instance takes this role", 403)


def _check_rights(document: dict[str, Any]) -> None:
    """A policy of the organisation: nothing is allowed on everything."""
    for one in document["Statement"]:
        resources = one.get("Resource", [])
        named = [resources] if isinstance(resources, str) else resources
        if one["Effect"] == "Allow" and (not named or "*" in named):
            raise RefusedError("MalformedPolicyDocument", "a right without a resource")


def _tag_values(tags: Any) -> dict[str, str]:
    found = tags.values() if hasattr(tags, "values") else tags
    return {one["Key"]: one["Value"] for one in found}
