"""One site in Front Door: its endpoint, origin, header rules and route in a shared profile.

The parts without tags are named after the endpoint, which has tags, is made first and deleted
last: whoever finds the endpoint finds them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from core.cloud.azure_errors import http_status
from core.errors import CloudRefusedError
from core.hosts.azure.adoption import Part, ensure
from core.hosts.azure.bodies import (
    Document,
    Origin,
    endpoint_body,
    origin_body,
    origin_group_body,
    route_body,
    rule_body,
)
from core.hosts.azure.names import ENDPOINT, ROUTE
from core.hosts.azure.site import AzureSite

PURGED_AT_ONCE = 100
ENDPOINT_MISSING = "endpoint_missing"
RULE = "SecurityHeaders"
ORIGIN = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDoor:
    """The site's parts in one profile, as data and as calls."""

    site: AzureSite
    profile: str
    origin: Origin
    caches: bool = True
    """Off for programs, whose answers are nobody else's."""
    domains: tuple[str, ...] | None = None
    """Ids of names of the operator's own that lead here; None says nothing about them."""

    def parts(self) -> Iterator[Part]:
        """What the endpoint has, in the order in which it is made."""
        yield self._origin_group()
        yield self._origin()
        yield self._rule_set()
        yield self._rule()
        yield self._route()

    def ensure(self) -> None:
        """All parts as they should be; the endpoint is there already."""
        for part in self.parts():
            ensure(self.site, part)

    def _root(self) -> str:
        group = self.site.names.shared_group
        subscription_id = self.site.subscription.subscription_id()
        return (
            f"/subscriptions/{subscription_id}/resourceGroups/{group}"
            f"/providers/Microsoft.Cdn/profiles/{self.profile}"
        )

    def _origin_group(self) -> Part:
        body = origin_group_body(self.origin)
        return self._part("afd_origin_groups", "the origin group", (self._name,), body)

    def _origin(self) -> Part:
        body = origin_body(self.origin)
        return self._part("afd_origins", "the origin", (self._name, ORIGIN), body)

    def _rule_set(self) -> Part:
        return self._part("rule_sets", "the rule set", (self.site.names.rule_set,), {})

    def _rule(self) -> Part:
        names = (self.site.names.rule_set, RULE)
        return self._part("rules", "the security headers", names, rule_body())

    def _route(self) -> Part:
        names = (self._name, self.site.names.rule_set)
        body = route_body(
            self._root(), *names, self.origin, caches=self.caches, domains=self.domains
        )
        part = self._part("routes", "the route", (self._name, self._name), body)
        return replace(part, made=lambda _tags: self._record_route())

    def _record_route(self) -> None:
        self.site.made(ROUTE, self.site.names.route_id(self.profile), {})

    def _part(self, operations: str, word: str, names: tuple[str, ...], body: Document) -> Part:
        calls = getattr(self.site.client("cdn"), operations)
        place = (self.site.names.shared_group, self.profile, *names)
        return Part(
            what=f"{word} of {self._name}",
            body=body,
            get=lambda: calls.get(*place),
            begin=lambda wanted: calls.begin_create(*place, wanted),
        )

    @property
    def _name(self) -> str:
        return self.site.names.endpoint


def endpoint_part(site: AzureSite, profile: str) -> Part:
    """The part with the tags."""
    calls, names = site.client("cdn").afd_endpoints, site.names
    place = (names.shared_group, profile, names.endpoint)
    return Part(
        what=f"the Front Door endpoint {names.endpoint}",
        body=endpoint_body(),
        get=lambda: calls.get(*place),
        begin=lambda body: calls.begin_create(*place, body),
        tags=site.tags,
        owned=names.config.owns,
        made=lambda tags: site.made(ENDPOINT, names.endpoint_id(profile), tags),
    )


def purge(site: AzureSite, profile: str, paths: Sequence[str]) -> None:
    """Empty the edges of exactly these URL paths, and wait until they are.

    Raises:
        CloudRefusedError: The endpoint is gone (code `endpoint_missing`), or it is refused.
    """
    endpoints, names = site.client("cdn").afd_endpoints, site.names
    place = (names.shared_group, profile, names.endpoint)
    for start in range(0, len(paths), PURGED_AT_ONCE):
        batch = {"contentPaths": list(paths[start : start + PURGED_AT_ONCE])}
        try:
            site.followed(
                f"purge paths of {names.endpoint}",
                partial(endpoints.begin_purge_content, *place, batch),
            )
        except CloudRefusedError as error:
            if error.__cause__ is not None and http_status(error.__cause__) == 404:
                error.code = ENDPOINT_MISSING
            raise


def remove_endpoint(site: AzureSite, profile: str, endpoint: str) -> None:
    """The route first, because it holds the others; the endpoint last, because it has the tags."""
    cdn, group = site.client("cdn"), site.names.shared_group
    rule_set = endpoint.replace("-", "")
    steps: list[tuple[str, Any, tuple[str, ...]]] = [
        ("the route", cdn.routes, (endpoint, endpoint)),
        ("the origin", cdn.afd_origins, (endpoint, ORIGIN)),
        ("the origin group", cdn.afd_origin_groups, (endpoint,)),
        ("the security headers", cdn.rules, (rule_set, RULE)),
        ("the rule set", cdn.rule_sets, (rule_set,)),
        ("the endpoint", cdn.afd_endpoints, (endpoint,)),
    ]
    for word, calls, names in steps:
        place = (group, profile, *names)
        what = f"{word} of {endpoint}"
        if site.found(f"look for {what}", partial(calls.get, *place)) is not None:
            site.followed(f"delete {what}", partial(calls.begin_delete, *place))
