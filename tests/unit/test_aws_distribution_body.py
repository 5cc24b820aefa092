"""A distribution compared with what CloudFront gives: only what we named, whatever the order."""

from __future__ import annotations

from typing import Any

from core.hosts.aws.bucket import SiteBucket
from core.hosts.aws.distribution_body import (
    ServerOrigin,
    differences,
    overlaid,
    wanted_body,
)
from core.hosts.aws.managed_policies import PolicyIds
from core.hosts.aws.static_wish import configuration_digest, static_wish

IDS = PolicyIds(cache="c", response_headers="h", origin_request=None)
BUCKET = SiteBucket(name="tmux-one", region="eu-central-1", partition="aws")
WISH = static_wish("tmux-one", BUCKET, "EOAC", "arn:function")


def items(*some: Any) -> dict[str, Any]:
    return {"Quantity": len(some), "Items": list(some)}


def test_the_origin_is_the_regional_name_of_the_bucket() -> None:
    origin = wanted_body(WISH, IDS)["Origins"]["Items"][0]
    assert origin["DomainName"] == "tmux-one.s3.eu-central-1.amazonaws.com"
    assert origin["OriginAccessControlId"] == "EOAC"
    assert origin["S3OriginConfig"] == {"OriginAccessIdentity": ""}


def test_china_has_an_ending_of_its_own() -> None:
    bucket = SiteBucket(name="tmux-one", region="cn-north-1", partition="aws-cn")
    assert bucket.origin_domain == "tmux-one.s3.cn-north-1.amazonaws.com.cn"
    assert bucket.arn == "arn:aws-cn:s3:::tmux-one"


def test_both_errors_of_a_private_bucket_show_the_missing_page() -> None:
    pages = wanted_body(WISH, IDS)["CustomErrorResponses"]["Items"]
    assert [(one["ErrorCode"], one["ResponseCode"]) for one in pages] == [
        (403, "404"),
        (404, "404"),
    ]


def test_what_was_not_named_is_no_difference() -> None:
    assert differences({"A": 1}, {"A": 1, "B": 2}) == []
    assert differences({"A": {"B": 1}}, {"A": {"B": 1, "C": 3}}) == []


def test_the_order_of_items_means_nothing_and_none_is_none() -> None:
    assert differences(items("GET", "HEAD"), items("HEAD", "GET")) == []
    assert differences({"Quantity": 0}, {"Quantity": 0, "Items": []}) == []
    assert differences(items({"Id": "a"}), items({"Id": "a", "OriginPath": ""})) == []


def test_a_difference_names_its_place_and_both_values() -> None:
    found = {"DefaultCacheBehavior": {"Compress": False}}
    assert differences({"DefaultCacheBehavior": {"Compress": True}}, found) == [
        ("DefaultCacheBehavior.Compress", "true", "false")
    ]
    assert differences({"Aliases": {"Quantity": 0}}, {"Aliases": items("a.example")}) == [
        ("Aliases", "[]", '["a.example"]')
    ]
    assert differences({"A": {"B": 1}}, {}) == [("A", '{"B": 1}', "null")]


def test_an_update_keeps_what_others_set_and_replaces_what_is_ours() -> None:
    found = {
        "Comment": "old", "WebACLId": "waf", "Logging": {"Enabled": True, "Bucket": "logs"},
        "DefaultCacheBehavior": {"Compress": False, "SmoothStreaming": False},
        "Origins": items({"Id": "site", "ConnectionAttempts": 2, "S3OriginConfig": {}}),
    }  # fmt: skip
    origin = ServerOrigin(domain="app.example").body()
    wanted = {
        "Comment": "new",
        "DefaultCacheBehavior": {"Compress": True},
        "Origins": items(origin),
    }
    merged = overlaid(wanted, found)
    assert merged["WebACLId"] == "waf"
    assert merged["Logging"] == {"Enabled": True, "Bucket": "logs"}
    assert merged["DefaultCacheBehavior"] == {"Compress": True, "SmoothStreaming": False}
    assert merged["Origins"]["Items"][0]["ConnectionAttempts"] == 2
    assert "S3OriginConfig" not in merged["Origins"]["Items"][0]
    assert differences(wanted, merged) == []


def test_the_digest_of_a_configuration_follows_names_only() -> None:
    one = configuration_digest("name", "bucket")
    assert one == configuration_digest("name", "bucket")
    assert one != configuration_digest("name-x1", "bucket")
    assert one != configuration_digest("name", "bucket-x1")
