"""CloudFront functions as a service: development and live stages, versions, real test runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.cloud.aws.edge_functions import EdgeFunctions
from tests.cloud.aws.required_tags import pairs, require_tags
from tests.cloud.aws.wire import RefusedError

CODE_LIMIT_BYTES = 10_240
_MADE = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)
_RUNTIME = "cloudfront-js-2.0"


@dataclass(kw_only=True)
class EdgeFunction:
    """A function: the code being written, and the code that the edges run."""

    name: str
    arn: str
    code: bytes
    tags: dict[str, str]
    comment: str = ""
    version: int = 1
    live: bytes | None = None

    @property
    def etag(self) -> str:
        return f"EF{self.name[-6:]}V{self.version}"

    @property
    def live_etag(self) -> str:
        return f"EL{self.name[-6:]}V{self.version}"


class FunctionShelf:
    """The functions of one account."""

    def __init__(self, account_id: str, in_use: Callable[[str], bool]) -> None:
        self.shelf: dict[str, EdgeFunction] = {}
        self.node = EdgeFunctions()
        self._account_id = account_id
        self._in_use = in_use

    def close(self) -> None:
        self.node.close()

    def is_live(self, arn: str) -> bool:
        return self.live_code(arn) is not None

    def live_code(self, arn: str) -> bytes | None:
        return next((one.live for one in self.shelf.values() if one.arn == arn), None)

    def on_CreateFunction(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, tags = values["Name"], pairs(values.get("Tags", {}).get("Items", []))
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
            raise RefusedError("InvalidArgument", f"the name {name!r}")
        if name in self.shelf:
            raise RefusedError("FunctionAlreadyExists", name, 409)
        require_tags(tags)
        code = _checked(values)
        arn = f"arn:aws:cloudfront::{self._account_id}:function/{name}"
        made = EdgeFunction(
            name=name, arn=arn, code=code, tags=tags,
            comment=values["FunctionConfig"]["Comment"],
        )  # fmt: skip
        self.shelf[name] = made
        return {"FunctionSummary": _summary(made), "ETag": made.etag, "Location": arn}

    def on_DescribeFunction(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found, stage = self._staged(values)
        etag = found.etag if stage == "DEVELOPMENT" else found.live_etag
        return {"FunctionSummary": _summary(found, stage), "ETag": etag}

    def on_GetFunction(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found, stage = self._staged(values)
        code = found.code if stage == "DEVELOPMENT" else found.live
        return {"FunctionCode": code, "ETag": found.etag, "ContentType": "application/octet-stream"}

    def on_UpdateFunction(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._current(values)
        found.code, found.comment = _checked(values), values["FunctionConfig"]["Comment"]
        found.version += 1
        return {"FunctionSummary": _summary(found), "ETag": found.etag}

    def on_PublishFunction(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._current(values)
        found.live = found.code
        return {"FunctionSummary": _summary(found, "LIVE")}

    def on_TestFunction(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._current(values)
        try:
            event = json.loads(values["EventObject"])
            event["request"]["uri"]
        except (ValueError, KeyError) as error:
            raise RefusedError("InvalidArgument", "the event object") from error
        said = self.node.run(found.code.decode(), event)
        outcome: dict[str, Any] = {
            "FunctionSummary": _summary(found), "ComputeUtilization": "17",
            "FunctionExecutionLogs": [], "FunctionErrorMessage": said.get("error", ""),
            "FunctionOutput": json.dumps(said.get("output", {})),
        }  # fmt: skip
        return {"TestResult": outcome}

    def on_DeleteFunction(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._current(values)
        if self._in_use(found.arn):
            raise RefusedError("FunctionInUse", found.name, 409)
        del self.shelf[found.name]
        return {}

    def _staged(self, values: dict[str, Any]) -> tuple[EdgeFunction, str]:
        found, stage = self._found(values["Name"]), values.get("Stage", "DEVELOPMENT")
        if stage == "LIVE" and found.live is None:
            raise RefusedError("NoSuchFunctionExists", f"{found.name} is not published", 404)
        return found, stage

    def _found(self, name: str) -> EdgeFunction:
        if name not in self.shelf:
            raise RefusedError("NoSuchFunctionExists", f"there is no function {name}", 404)
        return self.shelf[name]

    def _current(self, values: dict[str, Any]) -> EdgeFunction:
        found = self._found(values["Name"])
        if values["IfMatch"] != found.etag:
            raise RefusedError("InvalidIfMatchVersion", f"{values['IfMatch']} is not current")
        return found


def _checked(values: dict[str, Any]) -> bytes:
    code: bytes = values["FunctionCode"]
    if len(code) > CODE_LIMIT_BYTES:
        raise RefusedError("FunctionSizeLimitExceeded", f"{len(code)} bytes", 413)
    if values["FunctionConfig"]["Runtime"] != _RUNTIME:
        raise RefusedError("InvalidArgument", "the runtime is an old one")
    return code


def _summary(one: EdgeFunction, stage: str = "DEVELOPMENT") -> dict[str, Any]:
    return {
        "Name": one.name,
        "Status": "UNPUBLISHED" if one.live != one.code else "UNASSOCIATED",
        "FunctionConfig": {"Comment": one.comment, "Runtime": _RUNTIME},
        "FunctionMetadata": {
            "FunctionARN": one.arn, "Stage": stage, "CreatedTime": _MADE, "LastModifiedTime": _MADE,
        },
    }  # fmt: skip
