"""The AWS stand-in refuses what AWS refuses: without that a broken deploy would pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from tests.cloud.aws.fixtures import PROFILE, AwsPlace
from tests.cloud.aws.required_tags import EVERYWHERE, OF_A_SESSION, items_of

TAGS = dict.fromkeys(EVERYWHERE | OF_A_SESSION, "x")
BUCKET = "tmux-strict"
FUNCTION = "function handler(event) { return event.request; }"


class Account:
    """Raw clients, and the shortest way to a working distribution."""

    def __init__(self, place: AwsPlace) -> None:
        self.place = place
        self.s3, self.cloudfront = _clients(place.url)

    def bucket(self, **more: Any) -> None:
        self.s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"Tags": items_of(TAGS)}, **more
        )

    def control(self) -> str:
        config = {
            "Name": "one", "SigningProtocol": "sigv4", "SigningBehavior": "always",
            "OriginAccessControlOriginType": "s3",
        }  # fmt: skip
        made = self.cloudfront.create_origin_access_control(OriginAccessControlConfig=config)
        return str(made["OriginAccessControl"]["Id"])

    def config(self, control: str = "", **more: Any) -> dict[str, Any]:
        policy = self.place.cloudfront.policies.ids["cache"]["Managed-CachingOptimized"]
        origin = {
            "Id": "o", "DomainName": f"{BUCKET}.s3.us-east-1.amazonaws.com",
            "S3OriginConfig": {"OriginAccessIdentity": ""},
        }  # fmt: skip
        if control:
            origin["OriginAccessControlId"] = control
        return {
            "CallerReference": "ref", "Comment": "c", "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": {
                "TargetOriginId": "o", "ViewerProtocolPolicy": "redirect-to-https",
                "CachePolicyId": policy,
            },
            **more,
        }  # fmt: skip

    def distribution(self, config: dict[str, Any], tags: dict[str, str] | None = None) -> Any:
        wanted = {
            "DistributionConfig": config,
            "Tags": {"Items": items_of(TAGS if tags is None else tags)},
        }
        made = self.cloudfront.create_distribution_with_tags(DistributionConfigWithTags=wanted)
        return made["Distribution"]

    def deployed(self, distribution_id: str) -> None:
        while self.cloudfront.get_distribution(Id=distribution_id)["Distribution"]["Status"] != (
            "Deployed"
        ):
            continue

    def allow(self, arn: str | None) -> None:
        statement = {
            "Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*",
        }  # fmt: skip
        condition = {"Condition": {"StringEquals": {"AWS:SourceArn": arn}}} if arn else {}
        policy = {"Version": "2012-10-17", "Statement": [{**statement, **condition}]}
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))

    def served(self, found: Any, path: str) -> requests.Response:
        return requests.get(f"https://{found['DomainName']}{path}", timeout=5)


@cache
def _clients(_url: str) -> tuple[Any, Any]:
    """One pair for a server: clients are dear."""
    session = boto3.Session(profile_name=PROFILE)
    return session.client("s3"), session.client("cloudfront")


@pytest.fixture
def account(aws_place: AwsPlace) -> Account:
    return Account(aws_place)


def refused(code: str, act: Callable[[], object]) -> None:
    with pytest.raises(ClientError) as caught:
        act()
    assert caught.value.response["Error"]["Code"] == code


def test_public_policies_and_acls_are_refused(account: Account) -> None:
    account.bucket()
    public = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [public]})
    refused("AccessDenied", lambda: account.s3.put_bucket_policy(Bucket=BUCKET, Policy=text))
    refused(
        "AccessControlListNotSupported",
        lambda: account.s3.put_object(Bucket=BUCKET, Key="a", ACL="public-read"),
    )
    refused("MalformedPolicy", lambda: account.allow(None))


def test_what_lacks_tags_is_not_made(account: Account) -> None:
    refused("AccessDenied", lambda: account.s3.create_bucket(Bucket=BUCKET))
    refused("AccessDenied", lambda: account.distribution(account.config(), {}))
    refused(
        "AccessDenied",
        lambda: account.cloudfront.create_distribution(DistributionConfig=account.config()),
    )
    refused("AccessDenied", lambda: _function(account, {}))


def test_a_place_for_a_bucket_is_told_outside_the_first_region_only(account: Account) -> None:
    place = {"LocationConstraint": "us-east-1", "Tags": items_of(TAGS)}
    refused(
        "IllegalLocationConstraintException",
        lambda: account.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place),
    )


def test_a_taken_bucket_name_is_refused(account: Account) -> None:
    account.place.s3.foreign.add(BUCKET)
    refused("BucketAlreadyExists", account.bucket)
    refused("403", lambda: account.s3.head_bucket(Bucket=BUCKET))


def test_a_bucket_with_versions_is_not_deleted(account: Account) -> None:
    account.bucket()
    account.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    account.s3.put_object(Bucket=BUCKET, Key="a", Body=b"a")
    account.s3.delete_object(Bucket=BUCKET, Key="a")
    refused("BucketNotEmpty", lambda: account.s3.delete_bucket(Bucket=BUCKET))


def test_deprecated_members_and_unknown_ids_are_refused(account: Account) -> None:
    legacy = account.config()
    legacy["DefaultCacheBehavior"]["ForwardedValues"] = {
        "QueryString": False, "Cookies": {"Forward": "none"},
    }  # fmt: skip
    refused("InvalidArgument", lambda: account.distribution(legacy))
    guessed = account.config()
    guessed["DefaultCacheBehavior"]["CachePolicyId"] = "658327ea-f89d-4fab-a63d-7e88639e58f6"
    refused("NoSuchCachePolicy", lambda: account.distribution(guessed))
    refused("InvalidOriginAccessControl", lambda: account.distribution(account.config("EX")))


def test_duplicates_are_refused(account: Account) -> None:
    control = account.control()
    refused("OriginAccessControlAlreadyExists", account.control)
    account.distribution(account.config(control))
    refused("DistributionAlreadyExists", lambda: account.distribution(account.config(control)))


def test_versions_are_required_and_only_a_disabled_distribution_is_deleted(
    account: Account,
) -> None:
    made = account.distribution(account.config(account.control()))
    name, cloudfront = made["Id"], account.cloudfront
    got = cloudfront.get_distribution_config(Id=name)
    config, etag = got["DistributionConfig"], got["ETag"]
    refused(
        "DistributionNotDisabled", lambda: cloudfront.delete_distribution(Id=name, IfMatch=etag)
    )
    update = {"Id": name, "DistributionConfig": {**config, "Enabled": False}}
    refused("InvalidIfMatchVersion", lambda: cloudfront.update_distribution(**update))
    refused("PreconditionFailed", lambda: cloudfront.update_distribution(**update, IfMatch="old"))
    etag = cloudfront.update_distribution(**update, IfMatch=etag)["ETag"]
    refused(
        "DistributionNotDisabled", lambda: cloudfront.delete_distribution(Id=name, IfMatch=etag)
    )
    account.deployed(name)
    cloudfront.delete_distribution(Id=name, IfMatch=etag)


def test_a_configuration_is_remembered_whole(account: Account) -> None:
    control = account.control()
    made = account.distribution(account.config(control))
    found = account.cloudfront.get_distribution_config(Id=made["Id"])["DistributionConfig"]
    assert found["Origins"]["Items"][0]["OriginAccessControlId"] == control
    assert found["DefaultCacheBehavior"]["FunctionAssociations"]["Quantity"] == 0


def test_only_a_published_function_is_taken_and_it_is_kept_while_used(account: Account) -> None:
    made = _function(account, TAGS)
    arn = made["FunctionSummary"]["FunctionMetadata"]["FunctionARN"]
    config = account.config(account.control())
    config["DefaultCacheBehavior"]["FunctionAssociations"] = {
        "Quantity": 1, "Items": [{"EventType": "viewer-request", "FunctionARN": arn}],
    }  # fmt: skip
    refused("InvalidFunctionAssociation", lambda: account.distribution(config))
    account.cloudfront.publish_function(Name="f", IfMatch=made["ETag"])
    account.distribution(config)
    refused(
        "FunctionInUse",
        lambda: account.cloudfront.delete_function(Name="f", IfMatch=made["ETag"]),
    )


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("allowed", [True, False])
def test_an_edge_reads_a_bucket_only_signed_and_allowed(
    account: Account, signed: bool, allowed: bool
) -> None:
    account.bucket()
    account.s3.put_object(Bucket=BUCKET, Key="a.txt", Body=b"hello", ContentType="text/plain")
    made = account.distribution(account.config(account.control() if signed else ""))
    if allowed:
        account.allow(made["ARN"])
    assert account.served(made, "/a.txt").status_code == 503
    account.deployed(made["Id"])
    assert account.served(made, "/a.txt").status_code == (200 if signed and allowed else 403)
    assert account.served(made, "/missing.txt").status_code == 403
    assert account.served(made, "/folder/").status_code == 403


def test_an_edge_forgets_exactly_the_named_paths_once_the_invalidation_is_completed(
    account: Account,
) -> None:
    account.bucket()
    made = account.distribution(account.config(account.control()))
    account.allow(made["ARN"])
    account.deployed(made["Id"])
    for word in ("one", "two"):
        for key in ("a.txt", "b.txt"):
            account.s3.put_object(Bucket=BUCKET, Key=key, Body=word.encode())
        seen = [account.served(made, f"/{key}").text for key in ("a.txt", "b.txt")]
        assert seen == ["one", "one"]
    invalidation = _invalidate(account, made["Id"], "/a.txt")
    statuses = [
        account.cloudfront.get_invalidation(DistributionId=made["Id"], Id=invalidation)[
            "Invalidation"
        ]["Status"]
        for _look in range(2)
    ]
    assert statuses == ["InProgress", "Completed"]
    assert [account.served(made, f"/{key}").text for key in ("a.txt", "b.txt")] == ["two", "one"]


def test_an_invalidation_of_the_same_name_has_the_same_paths(account: Account) -> None:
    made = account.distribution(account.config(account.control()))
    first = _invalidate(account, made["Id"], "/a.txt")
    assert _invalidate(account, made["Id"], "/a.txt") == first
    refused("InvalidationBatchAlreadyExists", lambda: _invalidate(account, made["Id"], "/b.txt"))
    refused("InvalidArgument", lambda: _invalidate(account, made["Id"], "/a b.txt"))


def _invalidate(account: Account, distribution_id: str, path: str) -> str:
    batch = {"CallerReference": "same", "Paths": {"Quantity": 1, "Items": [path]}}
    made = account.cloudfront.create_invalidation(
        DistributionId=distribution_id, InvalidationBatch=batch
    )
    return str(made["Invalidation"]["Id"])


def _function(account: Account, tags: dict[str, str]) -> Any:
    return account.cloudfront.create_function(
        Name="f", FunctionConfig={"Comment": "c", "Runtime": "cloudfront-js-2.0"},
        FunctionCode=FUNCTION.encode(), Tags={"Items": items_of(tags)},
    )  # fmt: skip
