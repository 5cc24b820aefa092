"""A tag policy, as an organisation sets it: what is made without all tags is not made."""

from __future__ import annotations

from collections.abc import Mapping

from tests.cloud.aws.wire import RefusedError

EVERYWHERE = {
    "Project", "Environment", "CreatedAt", "CreatedBy", "CostCenter", "InstallationID",
}  # fmt: skip
OF_A_SESSION = {"UserGUID", "SessionID", "ExecutionID", "SiteType"}


def lacking(tags: Mapping[str, str]) -> set[str]:
    """Names that are missing, or that a shared resource must not carry."""
    if tags.get("Scope") == "shared":
        return (EVERYWHERE - set(tags)) | (OF_A_SESSION & set(tags))
    return (EVERYWHERE | OF_A_SESSION) - set(tags)


def require_tags(tags: Mapping[str, str], code: str = "AccessDenied") -> None:
    if wrong := lacking(tags):
        raise RefusedError(code, f"a tag policy refuses this: {sorted(wrong)}", 403)


def pairs(items: list[dict[str, str]]) -> dict[str, str]:
    return {one["Key"]: one.get("Value", "") for one in items}


def items_of(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
