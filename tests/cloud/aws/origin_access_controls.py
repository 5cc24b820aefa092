"""CloudFront's origin access controls: names are unique, tags there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cloud.aws.wire import RefusedError

_PAGE = 2


class OriginAccessControls:
    """The controls of one account, by id."""

    def __init__(self, in_use: Callable[[str], bool]) -> None:
        self.controls: dict[str, dict[str, Any]] = {}
        self._in_use = in_use
        self._made = 0

    def empty(self) -> None:
        self.controls.clear()
        self._made = 0

    def on_CreateOriginAccessControl(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        config = values["OriginAccessControlConfig"]
        if len(config["Name"]) > 64:
            raise RefusedError("InvalidArgument", "the name is longer than 64 characters")
        if any(known["Name"] == config["Name"] for known in self.controls.values()):
            raise RefusedError("OriginAccessControlAlreadyExists", config["Name"], 409)
        self._made += 1
        name = f"EOAC{self._made:010d}"
        self.controls[name] = dict(config)
        return {"OriginAccessControl": self._document(name), "ETag": _etag(name), "Location": name}

    def on_GetOriginAccessControl(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = self._found(values["Id"])
        return {"OriginAccessControl": self._document(name), "ETag": _etag(name)}

    def on_ListOriginAccessControls(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        start = values.get("Marker", "")
        names = sorted(self.controls)
        shown = [name for name in names if name > start][:_PAGE]
        more = bool(shown) and shown[-1] != names[-1]
        listed: dict[str, Any] = {
            "Marker": start, "MaxItems": _PAGE, "IsTruncated": more, "Quantity": len(shown),
            "Items": [{"Id": name, **self.controls[name]} for name in shown],
        }  # fmt: skip
        if more:
            listed["NextMarker"] = shown[-1]
        return {"OriginAccessControlList": listed}

    def on_DeleteOriginAccessControl(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = self._found(values["Id"])
        if values.get("IfMatch") != _etag(name):
            raise RefusedError("InvalidIfMatchVersion", "the version is not the current one")
        if self._in_use(name):
            raise RefusedError("OriginAccessControlInUse", name, 409)
        del self.controls[name]
        return {}

    def _found(self, name: str) -> str:
        if name not in self.controls:
            raise RefusedError("NoSuchOriginAccessControl", name, 404)
        return name

    def _document(self, name: str) -> dict[str, Any]:
        return {"Id": name, "OriginAccessControlConfig": self.controls[name]}


def _etag(name: str) -> str:
    return f"ET{name[-6:]}"
