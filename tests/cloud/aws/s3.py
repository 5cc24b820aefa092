"""S3's refusals that moto leaves out; what is allowed goes on to moto."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from moto.s3.models import s3_backends
from werkzeug.wrappers import Response

from tests.cloud.aws.required_tags import require_tags
from tests.cloud.aws.wire import Call, RefusedError

PUBLIC_ACLS = {"public-read", "public-read-write", "authenticated-read", "aws-exec-read"}
VERSIONS_PAGE = 7


class S3:
    """One account's buckets; Block Public Access is on for every new one, ACLs are off."""

    def __init__(self, account_id: str, uses_bucket: Callable[[str], bool]) -> None:
        self.account_id = account_id
        self.foreign: set[str] = set()
        """Names that another account has."""
        self.violations: list[str] = []
        self._uses_bucket = uses_bucket
        self._tags: dict[str, dict[str, str]] = {}

    @property
    def backend(self) -> Any:
        return s3_backends[self.account_id]["aws"]

    def bucket(self, name: str) -> Any:
        return self.backend.buckets.get(name)

    def empty(self) -> None:
        self.foreign.clear()
        self.violations.clear()
        self._tags.clear()

    def answer(self, call: Call) -> Response | None:
        name = unquote(call.path.split("/")[1])
        owner = call.headers.get("x-amz-expected-bucket-owner")
        if call.operation == "CreateBucket":
            self._check_new(call, name)
        elif name in self.foreign or (owner and owner != self.account_id):
            raise RefusedError("AccessDenied", f"the bucket {name} is somebody else's", 403)
        checks: dict[str, Callable[[Call, str], Response | None]] = {
            "PutBucketPolicy": self._check_policy, "PutBucketAcl": self._refuse_acl,
            "PutObjectAcl": self._refuse_acl, "PutObject": self._check_object,
            "DeleteBucket": self._check_empty, "GetBucketPolicyStatus": self._policy_status,
            "ListObjectVersions": self._short_page, "PutBucketTagging": self._check_tags,
        }  # fmt: skip
        check = checks.get(call.operation)
        return None if check is None else check(call, name)

    def after(self, call: Call, response: Response) -> None:
        """A new bucket has its tags and its block from the beginning, as S3 makes it."""
        name = call.path.split("/")[1]
        if call.operation == "CreateBucket" and name in self._tags:
            self.backend.put_bucket_tagging(name, self._tags.pop(name))
            self.backend.put_public_access_block(
                name,
                {
                    "BlockPublicAcls": "true", "IgnorePublicAcls": "true",
                    "BlockPublicPolicy": "true", "RestrictPublicBuckets": "true",
                },
            )  # fmt: skip

    def tags(self, name: str) -> dict[str, str]:
        found = self.backend.tagger.get_tag_dict_for_resource(self.bucket(name).arn)
        return {str(key): str(value) for key, value in found.items()}

    def tagged(self, region: str) -> dict[str, dict[str, str]]:
        """Tags of the buckets in a region, by ARN."""
        return {
            bucket.arn: self.tags(name)
            for name, bucket in list(self.backend.buckets.items())
            if bucket.region_name == region
        }

    def _check_new(self, call: Call, name: str) -> None:
        if name in self.foreign:
            raise RefusedError("BucketAlreadyExists", f"{name} is taken", 409)
        if self.bucket(name) is not None:
            return
        acl = call.headers.get("x-amz-acl")
        if acl in PUBLIC_ACLS:
            raise RefusedError("InvalidBucketAclWithObjectOwnership", "ACLs are off")
        tags, constraint = _creation(call.body)
        if (constraint or "us-east-1") != call.region or constraint == "us-east-1":
            raise RefusedError(
                "IllegalLocationConstraintException", f"{constraint} at {call.region}"
            )
        require_tags(tags)
        self._tags[name] = tags

    def _check_policy(self, call: Call, name: str) -> None:
        bucket = self.bucket(name)
        if bucket is None:
            return
        statements = json.loads(call.body)["Statement"]
        block = bucket.public_access_block
        if _is_public(statements) and block is not None and block.block_public_policy:
            raise RefusedError("AccessDenied", "public policies are blocked", 403)
        for one in statements:
            if "cloudfront.amazonaws.com" in str(one.get("Principal")) and not _source_of(one):
                raise RefusedError("MalformedPolicy", "CloudFront without AWS:SourceArn")

    def _refuse_acl(self, call: Call, name: str) -> None:
        raise RefusedError("AccessControlListNotSupported", f"ACLs are off in {name}")

    def _check_object(self, call: Call, name: str) -> None:
        if "x-amz-acl" in call.headers:
            raise RefusedError("AccessControlListNotSupported", f"ACLs are off in {name}")

    def _check_tags(self, call: Call, name: str) -> None:
        require_tags(_tag_set(ET.fromstring(call.body)))

    def _check_empty(self, call: Call, name: str) -> None:
        bucket = self.bucket(name)
        if bucket is None:
            return
        if any(bucket.keys.getlist(key) for key in bucket.keys):
            raise RefusedError("BucketNotEmpty", f"{name} has versions or delete markers", 409)
        if self._uses_bucket(name):
            self.violations.append(f"{name} was deleted while a distribution reads it")

    def _policy_status(self, call: Call, name: str) -> Response | None:
        bucket = self.bucket(name)
        if bucket is None or bucket.policy is None:
            return None
        public = _is_public(json.loads(bucket.policy)["Statement"])
        text = f"<PolicyStatus><IsPublic>{str(public).upper()}</IsPublic></PolicyStatus>"
        return Response(text, 200, content_type="application/xml")

    def _short_page(self, call: Call, name: str) -> None:
        query = str(call.environ["QUERY_STRING"])
        parts = [part for part in query.split("&") if not part.startswith("max-keys=")]
        call.environ["QUERY_STRING"] = "&".join([*parts, f"max-keys={VERSIONS_PAGE}"])


def may_read(bucket: Any, distribution_arn: str) -> bool:
    """Whether the bucket's policy lets this distribution get objects."""
    if bucket.policy is None:
        return False
    return any(
        one["Effect"] == "Allow"
        and one["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        and one["Action"] in ("s3:GetObject", ["s3:GetObject"])
        and one["Resource"] in (f"{bucket.arn}/*", [f"{bucket.arn}/*"])
        and _source_of(one) == distribution_arn
        for one in json.loads(bucket.policy)["Statement"]
    )


def _is_public(statements: list[dict[str, Any]]) -> bool:
    return any(
        one["Effect"] == "Allow"
        and one["Principal"] in ("*", {"AWS": "*"})
        and not one.get("Condition")
        for one in statements
    )


def _source_of(statement: dict[str, Any]) -> str | None:
    for test in ("StringEquals", "ArnEquals"):
        for name, value in statement.get("Condition", {}).get(test, {}).items():
            if name.lower() == "aws:sourcearn":
                return str(value)
    return None


def _creation(body: bytes) -> tuple[dict[str, str], str | None]:
    if not body:
        return {}, None
    root = ET.fromstring(body)
    found = [node.text for node in root if node.tag.endswith("LocationConstraint")]
    return _tag_set(root), found[0] if found else None


def _tag_set(root: ET.Element) -> dict[str, str]:
    tags: dict[str, str] = {}
    for node in root.iter():
        if node.tag.rpartition("}")[2] == "Tag":
            parts = {child.tag.rpartition("}")[2]: child.text or "" for child in node}
            tags[parts["Key"]] = parts["Value"]
    return tags
