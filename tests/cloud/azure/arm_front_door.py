"""Front Door Standard as the management plane has it: profiles and all that lies in one."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from tests.cloud.azure.arm_state import ArmState, Stored, parent_of
from tests.cloud.azure.arm_types import ArmError, ResourceType, Style

PROFILES = "Microsoft.Cdn/profiles"
ENDPOINTS = f"{PROFILES}/afdEndpoints"
ORIGIN_GROUPS = f"{PROFILES}/originGroups"
ORIGINS = f"{ORIGIN_GROUPS}/origins"
RULE_SETS = f"{PROFILES}/ruleSets"
RULES = f"{RULE_SETS}/rules"
ROUTES = f"{ENDPOINTS}/routes"
ENDPOINTS_EACH = {"Standard_AzureFrontDoor": 10, "Premium_AzureFrontDoor": 25}
PURGED_AT_ONCE = 100

_HYPHENED = r"[A-Za-z0-9]+(-*[A-Za-z0-9])*"
_LETTERS = r"[A-Za-z][A-Za-z0-9]*"


class Edges(Protocol):
    """The servers at the edge, one for each endpoint."""

    def open_edge(self, endpoint_id: str) -> str:
        """Its host name, the same for the same endpoint."""

    def close_edge(self, endpoint_id: str) -> None: ...

    def purge(self, endpoint_id: str, paths: list[str]) -> None: ...


class FrontDoorTypes:
    """The seven types."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._profile_ids: dict[str, str] = {}

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(
                path=PROFILES, model=_model("Profile"), required=("location", "sku.name"),
                style=Style.ASYNC, check=_check_profile, filled=self._fill_profile,
                removed=self._remove_profile,
            ),
            ResourceType(
                path=ENDPOINTS, model=_model("AFDEndpoint"), name=_HYPHENED, longest=46,
                required=("location",), style=Style.ASYNC, check=_check_endpoint,
                filled=self._fill_endpoint, removed=self._remove_endpoint,
                actions={"purge": self._purge},
            ),
            ResourceType(
                path=ORIGIN_GROUPS, model=_model("AFDOriginGroup"), longest=50, taggable=False,
                required=("properties.loadBalancingSettings",), style=Style.ASYNC,
                busy=_group_busy,
            ),
            ResourceType(
                path=ORIGINS, model=_model("AFDOrigin"), longest=50, taggable=False,
                required=("properties.hostName", "properties.originHostHeader"),
                style=Style.ASYNC, check=_check_origin, busy=_origin_busy,
            ),
            ResourceType(
                path=RULE_SETS, model=_model("RuleSet"), name=_LETTERS, longest=60,
                taggable=False, style=Style.NONE, busy=_rule_set_busy,
            ),
            ResourceType(
                path=RULES, model=_model("Rule"), name=_LETTERS, longest=60, taggable=False,
                required=("properties.order", "properties.actions"), style=Style.ASYNC,
                check=_check_rule,
            ),
            ResourceType(
                path=ROUTES, model=_model("Route"), longest=50, taggable=False,
                required=("properties.originGroup.id", "properties.patternsToMatch",
                          "properties.supportedProtocols", "properties.linkToDefaultDomain"),
                style=Style.ASYNC, check=_check_route,
            ),
        ]  # fmt: skip

    def _fill_profile(self, state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        drawn = self._profile_ids.setdefault(resource_id.lower(), str(uuid.uuid4()))
        document.setdefault("properties", {})["frontDoorId"] = drawn

    def _remove_profile(self, state: ArmState, stored: Stored) -> None:
        """The next one of that name is another one."""
        self._profile_ids.pop(stored.resource_id.lower(), None)

    def _fill_endpoint(self, state: ArmState, resource_id: str, document: dict[str, Any]) -> None:
        document.setdefault("properties", {})["hostName"] = self._edges.open_edge(resource_id)

    def _remove_endpoint(self, state: ArmState, stored: Stored) -> None:
        self._edges.close_edge(stored.resource_id)

    def _purge(self, state: ArmState, stored: Stored, body: Any) -> Callable[[], None]:
        paths = body.get("contentPaths") if isinstance(body, dict) else None
        if not paths or set(body) - {"contentPaths", "domains"}:
            raise ArmError(400, "BadRequest", "contentPaths is needed, and domains allowed.")
        if len(paths) > PURGED_AT_ONCE:
            raise ArmError(400, "BadRequest", f"At most {PURGED_AT_ONCE} paths at once.")
        wrong = [path for path in paths if not re.fullmatch(r"/[^*?#]*\*?", path)]
        if wrong:
            raise ArmError(400, "BadRequest", f"These cannot be purged: {wrong[:3]}.")
        host = stored.properties["hostName"]
        if any(domain != host for domain in body.get("domains") or []):
            raise ArmError(400, "BadRequest", "A domain is not the endpoint's.")
        return lambda: self._edges.purge(stored.resource_id, list(paths))


def routes_to(state: ArmState, resource_id: str) -> list[Stored]:
    """Routes of the profile that use this origin group or rule set."""
    return [one for one in state.of(ROUTES) if resource_id.lower() in _references(one)]


def _references(route: Stored) -> set[str]:
    named = [route.properties["originGroup"], *(route.properties.get("ruleSets") or []),
             *(route.properties.get("customDomains") or [])]  # fmt: skip
    return {str(one["id"]).lower() for one in named}


def _check_profile(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    if body["sku"]["name"] not in ENDPOINTS_EACH:
        raise ArmError(
            400, "BadRequest", "Azure CDN from Microsoft (classic) takes no new profiles."
        )
    if body["location"].lower() != "global":
        raise ArmError(400, "LocationNotAvailableForResourceType", body["location"])


def _check_endpoint(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    if body["location"].lower() != "global":
        raise ArmError(400, "LocationNotAvailableForResourceType", body["location"])
    profile = state.needed(parent_of(resource_id))
    there = state.of(ENDPOINTS, f"{profile.resource_id}/")
    if before is None and len(there) >= ENDPOINTS_EACH[profile.document["sku"]["name"]]:
        raise ArmError(409, "QuotaExceeded", f"{profile.name} has all the endpoints it can have.")


def _check_origin(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    properties = body["properties"]
    for part in ("hostName", "originHostHeader"):
        if not re.fullmatch(r"[A-Za-z0-9.-]+", properties[part]):
            raise ArmError(400, "BadRequest", f"{part} is no host name: {properties[part]!r}.")
    for port in ("httpPort", "httpsPort"):
        if not 1 <= properties.get(port, 443) <= 65535:
            raise ArmError(400, "BadRequest", f"{port} is no port.")


def _check_rule(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    order = body["properties"]["order"]
    others = [one for one in state.of(RULES, f"{parent_of(resource_id)}/")
              if one.resource_id.lower() != resource_id.lower()]  # fmt: skip
    if any(one.properties["order"] == order for one in others):
        raise ArmError(400, "BadRequest", f"Another rule has the order {order}.")
    for action in body["properties"]["actions"]:
        parameters = action.get("parameters") or {}
        if not parameters.get("typeName"):
            raise ArmError(400, "BadRequest", "An action's parameters need a typeName.")
        if len(str(parameters.get("value", ""))) > 640:
            raise ArmError(400, "BadRequest", "A header's value is too long.")
    if len(body["properties"]["actions"]) > 5:
        raise ArmError(400, "BadRequest", "A rule has at most 5 actions.")


def _check_route(
    state: ArmState, resource_id: str, body: dict[str, Any], before: Stored | None
) -> None:
    properties = body["properties"]
    profile_id = parent_of(parent_of(resource_id))
    group = state.get(properties["originGroup"]["id"])
    if group is None or parent_of(group.resource_id).lower() != profile_id.lower():
        raise ArmError(400, "BadRequest", "The route's origin group does not exist.")
    if not state.of(ORIGINS, f"{group.resource_id}/"):
        raise ArmError(400, "BadRequest", "The route's origin group has no origin.")
    for one in properties.get("ruleSets") or []:
        if state.get(one["id"]) is None:
            raise ArmError(400, "BadRequest", f"The rule set {one['id']} does not exist.")
    for one in properties.get("customDomains") or []:
        if state.get(one["id"]) is None:
            raise ArmError(400, "BadRequest", f"The domain {one['id']} does not exist.")
    if properties["linkToDefaultDomain"] != "Enabled" and not properties.get("customDomains"):
        raise ArmError(400, "BadRequest", "The route answers on no domain.")
    _check_protocols(properties)
    siblings = [one for one in state.of(ROUTES, f"{parent_of(resource_id)}/")
                if one.resource_id.lower() != resource_id.lower()]  # fmt: skip
    if any(set(one.properties["patternsToMatch"]) & set(properties["patternsToMatch"])
           for one in siblings):  # fmt: skip
        raise ArmError(409, "Conflict", "Another route has the same pattern.")


def _check_protocols(properties: dict[str, Any]) -> None:
    both = {"Http", "Https"} <= set(properties["supportedProtocols"])
    if properties.get("httpsRedirect") == "Enabled" and not both:
        raise ArmError(400, "BadRequest", "A redirect to https needs both protocols.")
    cache = properties.get("cacheConfiguration") or {}
    compression = cache.get("compressionSettings") or {}
    if compression.get("isCompressionEnabled") and not compression.get("contentTypesToCompress"):
        raise ArmError(400, "BadRequest", "Compression needs its content types.")


def _group_busy(state: ArmState, stored: Stored) -> str | None:
    return "A route uses the origin group." if routes_to(state, stored.resource_id) else None


def _origin_busy(state: ArmState, stored: Stored) -> str | None:
    group_id = parent_of(stored.resource_id)
    is_last = len(state.of(ORIGINS, f"{group_id}/")) == 1
    return "A route needs the origin." if is_last and routes_to(state, group_id) else None


def _rule_set_busy(state: ArmState, stored: Stored) -> str | None:
    return "A route uses the rule set." if routes_to(state, stored.resource_id) else None


def _model(name: str) -> Callable[[], type]:
    def load() -> type:
        from azure.mgmt.cdn import models  # noqa: PLC0415 - heavy

        found: type = getattr(models, name)
        return found

    return load
