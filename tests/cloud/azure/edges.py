"""Front Door at the edge: one https server for each endpoint, with a cache and header rules."""

from __future__ import annotations

import http.client
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.cloud.aws.certificates import Certificates
from tests.cloud.azure.arm_front_door import ORIGINS, ROUTES, RULES
from tests.cloud.azure.arm_state import ArmState, Stored, parent_of
from tests.cloud.azure.serving import Answer, Asked, LoopbackServer

BACKBONE = "X-Standin-Backbone"
FRONT_DOOR_ID = "X-Azure-FDID"
"""Front Door sets it to the profile's own id, whatever a visitor sends under that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteNow:
    """What a route comes to: where the origin is, and which headers the rules set."""

    host: str
    port: int
    is_plain: bool
    host_header: str
    domains: tuple[str, ...]
    """Names of somebody's own that are proven and lead here."""
    caches: bool
    front_door_id: str
    headers: tuple[tuple[str, str, str], ...]
    """(action, name, value) in the order of the rules."""


class EdgeServers:
    """All edges of one Front Door; `purged` is every path that was purged, in order."""

    def __init__(self, certificates: Certificates) -> None:
        self.state: Callable[[], tuple[threading.RLock, ArmState]] | None = None
        self.backbone = uuid.uuid4().hex
        """What requests of the edges carry, so that a filter on the way knows them."""
        self.purged: list[tuple[str, str]] = []
        self._certificates = certificates
        self._servers: dict[str, LoopbackServer] = {}
        self._caches: dict[str, dict[str, Answer]] = {}
        self._lock = threading.Lock()

    def open_edge(self, endpoint_id: str) -> str:
        key = endpoint_id.lower()
        if key not in self._servers:
            self._caches[key] = {}
            self._servers[key] = LoopbackServer(
                lambda asked: self._answer(key, asked), self._certificates.server_context()
            )
        return f"127.0.0.1:{self._servers[key].port}"

    def close_edge(self, endpoint_id: str) -> None:
        server = self._servers.pop(endpoint_id.lower(), None)
        if server is not None:
            server.close()

    def close(self) -> None:
        for endpoint_id in list(self._servers):
            self.close_edge(endpoint_id)

    def purge(self, endpoint_id: str, paths: list[str]) -> None:
        """Exactly the named paths, whatever their case; `/a/*` is all below."""
        with self._lock:
            cache = self._caches[endpoint_id.lower()]
            for path in paths:
                self.purged.append((endpoint_id.rpartition("/")[2], path))
                wanted = path.lower()
                for cached in list(cache):
                    is_below = wanted.endswith("*") and cached.lower().startswith(wanted[:-1])
                    if is_below or cached.lower() == wanted:
                        del cache[cached]

    def _answer(self, endpoint_id: str, asked: Asked) -> Answer:
        route, own = self._route(endpoint_id), asked.headers.get("host", "").partition(":")[0]
        if route is None or own not in ("127.0.0.1", *route.domains):
            return Answer(status=404, body=b"Our services aren't available right now")
        cache = self._caches[endpoint_id]
        with self._lock:
            cached = cache.get(asked.path)
        if cached is not None and asked.method == "GET":
            return replace(cached, headers={**cached.headers, "X-Cache": "TCP_HIT"})
        answer = _ruled(self._fetched(route, asked), route)
        if route.caches and asked.method == "GET" and _may_be_cached(answer):
            with self._lock:
                cache[asked.path] = answer
        return replace(answer, headers={**answer.headers, "X-Cache": "TCP_MISS"})

    def _fetched(self, route: RouteNow, asked: Asked) -> Answer:
        connection = self._connection(route)
        passed = {
            "Host": route.host_header, BACKBONE: self.backbone, FRONT_DOOR_ID: route.front_door_id,
        }  # fmt: skip
        if "if-none-match" in asked.headers:
            passed["If-None-Match"] = asked.headers["if-none-match"]
        if not route.caches:
            passed = {**_end_to_end(asked.headers), **passed}
        try:
            connection.request(asked.method, asked.target, asked.body or None, passed)
            response = connection.getresponse()
            body = response.read()
        except OSError:
            return Answer(status=502, body=b"the origin does not answer")
        finally:
            connection.close()
        kept = {name: value for name, value in response.getheaders()
                if name.lower() != "content-length"}  # fmt: skip
        return Answer(status=response.status, body=body, headers=kept)

    def _connection(self, route: RouteNow) -> http.client.HTTPConnection:
        if route.is_plain:
            return http.client.HTTPConnection(route.host, route.port, timeout=20)
        context = self._certificates.client_context()
        return http.client.HTTPSConnection(route.host, route.port, context=context, timeout=20)

    def _route(self, endpoint_id: str) -> RouteNow | None:
        assert self.state is not None
        lock, state = self.state()
        with lock:
            if endpoint_id not in self._servers:
                return None
            for route in state.of(ROUTES, f"{endpoint_id}/"):
                if route.properties.get("provisioningState") == "Succeeded":
                    profile = state.needed(parent_of(endpoint_id))
                    return _route_now(state, route.properties, profile)
        return None


def _route_now(state: ArmState, properties: dict[str, Any], profile: Stored) -> RouteNow | None:
    if properties.get("enabledState", "Enabled") != "Enabled":
        return None
    origins = state.of(ORIGINS, f"{properties['originGroup']['id']}/")
    if not origins:
        return None
    origin, is_plain = origins[0].properties, properties["forwardingProtocol"] == "HttpOnly"
    rules = [rule for one in properties.get("ruleSets") or []
             for rule in state.of(RULES, f"{one['id']}/")]  # fmt: skip
    actions = [
        action["parameters"]
        for rule in sorted(rules, key=lambda one: int(one.properties["order"]))
        for action in rule.properties["actions"]
        if action["name"] == "ModifyResponseHeader"
    ]
    return RouteNow(
        host=origin["hostName"],
        port=origin.get("httpPort", 80) if is_plain else origin.get("httpsPort", 443),
        is_plain=is_plain,
        domains=_domains(state, properties),
        host_header=origin["originHostHeader"],
        front_door_id=profile.properties.get("frontDoorId", ""),
        caches=bool(properties.get("cacheConfiguration")),
        headers=tuple(
            (one["headerAction"], one["headerName"], one.get("value", "")) for one in actions
        ),
    )


def _domains(state: ArmState, properties: dict[str, Any]) -> tuple[str, ...]:
    named = [state.get(one["id"]) for one in properties.get("customDomains") or []]
    return tuple(
        one.properties["hostName"]
        for one in named
        if one is not None and one.properties.get("domainValidationState") == "Approved"
    )


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    hops = ("host", "connection", "content-length", "transfer-encoding", BACKBONE.lower(),
            FRONT_DOOR_ID.lower())  # fmt: skip
    return {name: value for name, value in headers.items() if name not in hops}


def _ruled(answer: Answer, route: RouteNow) -> Answer:
    headers = dict(answer.headers)
    for action, name, value in route.headers:
        for there in [one for one in headers if one.lower() == name.lower()]:
            if action != "Append":
                del headers[there]
        if action != "Delete":
            headers[name] = value
    return replace(answer, headers=headers)


def _may_be_cached(answer: Answer) -> bool:
    """Without any Cache-Control an object is kept for days of the edge's own choosing."""
    control = next(
        (value for name, value in answer.headers.items() if name.lower() == "cache-control"), None
    )
    if answer.status != 200:
        return False
    return control is None or not any(
        word in control for word in ("no-cache", "no-store", "private", "max-age=0")
    )
