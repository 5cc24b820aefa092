"""All that an account and a site's records hold, without what differs between equal runs."""

from __future__ import annotations

import json
from typing import Any

import requests

from tests.cloud.aws.fixtures import AwsPlace
from tests.cloud.aws.required_tags import lacking
from tests.cloud.aws.site_kit import CloudSite

PAGES = (
    "/",
    "/index.html",
    "/blog/",
    "/style.css",
    "/gone.html",
    "/.well-known/tmux-builder-release",
)


def snapshot(place: AwsPlace, site: CloudSite) -> dict[str, Any]:
    """Account, records and what viewers see; equal after equal histories."""
    state = {
        "buckets": {name: _bucket(place, name) for name in sorted(place.s3.backend.buckets)},
        "distributions": [
            {"config": one.config, "tags": _tags(one.tags), "status": one.status}
            for one in place.cloudfront.distributions.values()
        ],
        "functions": [
            {"code": one.code.decode(), "is_live": one.live == one.code, "tags": _tags(one.tags)}
            for one in place.cloudfront.functions.shelf.values()
        ],
        "controls": list(place.cloudfront.access_controls.controls.values()),
        "records": _records(site),
        "pages": pages(place),
    }
    text = json.dumps(state, sort_keys=True, default=str)
    text = text.replace(site.store.installation_id(), "installation")
    return json.loads(_without_ids(place, text))  # type: ignore[no-any-return]


def untagged(place: AwsPlace) -> list[str]:
    """What carries not all of its tags."""
    found = {**place.cloudfront.tagged(), **place.s3.tagged("us-east-1")}
    return [arn for arn, tags in found.items() if lacking(tags)]


def pages(place: AwsPlace) -> dict[str, tuple[int, str]]:
    """What a viewer gets; looking also fills the caches."""
    seen: dict[str, tuple[int, str]] = {}
    for one in place.cloudfront.distributions.values():
        with requests.Session() as viewer:
            for path in PAGES:
                answer = viewer.get(f"https://{one.address}{path}", timeout=5)
                seen[path] = (answer.status_code, answer.text)
    return seen


def _bucket(place: AwsPlace, name: str) -> dict[str, Any]:
    bucket = place.s3.bucket(name)
    current = {key: bucket.keys[key] for key in bucket.keys}
    return {
        "tags": _tags(place.s3.tags(name)),
        "policy": None if bucket.policy is None else json.loads(bucket.policy),
        "block": None if bucket.public_access_block is None else vars(bucket.public_access_block),
        "versioning": bucket.versioning_status,
        "encryption": bucket.encryption,
        "ownership": str(bucket.ownership_rule),
        "lifecycle": [rule.to_config_dict() for rule in bucket.rules],
        "objects": {
            key: (one.etag, dict(one.metadata))
            for key, one in current.items()
            if hasattr(one, "etag")
        },
    }  # fmt: skip


def _records(site: CloudSite) -> dict[str, Any]:
    key, store = site.key, site.store
    return {
        "resources": sorted(
            (one.kind, one.resource_id, sorted(one.tags)) for one in store.sessions.resources(key)
        ),
        "published": sorted(
            (one.path, one.sha256, one.etag, one.is_announced)
            for one in store.published.get(key).values()
        ),
        "account": site.session.account_id,
        "block": dict(store.sessions.provider_block(key)),
        "url": site.session.url,
    }


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {**tags, "CreatedAt": "then"}


def _without_ids(place: AwsPlace, text: str) -> str:
    for number, one in enumerate(place.cloudfront.distributions.values()):
        text = text.replace(one.distribution_id, f"D{number}").replace(one.address, f"A{number}")
    for number, name in enumerate(place.cloudfront.access_controls.controls):
        text = text.replace(name, f"O{number}")
    return text
