"""The resource groups tagging API: finds by tags what the services say they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.wrappers import Response

from tests.cloud.aws.required_tags import items_of
from tests.cloud.aws.wire import Call, RefusedError, answer, read_values

PAGE = 2

Tagged = Mapping[str, Mapping[str, str]]


class Tagging:
    """Sources give ARNs with tags for a region; other services' fronts append theirs."""

    def __init__(self) -> None:
        self.sources: list[Callable[[str], Tagged]] = []

    def answer(self, call: Call) -> Response | None:
        if call.operation != "GetResources":
            raise RefusedError("NotImplemented", call.operation, 501)
        return answer(call, self._page(read_values(call), call.region))

    def after(self, call: Call, response: Response) -> None:
        """Nothing goes to moto."""

    def _page(self, values: dict[str, Any], region: str) -> dict[str, Any]:
        found = sorted(self._found(values, region).items())
        start = int(values.get("PaginationToken") or 0)
        shown = found[start : start + PAGE]
        more = start + PAGE < len(found)
        return {
            "PaginationToken": str(start + PAGE) if more else "",
            "ResourceTagMappingList": [
                {"ResourceARN": arn, "Tags": items_of(tags)} for arn, tags in shown
            ],
        }

    def _found(self, values: dict[str, Any], region: str) -> dict[str, Mapping[str, str]]:
        filters = values.get("TagFilters", [])
        everything: dict[str, Mapping[str, str]] = {}
        for source in self.sources:
            everything.update(source(region))
        return {
            arn: tags
            for arn, tags in everything.items()
            if all(
                one["Key"] in tags and (not one.get("Values") or tags[one["Key"]] in one["Values"])
                for one in filters
            )
        }
