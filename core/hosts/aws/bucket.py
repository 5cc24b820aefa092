"""The site's private bucket: made, secured, opened to one distribution, emptied and removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.cloud.aws import GLOBAL_REGION
from core.cloud.aws_errors import error_code, http_status
from core.cloud.config import NamedKind
from core.errors import CloudRefusedError
from core.hosts.aws.site import BUCKET, AwsSite, tag_list, tag_map
from core.models.execution import Json

BLOCKED = {
    "BlockPublicAcls": True, "IgnorePublicAcls": True,
    "BlockPublicPolicy": True, "RestrictPublicBuckets": True,
}  # fmt: skip
OWNERSHIP = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
ENCRYPTION = {
    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}],
}
LIFECYCLE = {
    "Rules": [
        {
            "ID": "former-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
    ]
}

_MISSING = frozenset({"404", "NoSuchBucket", "NotFound"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteBucket:
    """A bucket and where it lies."""

    name: str
    region: str
    partition: str

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.name}"

    @property
    def origin_domain(self) -> str:
        """The regional name: the global one answers redirects while a bucket is new."""
        ending = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"{self.name}.s3.{self.region}.{ending}"


def bucket_settings() -> dict[str, Json]:
    """What a bucket is set to, for the digest of the desired configuration."""
    block: Any = {"public": BLOCKED, "own": OWNERSHIP, "enc": ENCRYPTION, "life": LIFECYCLE}
    return dict(block)


def bucket_name(site: AwsSite) -> str:
    return site.names.name(NamedKind.S3)


def ensure_bucket(site: AwsSite) -> SiteBucket:
    """The session's bucket with all its settings: adopted where it is ours, else made.

    The name is in S3's global namespace: an account's own namespace appends the account's number
    and the region to a name, which leaves no room for the readable part, and a plan shows names
    before any login. So every call names the expected owner.

    Raises:
        CloudRefusedError: The name is somebody else's.
    """
    name = bucket_name(site)
    region = _region_of(site, name, may_be_taken=True)
    if region is None:
        region = site.region
        _create(site, name)
    bucket = SiteBucket(name=name, region=region, partition=site.account.partition(region))
    _adopt_tags(site, bucket)
    _secure(site, bucket)
    return bucket


def allow_distribution(site: AwsSite, bucket: SiteBucket, distribution_arn: str) -> None:
    """Let this one distribution read objects; nobody may list them."""
    with site.doing(f"set the policy of the bucket {bucket.name}"):
        _s3(site, bucket).put_bucket_policy(
            Bucket=bucket.name,
            ExpectedBucketOwner=site.account_id,
            Policy=json.dumps(bucket_policy(bucket, distribution_arn), sort_keys=True),
        )


def bucket_policy(bucket: SiteBucket, distribution_arn: str) -> dict[str, Json]:
    """Read access for CloudFront, and only on behalf of one distribution."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ReadThroughTheDistribution",
                "Effect": "Allow",
                "Principal": {"Service": "cloudfront.amazonaws.com"},
                "Action": "s3:GetObject",
                "Resource": f"{bucket.arn}/*",
                "Condition": {"StringEquals": {"AWS:SourceArn": distribution_arn}},
            }
        ],
    }


def is_policy(found: str, wanted: Mapping[str, Json]) -> bool:
    """Whether a policy's text says exactly this."""
    try:
        said = json.loads(found)
    except ValueError:
        return False
    return bool(said == wanted)


def find_bucket(site: AwsSite, name: str) -> SiteBucket | None:
    """The bucket of that name if it is there and ours.

    Raises:
        CloudRefusedError: It is somebody else's, or may not be looked at.
    """
    region = _region_of(site, name)
    if region is None:
        return None
    bucket = SiteBucket(name=name, region=region, partition=site.account.partition(region))
    site.require_own(f"The bucket {name}", bucket_tags(site, bucket))
    return bucket


def bucket_region(site: AwsSite, name: str) -> str | None:
    """Where the bucket of that name lies; None if there is none that may be looked at."""
    return _region_of(site, name, may_be_taken=True)


def remove_bucket(site: AwsSite, name: str) -> None:
    """Delete every version of every object, then the bucket; missing is fine."""
    bucket = find_bucket(site, name)
    if bucket is None:
        return
    s3 = _s3(site, bucket)
    with site.doing(f"empty the bucket {bucket.name}"):
        while batch := _some_versions(site, s3, bucket.name):
            answer = s3.delete_objects(
                Bucket=bucket.name,
                ExpectedBucketOwner=site.account_id,
                Delete={"Objects": batch, "Quiet": True},
            )
            _require_deleted(bucket.name, answer.get("Errors", []))
        _abort_uploads(site, s3, bucket.name)
    with site.doing(f"delete the bucket {bucket.name}"):
        s3.delete_bucket(Bucket=bucket.name, ExpectedBucketOwner=site.account_id)


def bucket_tags(site: AwsSite, bucket: SiteBucket) -> dict[str, str]:
    with site.doing(f"read the tags of the bucket {bucket.name}"):
        try:
            answer = _s3(site, bucket).get_bucket_tagging(
                Bucket=bucket.name, ExpectedBucketOwner=site.account_id
            )
        except Exception as error:
            if error_code(error) != "NoSuchTagSet":
                raise
            return {}
        return tag_map(answer["TagSet"])


def _region_of(site: AwsSite, name: str, *, may_be_taken: bool = False) -> str | None:
    """Where the bucket of that name lies; None if there is none.

    Args:
        may_be_taken: A refused look counts as none: making it then tells whose it is.
    """
    with site.doing(f"look for the bucket {name}"):
        try:
            answer = site.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=site.account_id)
        except Exception as error:
            if error_code(error) in _MISSING or (may_be_taken and http_status(error) == 403):
                return None
            raise
    return str(answer.get("BucketRegion") or site.region)


def _create(site: AwsSite, name: str) -> None:
    place: dict[str, Any] = {"Tags": tag_list(site.tags)}
    if site.region != GLOBAL_REGION:
        place["LocationConstraint"] = site.region
    s3 = site.client("s3")

    def create() -> None:
        try:
            s3.create_bucket(
                Bucket=name, ObjectOwnership="BucketOwnerEnforced", CreateBucketConfiguration=place
            )
        except Exception as error:
            if error_code(error) == "BucketAlreadyExists":
                raise _taken(name) from error
            if error_code(error) != "BucketAlreadyOwnedByYou":
                raise

    site.settled(f"make the bucket {name}", create, "OperationAborted")


def _adopt_tags(site: AwsSite, bucket: SiteBucket) -> None:
    """Tags come with the creating call; where they did not, or some were removed, they are set."""
    found = bucket_tags(site, bucket)
    if found:
        site.require_own(f"The bucket {bucket.name}", found)
    wanted = {**site.tags, **found}
    site.made(BUCKET, bucket.name, wanted)
    if found != wanted:
        with site.doing(f"tag the bucket {bucket.name}"):
            _s3(site, bucket).put_bucket_tagging(
                Bucket=bucket.name,
                ExpectedBucketOwner=site.account_id,
                Tagging={"TagSet": tag_list(wanted)},
            )


def _secure(site: AwsSite, bucket: SiteBucket) -> None:
    s3, named = _s3(site, bucket), {"Bucket": bucket.name, "ExpectedBucketOwner": site.account_id}
    with site.doing(f"secure the bucket {bucket.name}"):
        s3.put_public_access_block(**named, PublicAccessBlockConfiguration=BLOCKED)
        s3.put_bucket_ownership_controls(**named, OwnershipControls=OWNERSHIP)
        s3.put_bucket_encryption(**named, ServerSideEncryptionConfiguration=ENCRYPTION)
        s3.put_bucket_versioning(**named, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_lifecycle_configuration(**named, LifecycleConfiguration=LIFECYCLE)


def _some_versions(site: AwsSite, s3: Any, name: str) -> list[dict[str, str]]:
    """The first page of what is left: after each deletion the listing begins anew."""
    page = s3.list_object_versions(Bucket=name, ExpectedBucketOwner=site.account_id)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]


def _abort_uploads(site: AwsSite, s3: Any, name: str) -> None:
    """Parts of an upload that was cut off are no objects, but they are kept and charged."""
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=name, ExpectedBucketOwner=site.account_id
    )
    for page in pages:
        for one in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=name, Key=one["Key"], UploadId=one["UploadId"])


def _require_deleted(name: str, errors: list[dict[str, str]]) -> None:
    if not errors:
        return
    first = errors[0]
    raise CloudRefusedError(
        f"{len(errors)} objects of the bucket {name} could not be deleted, the first is"
        f" {first.get('Key', '')[:100]!r}: {first.get('Message', first.get('Code', ''))[:200]}.",
        remedy="Give the login the right s3:DeleteObjectVersion, then run it again.",
    )


def _s3(site: AwsSite, bucket: SiteBucket) -> Any:
    return site.client("s3", bucket.region)


def _taken(name: str) -> CloudRefusedError:
    return CloudRefusedError(
        f"The bucket name {name} is taken: another account owns it.",
        remedy="Deploy with --suffix and a word of your own, which makes another name.",
        code="name_taken",
    )
