"""One bounded GET: a deadline over everything, a limit on the bytes, no credentials, cancellable.

What an answer means is decided by the callers.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests import Response, Session
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.errors import BuilderError, CancelledError, UsageError

MAX_REDIRECTS = 10
USER_AGENT = "tmux-builder-check"
_CHUNK = 64 * 1024
_POLL_S = 0.05
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class NotReachedError(BuilderError):
    """The address gave no HTTP answer: refused, broken, endless or too slow."""

    code = "not_reached"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an address answered in the end. `body` holds at most the bytes asked for."""

    url: str
    status_code: int
    content_type: str
    body: bytes
    size_bytes: int
    """Bytes received, at least: reading stops at the caller's limit."""
    elapsed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """What one GET may cost.

    Attributes:
        timeout_s: Over connecting, redirects and reading together.
        read_bytes: Reading stops here; 0 reads only the head of the answer.
        within: Redirects leave this origin unfollowed; None follows them anywhere.
    """

    timeout_s: float = 10.0
    read_bytes: int = 20 * 1024 * 1024
    within: str | None = None


def origin_of(url: str) -> str:
    """Scheme, host and port, as browsers compare them."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def require_web_url(url: str) -> str:
    """The address itself.

    Raises:
        UsageError: It is not an http or https address.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            f"{url[:200]!r} is not a web address.", remedy="Give it like http://127.0.0.1:8000/."
        )
    return url


def fetch(url: str, *, limits: FetchLimits, cancelled: Callable[[], bool]) -> Answer:
    """GET with redirects. The caller gets its thread back in time, whatever the server does.

    Raises:
        NotReachedError: No answer, or none in time.
        CancelledError: `cancelled()` became true.
    """
    getting = _Getting(url, limits)
    deadline = time.monotonic() + limits.timeout_s
    getting.start()
    while not getting.done.wait(_POLL_S):
        if cancelled():
            getting.abandon()
            raise CancelledError("The check was cancelled.", remedy="Start it again when wanted.")
        if time.monotonic() >= deadline:
            getting.abandon()
            raise _not_reached(url, f"did not answer within {limits.timeout_s:g} s")
    if getting.answer is None:
        raise getting.error or _not_reached(url, "gave no answer")
    return getting.answer


@dataclass(eq=False)
class _Getting(threading.Thread):
    """The GET in a thread of its own, so that a server that drips bytes holds nobody up."""

    url: str
    limits: FetchLimits
    answer: Answer | None = None
    error: NotReachedError | None = None
    done: threading.Event = field(default_factory=threading.Event)
    _sockets: list[socket.socket] = field(default_factory=list)
    _abandoned: bool = False

    def __post_init__(self) -> None:
        super().__init__(name="check-get", daemon=True)

    def run(self) -> None:
        try:
            with _session(self._sockets.append) as session:
                self.answer = self._get(session)
        except requests.TooManyRedirects:
            self.error = _not_reached(self.url, f"redirects more than {MAX_REDIRECTS} times")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            self.error = _not_reached(self.url, _reason(error))
        except ValueError as error:
            self.error = _not_reached(self.url, f"redirects to no web address ({error})")
        finally:
            self.done.set()

    def abandon(self) -> None:
        """Cut the connections, so that the thread ends."""
        self._abandoned = True
        for connection in list(self._sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _get(self, session: Session) -> Answer:
        begin = time.monotonic()
        url = self.url
        for _ in range(MAX_REDIRECTS + 1):
            with self._open(session, url) as response:
                target = _redirect_target(response, url)
                if target is None or self._leaves(target):
                    return self._read(response, url, begin)
            url = target
        raise requests.TooManyRedirects

    def _leaves(self, target: str) -> bool:
        return self.limits.within is not None and origin_of(target) != self.limits.within

    def _open(self, session: Session, url: str) -> Response:
        return session.get(
            url,
            stream=True,
            allow_redirects=False,
            timeout=self.limits.timeout_s + 1,  # the caller's deadline comes first
            proxies=_proxies(url),
        )

    def _read(self, response: Response, url: str, begin: float) -> Answer:
        kept = bytearray()
        limit = self.limits.read_bytes
        if limit:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                kept += chunk
                if len(kept) >= limit or self._abandoned:
                    break
        return Answer(
            url=url,
            status_code=response.status_code,
            content_type=response.headers.get("content-type", ""),
            body=bytes(kept[:limit]),
            size_bytes=len(kept),
            elapsed_ms=round((time.monotonic() - begin) * 1000),
        )


def _session(opened: Callable[[socket.socket], None]) -> Session:
    """A session without netrc, cookies of others or keep-alive, that tells its sockets."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            opened(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            opened(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    session = Session()
    session.trust_env = False  # the operator's netrc logins are not for customers' sites
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    session.headers.update(
        {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Cache-Control": "no-cache"}
    )
    adapter = HTTPAdapter()
    adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _redirect_target(response: Response, url: str) -> str | None:
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or not location:
        return None
    target = urljoin(url, location)
    if urlsplit(target).scheme not in {"http", "https"}:
        raise ValueError(target[:100])
    return target


def _proxies(url: str) -> dict[str, str]:
    """The environment's proxies, never for this computer itself."""
    return {} if is_loopback(url) else dict(get_environ_proxies(url))


def is_loopback(url: str) -> bool:
    """Whether the address names this computer."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reason(error: Exception) -> str:
    """One clause about a failed connection; the library's own text carries object addresses."""
    text = str(error)
    for fragment, reason in (
        ("refused", "refused the connection"),
        ("resolve", "has a name that cannot be resolved"),
        ("not known", "has a name that cannot be resolved"),
        ("certificate", "has a certificate that is not trusted"),
        ("imed out", "did not answer in time"),
        ("reset", "closed the connection"),
        ("without response", "closed the connection"),
        ("IncompleteRead", "broke off in the middle of its answer"),
    ):
        if fragment in text:
            return reason
    if isinstance(error, requests.exceptions.SSLError):
        return "refused a secure connection"
    return f"could not be read ({type(error).__name__})"


def _not_reached(url: str, reason: str) -> NotReachedError:
    return NotReachedError(
        f"{url} {reason}.", remedy="Check that the site is served, then run the check again."
    )
