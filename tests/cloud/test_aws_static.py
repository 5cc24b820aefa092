"""A static site on AWS, from its first deploy to its last trace, on the strict stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from core.errors import (
    BuilderError,
    CancelledError,
    CloudRefusedError,
    LoginNeededError,
    TimedOutError,
)
from core.hosts.aws import edge_function
from core.models.release import MARKER_PATH
from tests.cloud.aws.fixtures import AwsPlace
from tests.cloud.aws.required_tags import items_of
from tests.cloud.aws.site_kit import CloudSite, PatientClock, cloud_site
from tests.cloud.aws.snapshot import untagged

CLOCK = PatientClock()
LIST = ("s3", "ListObjectsV2")
PUT = ("s3", "PutObject")
INVALIDATE = ("cloudfront", "CreateInvalidation")
LOOK = ("cloudfront", "GetInvalidation")


@pytest.fixture
def site(aws_place: AwsPlace) -> Iterator[CloudSite]:
    """A site with pages, a folder and a hashed asset; nothing is deployed."""
    with cloud_site(clock=CLOCK) as one:
        one.write("index.html", "<h1>one</h1>")
        one.write("blog/index.html", "<h1>blog</h1>")
        one.write("style.css", "body { color: black }")
        one.write("app.0a1b2c3d.js", "one()")
        yield one


@pytest.fixture
def live(aws_place: AwsPlace, site: CloudSite) -> CloudSite:
    """The same, deployed; the calls of that are forgotten."""
    site.publish()
    aws_place.standin.forget_calls()
    return site


def get(site: CloudSite, path: str) -> requests.Response:
    return requests.get(f"{site.session.url}{path}", timeout=5, allow_redirects=False)


def kinds(site: CloudSite) -> set[str]:
    return {one.kind for one in site.store.sessions.resources(site.key)}


def test_a_plan_names_what_would_be_made_and_asks_nobody(
    aws_place: AwsPlace, site: CloudSite
) -> None:
    plan = site.host.plan(site.request(site.take()))
    assert [(one.action, one.kind) for one in plan.actions] == [
        ("create", "s3_bucket"), ("create", "cloudfront_oac"),
        ("create", "cloudfront_function"), ("create", "cloudfront_distribution"),
    ]  # fmt: skip
    assert plan.files_total == plan.files_changed == 5
    assert all(one.est_usd_day == 0.0 for one in plan.actions)
    assert plan.actions[0].tags["ExecutionID"].startswith(site.key.user_id)
    assert plan.actions[1].tags == {}
    assert not aws_place.standin.log
    assert site.session.account_id is None


def test_a_deployed_site_is_kept_by_the_next_plan(site: CloudSite) -> None:
    published = site.publish()
    plan = site.host.plan(site.request(site.releases[-1]))
    assert {one.action for one in plan.actions} == {"keep"}
    assert {one.resource_id for one in plan.actions} == {
        one.resource_id for one in published.resources
    }
    assert plan.files_changed == plan.files_deleted == 0


def test_published_means_that_the_public_address_answers_with_the_release(
    site: CloudSite,
) -> None:
    assert site.host.serving(site.session) is None
    published = site.publish()
    release_id = site.releases[-1].release_id
    assert get(site, f"/{MARKER_PATH}").text == release_id == site.host.serving(site.session)
    assert published.url.startswith("https://")
    assert published.url == site.host.ensure_served(site.session)
    assert published.config_block["bucket"] == f"{published.resources[0].resource_id}"
    assert published.timings["cdn_ms"] > 0
    assert kinds(site) == {
        "s3_bucket", "cloudfront_oac", "cloudfront_function", "cloudfront_distribution",
    }  # fmt: skip


def test_pages_folders_and_missing_pages_answer_as_a_site_does(live: CloudSite) -> None:
    home = get(live, "/")
    assert (home.status_code, home.text) == (200, "<h1>one</h1>")
    assert home.headers["content-type"] == "text/html; charset=utf-8"
    assert home.headers["cache-control"] == "no-cache"
    assert home.headers["x-content-type-options"] == "nosniff"
    assert get(live, "/blog/").text == "<h1>blog</h1>"
    assert get(live, "/blog").headers["location"] == "/blog/"
    assert "immutable" in get(live, "/app.0a1b2c3d.js").headers["cache-control"]
    missing = get(live, "/nothing.html")
    assert (missing.status_code, "Page not found" in missing.text) == (404, True)


def test_everything_is_tagged_and_nothing_is_public(aws_place: AwsPlace, site: CloudSite) -> None:
    site.publish()
    assert untagged(aws_place) == []
    bucket = next(iter(aws_place.s3.backend.buckets.values()))
    assert all(vars(bucket.public_access_block).values())
    assert bucket.is_versioned
    distribution = next(iter(aws_place.cloudfront.distributions.values()))
    assert distribution.config["HttpVersion"] == "http2and3"
    assert distribution.config["PriceClass"] == "PriceClass_100"
    assert distribution.config["DefaultCacheBehavior"]["Compress"] is True
    assert distribution.config["Origins"]["Items"][0]["DomainName"].endswith(
        ".s3.us-east-1.amazonaws.com"
    )


def test_an_unchanged_site_costs_one_listing_and_nothing_else(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    assert live.publish().files_changed == 0
    assert aws_place.standin.log == [LIST]


def test_a_changed_page_is_put_and_only_its_addresses_are_invalidated(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    assert get(live, "/").text == "<h1>one</h1>"
    live.write("index.html", "<h1>two</h1>")
    assert live.publish().files_changed == 1
    assert aws_place.standin.log == [LIST, PUT, PUT, INVALIDATE, LOOK, LOOK]
    assert get(live, "/").text == "<h1>two</h1>"
    distribution = next(iter(aws_place.cloudfront.distributions.values()))
    assert distribution.invalidations[-1].batch["Paths"]["Items"] == [
        "/", f"/{MARKER_PATH}", "/index.html",
    ]  # fmt: skip


def test_a_rollback_is_a_publish_of_the_former_release(live: CloudSite) -> None:
    live.write("index.html", "<h1>two</h1>")
    live.write("new.html", "new")
    live.publish()
    assert get(live, "/new.html").status_code == 200
    live.publish(live.releases[0])
    assert get(live, "/").text == "<h1>one</h1>"
    assert get(live, "/new.html").status_code == 404
    assert live.host.serving(live.session) == live.releases[0].release_id


def test_a_bucket_that_somebody_deleted_is_made_anew(aws_place: AwsPlace, live: CloudSite) -> None:
    bucket = next(iter(aws_place.s3.backend.buckets.values()))
    for key in list(bucket.keys):
        bucket.keys.pop(key)
    aws_place.s3.backend.delete_bucket(bucket.name)
    live.publish()
    assert get(live, "/").text == "<h1>one</h1>"
    assert untagged(aws_place) == []


def test_a_distribution_that_somebody_deleted_is_made_anew(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    former = next(iter(aws_place.cloudfront.distributions))
    gone = aws_place.cloudfront.distributions.pop(former)
    assert gone.edge is not None
    gone.edge.close()
    live.write("index.html", "<h1>two</h1>")
    live.publish()
    assert get(live, "/").text == "<h1>two</h1>"
    assert live.store.sessions.provider_block(live.key)["distribution_id"] != former
    assert list(aws_place.cloudfront.distributions) != [former]


def test_another_account_is_refused_before_anything_is_touched(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    aws_place.sts.account_id = "210987654321"
    CLOCK.sleep(600)
    live.write("index.html", "<h1>two</h1>")
    with pytest.raises(CloudRefusedError, match="123456789012") as caught:
        live.publish()
    assert caught.value.code == "other_account"
    assert aws_place.standin.log == [("sts", "GetCallerIdentity")]
    with pytest.raises(CloudRefusedError):
        live.destroy()
    CLOCK.sleep(600)


def test_an_expired_login_says_what_to_do(aws_place: AwsPlace, site: CloudSite) -> None:
    aws_place.sts.expired = True
    CLOCK.sleep(600)
    with pytest.raises(LoginNeededError) as caught:
        site.publish()
    assert "aws configure --profile sunwaretech" in caught.value.remedy
    assert site.session.account_id is None


def test_a_taken_bucket_name_is_refused_and_a_suffix_helps(
    aws_place: AwsPlace, site: CloudSite
) -> None:
    plan = site.host.plan(site.request(site.take()))
    aws_place.s3.foreign.add(plan.actions[0].resource_id)
    with pytest.raises(CloudRefusedError, match="is taken") as caught:
        site.publish()
    assert caught.value.code == "name_taken"
    assert "--suffix" in caught.value.remedy
    site.store.sessions.set_name_suffix(site.key, "x1")
    site.publish(again=True)
    assert get(site, "/").status_code == 200


def test_a_bucket_of_another_installation_is_not_adopted(
    aws_place: AwsPlace, site: CloudSite
) -> None:
    with cloud_site(clock=CLOCK) as other:
        other.write("index.html", "theirs")
        other.publish()
        with pytest.raises(CloudRefusedError, match="tags do not say"):
            site.publish()
        assert get(other, "/").text == "theirs"
        assert kinds(site) == set()


def test_a_site_lies_in_the_region_of_the_setting_and_stays_there(aws_place: AwsPlace) -> None:
    with cloud_site({"aws.region": "eu-central-1"}) as one:
        one.write("index.html", "frankfurt")
        one.publish()
        bucket = next(iter(aws_place.s3.backend.buckets.values()))
        assert bucket.region_name == "eu-central-1"
        assert get(one, "/").text == "frankfurt"
        assert one.host.drift(one.session) == ()
        assert not one.destroy().left


def test_a_cancelled_deploy_stops_and_the_next_one_goes_on(site: CloudSite) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(CancelledError):
        site.host.publish(site.request(site.take(), cancelled))
    site.publish()
    assert get(site, "/").status_code == 200


def test_progress_names_each_resource_and_each_file(site: CloudSite) -> None:
    site.publish()
    made = {str(details["kind"]) for _message, details in site.logged if "kind" in details}
    sent = {str(details["path"]) for _message, details in site.logged if "path" in details}
    assert made == kinds(site)
    assert {"index.html", "blog/index.html", "style.css", "app.0a1b2c3d.js"} <= sent


def test_a_distribution_that_is_never_ready_times_out_and_is_kept(
    aws_place: AwsPlace, site: CloudSite
) -> None:
    aws_place.cloudfront.is_stuck = True
    with pytest.raises(TimedOutError, match="is deployed") as caught:
        site.publish()
    assert caught.value.retryable
    aws_place.cloudfront.is_stuck = False
    assert len(aws_place.cloudfront.distributions) == 1


def test_nothing_has_drifted_after_a_deploy(live: CloudSite) -> None:
    assert live.host.drift(live.session) == ()


def test_what_somebody_changed_by_hand_is_told(aws_place: AwsPlace, live: CloudSite) -> None:
    distribution = next(iter(aws_place.cloudfront.distributions.values()))
    bucket = next(iter(aws_place.s3.backend.buckets.values()))
    function = next(iter(aws_place.cloudfront.functions.shelf.values()))
    distribution.config["PriceClass"] = "PriceClass_All"
    distribution.config["Aliases"] = {"Quantity": 1, "Items": ["www.acme.io"]}
    distribution.config["Origins"]["Items"][0]["OriginAccessControlId"] = ""
    distribution.tags.pop("CostCenter")
    function.live = b"function handler(event) { return event.request; }"
    bucket.public_access_block.block_public_policy = False
    bucket.policy = None
    aws_place.s3.backend.put_object(bucket.name, "planted.html", b"planted")
    found = {(one.kind, one.what) for one in live.host.drift(live.session)}
    assert {
        ("cloudfront_distribution", "PriceClass"), ("cloudfront_distribution", "Aliases"),
        ("cloudfront_distribution", "Origins[].OriginAccessControlId"),
        ("cloudfront_distribution", "tag CostCenter"), ("cloudfront_function", "code"),
        ("s3_bucket", "BlockPublicPolicy"), ("s3_bucket", "policy"),
        ("s3_bucket", "file planted.html"),
    } <= found  # fmt: skip


def test_a_missing_part_is_a_drift(aws_place: AwsPlace, live: CloudSite) -> None:
    aws_place.cloudfront.empty()
    found = {(one.kind, one.what) for one in live.host.drift(live.session)}
    assert {
        ("cloudfront_distribution", "existence"), ("cloudfront_function", "existence"),
        ("cloudfront_oac", "existence"),
    } <= found  # fmt: skip


def test_destroy_leaves_nothing_and_the_bucket_goes_last(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    for word in ("two", "three", "four", "five"):
        live.write("index.html", word)
        live.publish()
    aws_place.standin.forget_calls()
    destroyed = live.destroy()
    assert {one.kind for one in destroyed.deleted} == {
        "s3_bucket", "cloudfront_oac", "cloudfront_function", "cloudfront_distribution",
    }  # fmt: skip
    assert aws_place.standin.log[-1] == ("s3", "DeleteBucket")
    assert not aws_place.s3.violations
    assert not aws_place.s3.backend.buckets
    assert not aws_place.cloudfront.distributions
    assert not aws_place.cloudfront.functions.shelf
    assert not aws_place.cloudfront.access_controls.controls
    assert live.store.sessions.resources(live.key) == []
    assert live.store.published.get(live.key) == {}
    assert live.destroy().deleted == ()


def test_destroy_tells_what_is_left_and_goes_on_when_it_is_run_again(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    aws_place.cloudfront.is_stuck = True
    left = {one.kind: reason for one, reason in live.destroy().left}
    assert set(left) == kinds(live)
    assert "still uses it" in left["s3_bucket"]
    aws_place.cloudfront.is_stuck = False
    assert not live.destroy().left
    assert not aws_place.s3.backend.buckets


def test_destroy_finds_what_no_record_knows(aws_place: AwsPlace, live: CloudSite) -> None:
    for one in live.store.sessions.resources(live.key):
        live.store.sessions.forget_resource(live.key, one.kind, one.resource_id)
    assert not live.destroy().left
    assert not aws_place.cloudfront.distributions
    assert not aws_place.s3.backend.buckets


def test_destroy_touches_nothing_of_others(aws_place: AwsPlace, live: CloudSite) -> None:
    distribution = next(iter(aws_place.cloudfront.distributions.values()))
    bucket = next(iter(aws_place.s3.backend.buckets))
    function = next(iter(aws_place.cloudfront.functions.shelf.values()))
    for tags in (distribution.tags, function.tags):
        tags["InstallationID"] = "another"
    aws_place.s3.backend.put_bucket_tagging(
        bucket, {**aws_place.s3.tags(bucket), "InstallationID": "another"}
    )
    live.destroy()
    assert bucket in aws_place.s3.backend.buckets
    assert distribution.distribution_id in aws_place.cloudfront.distributions
    assert distribution.config["Enabled"]
    assert function.name in aws_place.cloudfront.functions.shelf


def test_a_destroyed_site_can_be_deployed_again(live: CloudSite) -> None:
    live.destroy()
    live.publish()
    assert get(live, "/").text == "<h1>one</h1>"


def test_a_used_up_reference_of_a_deleted_distribution_is_passed_over(
    aws_place: AwsPlace, site: CloudSite
) -> None:
    name = site.host.plan(site.request(site.take())).actions[-1].resource_id
    aws_place.cloudfront.used_references.add(name)
    site.publish()
    made = next(iter(aws_place.cloudfront.distributions.values()))
    assert made.config["CallerReference"] == f"{name}-2"


def test_errors_of_the_service_are_told_with_a_remedy(aws_place: AwsPlace, site: CloudSite) -> None:
    site.publish()
    aws_place.s3.foreign.add(site.store.sessions.resources(site.key)[0].resource_id)
    site.write("index.html", "<h1>two</h1>")
    with pytest.raises(BuilderError) as caught:
        site.publish()
    assert caught.value.exit_code == 10
    assert caught.value.remedy


def test_tags_that_were_taken_away_are_put_back_by_a_full_deploy(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    bucket = next(iter(aws_place.s3.backend.buckets))
    tags = aws_place.s3.tags(bucket)
    aws_place.s3.backend.put_bucket_tagging(
        bucket, {name: text for name, text in tags.items() if name != "CostCenter"}
    )
    live.store.sessions.forget_resource(live.key, "cloudfront_function", bucket)
    live.publish()
    assert aws_place.s3.tags(bucket) == tags
    assert items_of(tags)


def test_the_listing_runs_ahead_while_the_release_is_taken(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    live.host.prepare(live.session)
    live.write("index.html", "<h1>two</h1>")
    live.publish()
    assert aws_place.standin.calls[LIST] == 1
    assert get(live, "/").text == "<h1>two</h1>"


def test_a_change_by_hand_that_was_told_is_mended_by_the_next_deploy(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    distribution = next(iter(aws_place.cloudfront.distributions.values()))
    distribution.config["PriceClass"] = "PriceClass_All"
    assert [one.what for one in live.host.drift(live.session)] == ["PriceClass"]
    live.store.sessions.distrust(live.key)
    live.publish()
    assert live.host.drift(live.session) == ()


def test_a_function_is_published_only_where_the_edges_run_other_code(
    aws_place: AwsPlace, live: CloudSite
) -> None:
    """A development version of somebody's is overwritten, and a stale one never goes live."""
    function = next(iter(aws_place.cloudfront.functions.shelf.values()))
    ours, theirs = function.code, b"function handler(event) { return event.request; }"
    changing = ("UpdateFunction", "TestFunction", "PublishFunction")
    for development, running, wanted in (
        (ours, ours, (0, 0, 0)), (theirs, ours, (1, 0, 0)), (ours, theirs, (0, 2, 1)),
        (theirs, theirs, (1, 2, 1)),
    ):  # fmt: skip
        function.code, function.live = development, running
        live.store.sessions.distrust(live.key)
        aws_place.standin.forget_calls()
        live.publish()
        calls = aws_place.standin.calls
        assert tuple(calls["cloudfront", name] for name in changing) == wanted
        assert (function.code, function.live) == (ours, ours)


def test_code_that_fails_its_trial_leaves_the_edges_as_they_are(
    aws_place: AwsPlace, live: CloudSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = next(iter(aws_place.cloudfront.functions.shelf.values()))
    ours = function.live
    monkeypatch.setattr(
        edge_function, "function_code", lambda: b"function handler(e) { return e.request; }"
    )
    live.store.sessions.distrust(live.key)
    with pytest.raises(CloudRefusedError) as caught:
        live.publish()
    assert caught.value.code == "edge_function_failed"
    assert function.live == ours
    assert aws_place.standin.calls["cloudfront", "PublishFunction"] == 0
