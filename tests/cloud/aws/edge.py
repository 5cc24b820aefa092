"""An edge of CloudFront: a distribution's HTTPS server with function, cache and error pages."""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from tests.cloud.aws.certificates import Certificates
from tests.cloud.aws.cloudfront import CloudFront, Distribution
from tests.cloud.aws.cloudfront_policies import SECURITY_HEADERS
from tests.cloud.aws.edge_functions import viewer_request
from tests.cloud.aws.s3 import S3, may_read

_BUCKET = re.compile(r"([a-z0-9-]+)\.s3\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
_MAX_AGE = re.compile(r"(?<!s-)max-age=(\d+)")
DEFAULT_TTL_S = 86_400
MINIMUM_TTL_S = 1


@dataclass(kw_only=True)
class Answered:
    """What an origin or the cache gives."""

    status: int
    headers: dict[str, str]
    body: bytes
    expires_s: float = 0.0


class EdgeWorld:
    """What all edges share: where origins are, and a clock that only a test moves."""

    def __init__(self, certificates: Certificates) -> None:
        self.certificates = certificates
        self.now_s = 0.0
        self.origins: dict[str, tuple[str, int]] = {}
        """Where a custom origin's domain name really listens."""
        self.s3: S3 | None = None
        self.cloudfront: CloudFront | None = None

    def open(self, distribution: Distribution) -> DistributionEdge:
        return DistributionEdge(distribution, self)


class DistributionEdge:
    """One distribution's server on loopback; it follows what is deployed, not what is asked."""

    def __init__(self, distribution: Distribution, world: EdgeWorld) -> None:
        self.distribution = distribution
        self.world = world
        self.requests = 0
        self.origin_requests = 0
        self._cache: dict[str, Answered] = {}
        edge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                edge.serve(self)

            do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the base's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing goes to stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        self._server.daemon_threads = True
        self._server.socket = world.certificates.server_context().wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def forget(self, path: str) -> None:
        """Empty exactly what the path names; a star at its end stands for anything."""
        for known in list(self._cache):
            if known == path or (path.endswith("*") and known.startswith(path[:-1])):
                del self._cache[known]

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        length = int(request.headers.get("content-length") or 0)
        sent = request.rfile.read(length) if length else b""
        answered = self._answered(request, sent)
        body = b"" if request.command == "HEAD" else answered.body
        with contextlib.suppress(ConnectionError, TimeoutError):
            request.send_response(answered.status)
            for name, value in {**answered.headers, **self._policy_headers()}.items():
                request.send_header(name, value)
            request.send_header("content-length", str(len(answered.body)))
            request.end_headers()
            request.wfile.write(body)

    def _answered(self, request: BaseHTTPRequestHandler, sent: bytes) -> Answered:
        live = self.distribution.live
        if live is None or not live["Enabled"]:
            return Answered(status=503, headers={}, body=b"not deployed")
        path, _, query = request.path.partition("?")
        rewritten = self._rewritten(live, path, query, request)
        if isinstance(rewritten, Answered):
            return rewritten
        if rewritten == "/" and live["DefaultRootObject"]:
            rewritten = f"/{live['DefaultRootObject']}"
        found = self._cached(live, rewritten, query, request, sent)
        if request.headers.get("if-none-match") == found.headers.get("ETag", object()):
            return Answered(status=304, headers=found.headers, body=b"")
        return found if found.status < 400 else self._error_page(live, found, request)

    def _rewritten(
        self, live: dict[str, Any], path: str, query: str, request: BaseHTTPRequestHandler
    ) -> str | Answered:
        assert self.world.cloudfront is not None
        for one in live["DefaultCacheBehavior"]["FunctionAssociations"].get("Items", []):
            code = self.world.cloudfront.functions.live_code(one["FunctionARN"])
            if code is None or one["EventType"] != "viewer-request":
                continue
            event = viewer_request(path, query)
            said = self.world.cloudfront.functions.node.run(code.decode(), event, query)
            if "error" in said:
                return Answered(status=503, headers={}, body=said["error"].encode())
            if "response" in said["output"]:
                return _function_answer(said["output"]["response"])
            path = said["output"]["request"]["uri"]
        return path

    def _cached(
        self, live: dict[str, Any], path: str, query: str,
        request: BaseHTTPRequestHandler, sent: bytes,
    ) -> Answered:  # fmt: skip
        assert self.world.cloudfront is not None
        policy = self.world.cloudfront.policies.name_of(
            "cache", live["DefaultCacheBehavior"]["CachePolicyId"]
        )
        caches = policy == "Managed-CachingOptimized" and request.command in ("GET", "HEAD")
        key = unquote(path)
        known = self._cache.get(key)
        if caches and known is not None and known.expires_s > self.world.now_s:
            return known
        found = self._from_origin(live, path, query, request, sent)
        if caches and found.status == 200:
            found.expires_s = self.world.now_s + _ttl_s(found.headers)
            self._cache[key] = found
        return found

    def _from_origin(
        self, live: dict[str, Any], path: str, query: str,
        request: BaseHTTPRequestHandler, sent: bytes,
    ) -> Answered:  # fmt: skip
        self.origin_requests += 1
        wanted = live["DefaultCacheBehavior"]["TargetOriginId"]
        origin = next(one for one in live["Origins"]["Items"] if one["Id"] == wanted)
        bucket = _BUCKET.fullmatch(origin["DomainName"])
        if bucket is not None:
            return self._from_bucket(bucket[1], origin, path)
        return self._from_server(origin, path, query, request, sent)

    def _from_bucket(self, name: str, origin: dict[str, Any], path: str) -> Answered:
        assert self.world.s3 is not None
        assert self.world.cloudfront is not None
        bucket = self.world.s3.bucket(name)
        if bucket is None:
            return _denied(404, "NoSuchBucket")
        controls = self.world.cloudfront.access_controls.controls
        signed = origin["OriginAccessControlId"] in controls
        if not signed or not may_read(bucket, self.distribution.arn):
            return _denied(403, "AccessDenied")
        found = self.world.s3.backend.get_object(
            name, unquote(f"{origin['OriginPath']}{path}").lstrip("/")
        )
        if found is None:
            return _denied(403, "AccessDenied")
        headers = {str(key): str(value) for key, value in found.response_dict.items()}
        shown = {"content-type", "cache-control", "etag", "content-encoding"}
        kept = {name: value for name, value in headers.items() if name.lower() in shown}
        kept |= {
            name.title(): str(value)
            for name, value in found.metadata.items()
            if name.lower() in shown
        }
        return Answered(status=200, headers=kept, body=found.value)

    def _from_server(
        self, origin: dict[str, Any], path: str, query: str,
        request: BaseHTTPRequestHandler, sent: bytes,
    ) -> Answered:  # fmt: skip
        domain = origin["DomainName"]
        where = self.world.origins.get(domain)
        if where is None:
            return _denied(502, "the origin's name has no address")
        own = {
            one["HeaderName"]: one["HeaderValue"]
            for one in origin["CustomHeaders"].get("Items", [])
        }
        # What a viewer sends under the name of an origin's header is replaced.
        dropped = {"host", *(name.lower() for name in own)}
        headers = {name: text for name, text in request.headers.items()
                   if name.lower() not in dropped} | own  # fmt: skip
        connection = HTTPConnection(*where, timeout=10)
        try:
            target = f"{origin['OriginPath']}{path}" + (f"?{query}" if query else "")
            connection.request(request.command, target, sent or None, {**headers, "host": domain})
            said = connection.getresponse()
            body = said.read()
        except OSError:
            return _denied(502, "the origin does not answer")
        finally:
            connection.close()
        hops = {"content-length", "transfer-encoding", "connection"}
        kept = {name: value for name, value in said.getheaders() if name.lower() not in hops}
        return Answered(status=said.status, headers=kept, body=body)

    def _error_page(
        self, live: dict[str, Any], found: Answered, request: BaseHTTPRequestHandler
    ) -> Answered:
        for one in live["CustomErrorResponses"].get("Items", []):
            if one["ErrorCode"] == found.status and one.get("ResponsePagePath"):
                page = self._cached(live, one["ResponsePagePath"], "", request, b"")
                if page.status == 200:
                    return Answered(
                        status=int(one["ResponseCode"]), headers=page.headers, body=page.body
                    )
        return found

    def _policy_headers(self) -> dict[str, str]:
        assert self.world.cloudfront is not None
        live = self.distribution.live
        chosen = (live or {}).get("DefaultCacheBehavior", {}).get("ResponseHeadersPolicyId")
        if not chosen:
            return {}
        name = self.world.cloudfront.policies.name_of("response-headers", chosen)
        return SECURITY_HEADERS if name == "Managed-SecurityHeadersPolicy" else {}


def _function_answer(response: dict[str, Any]) -> Answered:
    headers = {name: one["value"] for name, one in response.get("headers", {}).items()}
    return Answered(status=int(response["statusCode"]), headers=headers, body=b"")


def _denied(status: int, code: str) -> Answered:
    text = f"<Error><Code>{code}</Code></Error>"
    return Answered(status=status, headers={"Content-Type": "application/xml"}, body=text.encode())


def _ttl_s(headers: dict[str, str]) -> float:
    control = {name.lower(): value for name, value in headers.items()}.get("cache-control")
    if control is None:
        return DEFAULT_TTL_S
    age = _MAX_AGE.search(control)
    wanted = int(age[1]) if age and "no-cache" not in control else 0
    return max(MINIMUM_TTL_S, wanted)
