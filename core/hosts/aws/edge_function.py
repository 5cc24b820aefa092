"""The function at the edge that turns a folder's address into its index document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from core.cloud.aws_errors import error_code
from core.cloud.config import NamedKind
from core.errors import CloudRefusedError
from core.hosts.aws.site import FUNCTION, AwsSite, tag_list, tag_map

RUNTIME = "cloudfront-js-2.0"
_MISSING = "NoSuchFunctionExists"
_DEVELOPMENT, _LIVE = "DEVELOPMENT", "LIVE"


def function_code() -> bytes:
    return resources.files("core.hosts.aws").joinpath("index_rewrite.js").read_bytes()


def code_digest(code: bytes) -> str:
    return hashlib.sha256(code).hexdigest()


def function_name(site: AwsSite) -> str:
    return site.names.name(NamedKind.CLOUDFRONT)


def ensure_function(site: AwsSite) -> str:
    """The ARN of the session's function, with today's code tried and published."""
    name, code = function_name(site), function_code()
    with site.doing(f"make the function {name}"):
        arn = _adopted(site, name, code) or _created(site, name, code)
    with site.doing(f"publish the function {name}"):
        if _code_at(site, name, _LIVE) != code:
            etag = _described(site, name)["ETag"]
            _try_out(site, name, etag)
            site.cloudfront.publish_function(Name=name, IfMatch=etag)
    return arn


def find_function(site: AwsSite) -> str | None:
    """The ARN of the function of the session's name if it is there and ours.

    Raises:
        CloudRefusedError: It is somebody else's.
    """
    name = function_name(site)
    with site.doing(f"look for the function {name}"):
        try:
            arn = _arn(_described(site, name))
        except Exception as error:
            if error_code(error) != _MISSING:
                raise
            return None
        site.require_own(f"The function {name}", function_tags(site, arn))
        return arn


def remove_function(site: AwsSite) -> None:
    """Delete it; missing is fine. A distribution that is just gone holds it for a while."""
    name, cloudfront = function_name(site), site.cloudfront

    def remove_unless_gone() -> None:
        try:
            etag = cloudfront.describe_function(Name=name)["ETag"]
            cloudfront.delete_function(Name=name, IfMatch=etag)
        except Exception as error:
            if error_code(error) != _MISSING:
                raise

    site.settled(f"delete the function {name}", remove_unless_gone, "FunctionInUse")
    site.gone(FUNCTION, name)


def live_code(site: AwsSite) -> bytes | None:
    """What the edges run now; None where nothing is published."""
    with site.doing(f"read the function {function_name(site)}"):
        return _code_at(site, function_name(site), _LIVE)


def function_tags(site: AwsSite, arn: str) -> dict[str, str]:
    answer = site.cloudfront.list_tags_for_resource(Resource=arn)
    return tag_map(answer["Tags"].get("Items", []))


def _adopted(site: AwsSite, name: str, code: bytes) -> str | None:
    try:
        described = _described(site, name)
    except Exception as error:
        if error_code(error) != _MISSING:
            raise
        return None
    arn = _arn(described)
    tags = function_tags(site, arn)
    site.require_own(f"The function {name}", tags)
    site.made(FUNCTION, name, tags)
    if _code_at(site, name, _DEVELOPMENT) != code:
        site.cloudfront.update_function(
            Name=name, IfMatch=described["ETag"], FunctionConfig=_config(site), FunctionCode=code
        )
    return arn


def _created(site: AwsSite, name: str, code: bytes) -> str:
    answer = site.cloudfront.create_function(
        Name=name,
        FunctionConfig=_config(site),
        FunctionCode=code,
        Tags={"Items": tag_list(site.tags)},
    )
    site.made(FUNCTION, name)
    return _arn(answer)


def _config(site: AwsSite) -> dict[str, str]:
    return {"Comment": f"tmux-builder {site.names.key.session_id}", "Runtime": RUNTIME}


def _described(site: AwsSite, name: str) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = site.cloudfront.describe_function(Name=name, Stage=_DEVELOPMENT)
    return answer


def _arn(answer: Mapping[str, Any]) -> str:
    return str(answer["FunctionSummary"]["FunctionMetadata"]["FunctionARN"])


def _code_at(site: AwsSite, name: str, stage: str) -> bytes | None:
    try:
        answer = site.cloudfront.get_function(Name=name, Stage=stage)
    except Exception as error:
        if error_code(error) != _MISSING:
            raise
        return None
    return bytes(answer["FunctionCode"].read())


_TRIALS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("/blog/", {}, "/blog/index.html"),
    (
        "//example.org/x",
        {"a": {"value": "2", "multiValue": [{"value": "1"}, {"value": "2"}]}},
        "/example.org/x/?a=1&a=2",
    ),
)
"""An address, its query, and where the function must lead: a bad one never goes live."""


def _try_out(site: AwsSite, name: str, etag: str) -> None:
    for uri, query, expected in _TRIALS:
        answer = site.cloudfront.test_function(
            Name=name, IfMatch=etag, Stage=_DEVELOPMENT, EventObject=_event(uri, query)
        )
        result = answer["TestResult"]
        found = _outcome(json.loads(result.get("FunctionOutput") or "{}"))
        if found != expected:
            said = result.get("FunctionErrorMessage") or found
            raise CloudRefusedError(
                f"The function {name} did not pass its trial at the edge: {uri} gave {said!r}.",
                remedy="Report this with tmux-builder report; the site's pages are as they were.",
                code="edge_function_failed",
            )


def _event(uri: str, query: Mapping[str, Any]) -> bytes:
    request = {"method": "GET", "uri": uri, "querystring": query, "headers": {}, "cookies": {}}
    event = {
        "version": "1.0",
        "context": {"eventType": "viewer-request"},
        "viewer": {"ip": "198.51.100.1"},
        "request": request,
    }
    return json.dumps(event).encode()


def _outcome(output: Mapping[str, Any]) -> str | None:
    if "response" in output:
        return str(output["response"]["headers"]["location"]["value"])
    return str(output["request"]["uri"]) if "request" in output else None
