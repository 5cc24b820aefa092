"""What the product may do in an AWS account, as one IAM policy: the least that its hosts need.

`OPERATIONS` names every call that the hosts make; `STATEMENTS` allow the actions behind them and
nothing else. Names begin with `tmux-`, and what takes tags is reached by its tag `Project`.

Kept in the account under `POLICY_NAME`, it is also the boundary of the roles that the product makes
for instances, and rights are given within that boundary only: whoever has the login cannot make
a role that may more than the login itself. Hence it allows what instances need, to them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.models.execution import Json

LONGEST_CHARS = 6144
"""What IAM takes for one managed policy, without blanks."""

PROJECT = "tmux-builder"

POLICY_NAME = "tmux-builder"
"""Of the managed policy; `aws iam create-policy --policy-name tmux-builder`."""

_ANY = ("*",)
_REQUESTED: Mapping[str, Json] = {"StringEquals": {"aws:RequestTag/Project": PROJECT}}
_OWNED: Mapping[str, Json] = {"StringEquals": {"aws:ResourceTag/Project": PROJECT}}
_SSM_CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
_ROLES = "arn:aws:iam::*:role/tmux-*"
_BOUNDED: Mapping[str, Json] = {
    "ArnLike": {"iam:PermissionsBoundary": f"arn:aws:iam::*:policy/{POLICY_NAME}"}
}
_INSTANCES: Mapping[str, Json] = {"ArnLike": {"aws:PrincipalArn": _ROLES}}

OPERATIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sts": {"get_caller_identity": ()},
    "resourcegroupstaggingapi": {"get_resources": ("tag:GetResources",)},
    "s3": {
        "head_bucket": ("s3:ListBucket",),
        "create_bucket": ("s3:CreateBucket", "s3:PutBucketOwnershipControls", "s3:TagResource"),
        "put_bucket_ownership_controls": ("s3:PutBucketOwnershipControls",),
        "put_public_access_block": ("s3:PutBucketPublicAccessBlock",),
        "get_public_access_block": ("s3:GetBucketPublicAccessBlock",),
        "put_bucket_encryption": ("s3:PutEncryptionConfiguration",),
        "put_bucket_versioning": ("s3:PutBucketVersioning",),
        "get_bucket_versioning": ("s3:GetBucketVersioning",),
        "put_bucket_lifecycle_configuration": ("s3:PutLifecycleConfiguration",),
        "put_bucket_tagging": ("s3:PutBucketTagging",),
        "get_bucket_tagging": ("s3:GetBucketTagging",),
        "put_bucket_policy": ("s3:PutBucketPolicy",),
        "get_bucket_policy": ("s3:GetBucketPolicy",),
        "get_bucket_policy_status": ("s3:GetBucketPolicyStatus",),
        "list_objects_v2": ("s3:ListBucket",),
        "list_object_versions": ("s3:ListBucketVersions",),
        "list_multipart_uploads": ("s3:ListBucketMultipartUploads",),
        "abort_multipart_upload": ("s3:AbortMultipartUpload",),
        "put_object": ("s3:PutObject",),
        "delete_object": ("s3:DeleteObject",),
        "delete_objects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
        "delete_bucket": ("s3:DeleteBucket",),
    },
    "cloudfront": {
        "list_cache_policies": ("cloudfront:ListCachePolicies",),
        "list_origin_request_policies": ("cloudfront:ListOriginRequestPolicies",),
        "list_response_headers_policies": ("cloudfront:ListResponseHeadersPolicies",),
        "list_distributions": ("cloudfront:ListDistributions",),
        "list_origin_access_controls": ("cloudfront:ListOriginAccessControls",),
        "list_tags_for_resource": ("cloudfront:ListTagsForResource",),
        "create_origin_access_control": ("cloudfront:CreateOriginAccessControl",),
        "get_origin_access_control": ("cloudfront:GetOriginAccessControl",),
        "delete_origin_access_control": ("cloudfront:DeleteOriginAccessControl",),
        "create_function": ("cloudfront:CreateFunction", "cloudfront:TagResource"),
        "describe_function": ("cloudfront:DescribeFunction",),
        "get_function": ("cloudfront:GetFunction",),
        "update_function": ("cloudfront:UpdateFunction",),
        "test_function": ("cloudfront:TestFunction",),
        "publish_function": ("cloudfront:PublishFunction",),
        "delete_function": ("cloudfront:DeleteFunction",),
        "create_distribution_with_tags": (
            "cloudfront:CreateDistribution", "cloudfront:TagResource",
        ),
        "get_distribution": ("cloudfront:GetDistribution",),
        "get_distribution_config": ("cloudfront:GetDistributionConfig",),
        "update_distribution": ("cloudfront:UpdateDistribution",),
        "delete_distribution": ("cloudfront:DeleteDistribution",),
        "create_invalidation": ("cloudfront:CreateInvalidation",),
        "get_invalidation": ("cloudfront:GetInvalidation",),
    },
    "ec2": {
        "describe_addresses": ("ec2:DescribeAddresses",),
        "describe_images": ("ec2:DescribeImages",),
        "describe_instances": ("ec2:DescribeInstances",),
        "describe_managed_prefix_lists": ("ec2:DescribeManagedPrefixLists",),
        "describe_security_groups": ("ec2:DescribeSecurityGroups",),
        "describe_volumes": ("ec2:DescribeVolumes",),
        "describe_vpcs": ("ec2:DescribeVpcs",),
        "create_security_group": ("ec2:CreateSecurityGroup", "ec2:CreateTags"),
        "authorize_security_group_ingress": ("ec2:AuthorizeSecurityGroupIngress",),
        "revoke_security_group_ingress": ("ec2:RevokeSecurityGroupIngress",),
        "delete_security_group": ("ec2:DeleteSecurityGroup",),
        "run_instances": ("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"),
        "start_instances": ("ec2:StartInstances",),
        "terminate_instances": ("ec2:TerminateInstances",),
        "allocate_address": ("ec2:AllocateAddress", "ec2:CreateTags"),
        "associate_address": ("ec2:AssociateAddress",),
        "disassociate_address": ("ec2:DisassociateAddress",),
        "release_address": ("ec2:ReleaseAddress",),
    },
    "iam": {
        "create_role": ("iam:CreateRole", "iam:TagRole"),
        "get_role": ("iam:GetRole",),
        "put_role_permissions_boundary": ("iam:PutRolePermissionsBoundary",),
        "attach_role_policy": ("iam:AttachRolePolicy",),
        "detach_role_policy": ("iam:DetachRolePolicy",),
        "list_attached_role_policies": ("iam:ListAttachedRolePolicies",),
        "put_role_policy": ("iam:PutRolePolicy",),
        "get_role_policy": ("iam:GetRolePolicy",),
        "delete_role_policy": ("iam:DeleteRolePolicy",),
        "list_role_policies": ("iam:ListRolePolicies",),
        "delete_role": ("iam:DeleteRole",),
        "create_instance_profile": ("iam:CreateInstanceProfile", "iam:TagInstanceProfile"),
        "get_instance_profile": ("iam:GetInstanceProfile",),
        "add_role_to_instance_profile": ("iam:AddRoleToInstanceProfile", "iam:PassRole"),
        "remove_role_from_instance_profile": ("iam:RemoveRoleFromInstanceProfile",),
        "delete_instance_profile": ("iam:DeleteInstanceProfile",),
    },
    "ssm": {
        "get_parameter": ("ssm:GetParameter",),
        "get_parameters_by_path": ("ssm:GetParametersByPath",),
        "put_parameter": ("ssm:PutParameter", "ssm:AddTagsToResource"),
        "list_tags_for_resource": ("ssm:ListTagsForResource",),
        "delete_parameters": ("ssm:DeleteParameters",),
        "describe_instance_information": ("ssm:DescribeInstanceInformation",),
        "send_command": ("ssm:SendCommand",),
        "get_command_invocation": ("ssm:GetCommandInvocation",),
    },
    "route53": {
        "list_hosted_zones_by_name": ("route53:ListHostedZonesByName",),
        "list_resource_record_sets": ("route53:ListResourceRecordSets",),
        "change_resource_record_sets": ("route53:ChangeResourceRecordSets",),
        "get_change": ("route53:GetChange",),
    },
    "acm": {
        "list_certificates": ("acm:ListCertificates",),
        "request_certificate": ("acm:RequestCertificate", "acm:AddTagsToCertificate"),
        "describe_certificate": ("acm:DescribeCertificate",),
        "list_tags_for_certificate": ("acm:ListTagsForCertificate",),
        "delete_certificate": ("acm:DeleteCertificate",),
    },
}  # fmt: skip
"""By boto3's client and method; objects of a site travel through obstore under S3's names."""


INSTANCE_ACTIONS = ("ec2messages:*", "ssm:UpdateInstanceInformation", "ssmmessages:*")
"""What SSM's agent on an instance calls."""
ARCHIVE_ACTIONS = ("s3:GetObject",)
"""What an instance reads besides its variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Actions on resources, under a condition where AWS knows one for them."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = _ANY
    condition: Mapping[str, Json] | None = None

    def document(self) -> dict[str, Json]:
        found: dict[str, Json] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": [*self.actions],
            "Resource": [*self.resources],
        }
        return found if self.condition is None else {**found, "Condition": dict(self.condition)}


STATEMENTS = (
    # Lists know no resource; tags and state are read before anything is known to be ours.
    Statement(
        sid="Look",
        actions=(
            "acm:ListCertificates", "cloudfront:DescribeFunction", "cloudfront:GetDistribution",
            "cloudfront:GetDistributionConfig", "cloudfront:ListCachePolicies",
            "cloudfront:ListDistributions", "cloudfront:ListOriginAccessControls",
            "cloudfront:ListOriginRequestPolicies", "cloudfront:ListResponseHeadersPolicies",
            "cloudfront:ListTagsForResource", "ec2:DescribeAddresses", "ec2:DescribeImages",
            "ec2:DescribeInstances", "ec2:DescribeManagedPrefixLists",
            "ec2:DescribeSecurityGroups", "ec2:DescribeVolumes", "ec2:DescribeVpcs",
            "route53:ListHostedZonesByName", "ssm:DescribeInstanceInformation",
            "ssm:GetCommandInvocation", "tag:GetResources",
        ),
    ),
    Statement(
        sid="Buckets",
        actions=(
            "s3:CreateBucket", "s3:DeleteBucket", "s3:GetBucketPolicy", "s3:GetBucketPolicyStatus",
            "s3:GetBucketPublicAccessBlock", "s3:GetBucketTagging", "s3:GetBucketVersioning",
            "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions",
            "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration", "s3:TagResource",
        ),
        resources=("arn:aws:s3:::tmux-*",),
    ),
    Statement(
        sid="Objects",
        actions=(
            "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion",
            *ARCHIVE_ACTIONS, "s3:PutObject",
        ),
        resources=("arn:aws:s3:::tmux-*/*",),
    ),
    Statement(
        sid="EdgeMake",
        actions=(
            "cloudfront:CreateDistribution", "cloudfront:CreateFunction", "cloudfront:TagResource",
        ),
        resources=(
            "arn:aws:cloudfront::*:distribution/*", "arn:aws:cloudfront::*:function/tmux-*",
        ),
        condition=_REQUESTED,
    ),
    Statement(
        sid="EdgeOwn",
        actions=(
            "cloudfront:CreateInvalidation", "cloudfront:DeleteDistribution",
            "cloudfront:DeleteFunction", "cloudfront:GetFunction", "cloudfront:GetInvalidation",
            "cloudfront:PublishFunction", "cloudfront:TestFunction",
            "cloudfront:UpdateDistribution", "cloudfront:UpdateFunction",
        ),
        condition=_OWNED,
    ),
    # An origin access control has neither tags nor a name in its ARN.
    Statement(
        sid="EdgeAccess",
        actions=(
            "cloudfront:CreateOriginAccessControl", "cloudfront:DeleteOriginAccessControl",
            "cloudfront:GetOriginAccessControl",
        ),
        resources=("arn:aws:cloudfront::*:origin-access-control/*",),
    ),
    Statement(
        sid="Roles",
        actions=(
            "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile",
            "iam:DeleteInstanceProfile", "iam:DeleteRole", "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy", "iam:GetInstanceProfile", "iam:GetRole", "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies", "iam:ListRolePolicies",
            "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole",
        ),
        resources=(_ROLES, "arn:aws:iam::*:instance-profile/tmux-*"),
    ),
    # What a role may do is decided within the boundary; nobody here can take that away.
    Statement(
        sid="RoleMake",
        actions=("iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
        resources=(_ROLES,),
        condition=_BOUNDED,
    ),
    Statement(
        sid="RoleCore",
        actions=("iam:AttachRolePolicy",),
        resources=(_ROLES,),
        condition={"ArnEquals": {"iam:PolicyARN": _SSM_CORE}, **_BOUNDED},
    ),
    Statement(
        sid="RolePass",
        actions=("iam:PassRole",),
        resources=(_ROLES,),
        condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    ),
    # A boundary gives nothing by itself: an instance has of this what its own policies say.
    Statement(sid="Instance", actions=INSTANCE_ACTIONS, condition=_INSTANCES),
    Statement(
        sid="ComputeMake",
        actions=("ec2:AllocateAddress", "ec2:CreateSecurityGroup", "ec2:RunInstances"),
        resources=(
            "arn:aws:ec2:*:*:elastic-ip/*", "arn:aws:ec2:*:*:instance/*",
            "arn:aws:ec2:*:*:network-interface/*", "arn:aws:ec2:*:*:security-group/*",
            "arn:aws:ec2:*:*:volume/*",
        ),
        condition=_REQUESTED,
    ),
    # What an instance is made of is asked for too, and carries no tag in that request.
    Statement(
        sid="ComputeIn",
        actions=("ec2:CreateSecurityGroup", "ec2:RunInstances"),
        resources=(
            "arn:aws:ec2:*::image/*", "arn:aws:ec2:*:*:subnet/*", "arn:aws:ec2:*:*:vpc/*",
        ),
    ),
    Statement(
        sid="ComputeTag",
        actions=("ec2:CreateTags",),
        resources=("arn:aws:ec2:*:*:*/*",),
        condition={
            "StringEquals": {
                "ec2:CreateAction": ["AllocateAddress", "CreateSecurityGroup", "RunInstances"],
            }
        },
    ),
    # To run an instance is to use a security group that is there already.
    Statement(
        sid="ComputeOwn",
        actions=(
            "ec2:AssociateAddress", "ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup",
            "ec2:DisassociateAddress", "ec2:ReleaseAddress", "ec2:RevokeSecurityGroupIngress",
            "ec2:RunInstances", "ec2:StartInstances", "ec2:TerminateInstances",
        ),
        condition=_OWNED,
    ),
    Statement(
        sid="Images",
        actions=("ssm:GetParameter",),
        resources=("arn:aws:ssm:*::parameter/aws/service/*",),
    ),
    Statement(
        sid="Variables",
        actions=(
            "ssm:AddTagsToResource", "ssm:DeleteParameters", "ssm:GetParameter",
            "ssm:GetParametersByPath", "ssm:ListTagsForResource", "ssm:PutParameter",
        ),
        resources=("arn:aws:ssm:*:*:parameter/tmux-*",),
    ),
    Statement(
        sid="Command",
        actions=("ssm:SendCommand",),
        resources=("arn:aws:ssm:*::document/AWS-RunShellScript",),
    ),
    Statement(
        sid="CommandOn",
        actions=("ssm:SendCommand",),
        resources=("arn:aws:ec2:*:*:instance/*",),
        condition=_OWNED,
    ),
    Statement(
        sid="Names",
        actions=(
            "route53:ChangeResourceRecordSets", "route53:GetChange",
            "route53:ListResourceRecordSets",
        ),
        resources=("arn:aws:route53:::hostedzone/*", "arn:aws:route53:::change/*"),
    ),
    Statement(
        sid="CertMake",
        actions=("acm:AddTagsToCertificate", "acm:RequestCertificate"),
        condition=_REQUESTED,
    ),
    Statement(
        sid="CertOwn",
        actions=("acm:DeleteCertificate", "acm:DescribeCertificate", "acm:ListTagsForCertificate"),
        condition=_OWNED,
    ),
)  # fmt: skip


def aws_policy() -> dict[str, Json]:
    """The policy document, ready for `aws iam create-policy --policy-document`."""
    statements: list[Json] = [one.document() for one in STATEMENTS]
    return {"Version": "2012-10-17", "Statement": statements}
