"""Health: does the address answer, in time, with a page, and is it the page of this release?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin

from core.checks.documents import Stopwatch
from core.checks.web import Answer, FetchLimits, NotReachedError, fetch, require_web_url
from core.clock import Clock, SystemClock
from core.errors import CancelledError
from core.models.checks import CheckDocument
from core.models.execution import Json
from core.models.release import MARKER_PATH

logger = logging.getLogger(__name__)

_MARKER_BYTES = 200
_PAUSE_SLICE_S = 0.1
_NOT_CAUGHT_UP = frozenset({403, 404, 408, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthOptions:
    """What counts as healthy.

    Attributes:
        min_bytes: The page must be larger than this.
        timeout_s: For one try, with its redirects and the release marker.
        interval_s: Between two tries.
        max_bytes: Reading stops here; a larger page is healthy all the same.
    """

    min_bytes: int = 100
    timeout_s: float = 10.0
    tries: int = 3
    interval_s: float = 2.0
    content_type: str = "text/html"
    max_bytes: int = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """One look. `error` is None when all is well; `retryable` says a later look may differ."""

    answer: Answer | None = None
    release: str | None = None
    error: str | None = None
    retryable: bool = False


def check_health(
    url: str,
    *,
    expected_release: str | None,
    options: HealthOptions | None = None,
    clock: Clock | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> CheckDocument:
    """Look at `url` until it is healthy or the tries are used up.

    Args:
        url: Where the site answers; the release marker lies at the root of the same origin.
        expected_release: The release id that must be served; None asks for no marker.

    Raises:
        UsageError: `url` is not a web address.
        CancelledError: `cancelled()` became true.
    """
    options, clock = options or HealthOptions(), clock or SystemClock()
    require_web_url(url)
    watch = Stopwatch(clock)
    attempts = 0
    while True:
        attempts += 1
        look = _look(url, expected_release, options, cancelled)
        if look.error is None or not look.retryable or attempts >= options.tries:
            break
        logger.info("health try failed", extra={"url": url, "attempt": attempts})
        _pause(options.interval_s, clock, cancelled)
    return CheckDocument(
        test="health",
        timestamp=watch.started_at,
        passed=look.error is None,
        duration_ms=watch.elapsed_ms,
        attempts=attempts,
        details=_details(url, look),
        error=look.error,
    )


def _look(
    url: str, expected: str | None, options: HealthOptions, cancelled: Callable[[], bool]
) -> _Try:
    limits = FetchLimits(timeout_s=options.timeout_s, read_bytes=options.max_bytes)
    try:
        answer = fetch(url, limits=limits, cancelled=cancelled)
    except NotReachedError as error:
        return _Try(error=error.message, retryable=True)
    if answer.status_code != 200:
        late = answer.status_code in _NOT_CAUGHT_UP or answer.status_code >= 500
        error_text = f"{url} answered {answer.status_code}, expected 200."
        return _Try(answer=answer, error=error_text, retryable=late)
    fault = _page_fault(url, answer, options)
    if expected is None:
        return _Try(answer=answer, error=fault)
    left_s = max(0.5, options.timeout_s - answer.elapsed_ms / 1000)
    served, stale = _marker(url, expected, left_s, cancelled)
    return _Try(answer=answer, release=served, error=stale or fault, retryable=stale is not None)


def _page_fault(url: str, answer: Answer, options: HealthOptions) -> str | None:
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind != options.content_type:
        return f"{url} is {kind or 'of no type'}, expected {options.content_type}."
    if answer.size_bytes <= options.min_bytes:
        return f"{url} has {answer.size_bytes} bytes, expected more than {options.min_bytes}."
    return None


def _marker(
    url: str, expected: str, timeout_s: float, cancelled: Callable[[], bool]
) -> tuple[str | None, str | None]:
    """The release id served, and the sentence that says why it is not the expected one."""
    limits = FetchLimits(timeout_s=timeout_s, read_bytes=_MARKER_BYTES)
    try:
        answer = fetch(urljoin(url, f"/{MARKER_PATH}"), limits=limits, cancelled=cancelled)
    except NotReachedError as error:
        return None, error.message
    if answer.status_code != 200:
        return None, f"The release marker of {url} answered {answer.status_code}, expected 200."
    served = answer.body.decode("ascii", "replace").strip()
    if served == expected:
        return served, None
    return served, f"{url} still serves release {served[:64]!r}, expected {expected!r}."


def _pause(seconds: float, clock: Clock, cancelled: Callable[[], bool]) -> None:
    left = seconds
    while left > 0:
        if cancelled():
            raise CancelledError(
                "The health check was cancelled.", remedy="Start it again when wanted."
            )
        clock.sleep(min(_PAUSE_SLICE_S, left))
        left -= _PAUSE_SLICE_S


def _details(url: str, look: _Try) -> dict[str, Json]:
    answer = look.answer
    details: dict[str, Json] = {
        "url": url,
        "status_code": answer.status_code if answer else None,
        "content_type": answer.content_type if answer else None,
        "response_size_bytes": answer.size_bytes if answer else None,
        "response_ms": answer.elapsed_ms if answer else None,
        "release": look.release,
    }
    if answer and answer.url != url:
        details["final_url"] = answer.url
    return details
