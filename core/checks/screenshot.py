"""Screenshots: the whole page as on a desk, a thumbnail of it, and the first screen of a phone."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Error, FloatRect, Page
from playwright.sync_api import TimeoutError as PageTimeoutError

from core.checks.browser import Browser
from core.checks.documents import Stopwatch, skipped_document
from core.checks.web import require_web_url
from core.clock import Clock, SystemClock
from core.errors import MissingProgramError, TimedOutError
from core.files import write_atomically
from core.models.checks import CheckDocument
from core.models.execution import Json

FULL_NAME = "screenshot.png"
THUMB_NAME = "screenshot_thumb.png"
PHONE_NAME = "screenshot_phone.png"
THUMB_SIZE = (400, 225)
PHONE_SIZE = (390, 844)
MAX_HEIGHT = 16_384
_TALL = 2.0
"""Height over width, against the thumbnail's, from which a page is cut and not shrunk whole."""
_PICTURES_ARE_THERE = (
    "() => Array.from(document.images).every((one) => one.complete || one.loading === 'lazy')"
)
_PICTURES_LIMIT_MS = 1000
_MEASURE = "() => [document.documentElement.scrollHeight]"
_WAKE_LAZY_IMAGES = """async () => {
  const step = innerHeight, end = Math.min(document.documentElement.scrollHeight, 20 * step);
  for (let y = 0; y < end; y += step) {
    scrollTo(0, y);
    await new Promise((next) => setTimeout(next, 16));
  }
  scrollTo(0, 0);
  return true;
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenshotOptions:
    """How to photograph.

    Attributes:
        full_page: The whole page, up to a height of 16384 pixels; otherwise the first screen.
        timeout_s: Over everything.
        load_limit_s: For the page's load event, after which it is photographed as it stands.
        idle_limit_s: For a quiet network after load; a page that polls never gets quiet.
    """

    width: int = 1920
    height: int = 1080
    full_page: bool = True
    timeout_s: float = 30.0
    load_limit_s: float = 15.0
    idle_limit_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shots:
    """What came back from the browser."""

    full: bytes
    phone: bytes
    status_code: int | None
    waited_for: str
    cut: bool


def take_screenshots(
    url: str,
    *,
    browser: Browser,
    folder: Path,
    options: ScreenshotOptions | None = None,
    clock: Clock | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> CheckDocument:
    """Photograph `url` into `folder`: screenshot.png, screenshot_thumb.png, screenshot_phone.png.

    Returns:
        The result; `skipped` where no Chromium starts, `error` where the page did not come.

    Raises:
        UsageError, CancelledError, StorageError, BrowserError: As their names say.
    """
    options, clock = options or ScreenshotOptions(), clock or SystemClock()
    require_web_url(url)
    watch = Stopwatch(clock)
    details: dict[str, Json] = {
        "url": url,
        "viewport": {"width": options.width, "height": options.height},
    }
    error = None
    try:
        shots = browser.run(
            lambda warm: _photograph(warm, url, options),
            timeout_s=options.timeout_s,
            cancelled=cancelled,
        )
    except MissingProgramError as missing:
        return skipped_document("screenshot", f"{missing.message} {missing.remedy}", watch, details)
    except (TimedOutError, _PageError) as failure:
        error = failure.message
    else:
        details |= _store(shots, folder)
        error = _fault(url, shots, options)
    return CheckDocument(
        test="screenshot",
        timestamp=watch.started_at,
        passed=error is None,
        duration_ms=watch.elapsed_ms,
        attempts=1,
        details=details,
        error=error,
    )


class _PageError(TimedOutError):
    """The page could not be opened at all."""


def _fault(url: str, shots: _Shots, options: ScreenshotOptions) -> str | None:
    if shots.status_code is not None and shots.status_code >= 400:
        return f"{url} answered {shots.status_code}, so the picture shows an error page."
    if shots.waited_for == "commit":
        return f"{url} did not finish loading within {options.load_limit_s:g} s."
    return None


def _photograph(browser: PlaywrightBrowser, url: str, options: ScreenshotOptions) -> _Shots:
    """One load in a fresh context serves both sizes: the second is a resize."""
    deadline = time.monotonic() + options.timeout_s - 1
    context = browser.new_context(
        viewport={"width": options.width, "height": options.height},
        service_workers="block",
        accept_downloads=False,
    )
    try:
        return _both(context.new_page(), url, options, deadline)
    except Error as error:
        if not browser.is_connected():
            raise
        reason = error.message.splitlines()[0][:200]
        raise _PageError(
            f"{url} cannot be photographed: {reason}", remedy="Look at the page in a browser."
        ) from error
    finally:
        with suppress(Error):
            context.close()


def _both(page: Page, url: str, options: ScreenshotOptions, deadline: float) -> _Shots:
    response = page.goto(url, wait_until="commit", timeout=options.load_limit_s * 1000)
    waited_for = _settle(page, options)
    full, cut = _shoot(page, options, deadline)
    return _Shots(
        full=full,
        phone=_shoot_phone(page, deadline),
        status_code=response.status if response else None,
        waited_for=waited_for,
        cut=cut,
    )


def _settle(page: Page, options: ScreenshotOptions) -> str:
    """Wait for load, then for a quiet network; names the last one that came."""
    reached = "commit"
    try:
        page.wait_for_load_state("load", timeout=options.load_limit_s * 1000)
        reached = "load"
        page.wait_for_load_state("networkidle", timeout=options.idle_limit_s * 1000)
    except PageTimeoutError:
        return reached
    return "networkidle"


def _shoot(page: Page, options: ScreenshotOptions, deadline: float) -> tuple[bytes, bool]:
    """The picture, and whether a giant page was cut."""
    timeout_ms = _left_ms(deadline)
    if not options.full_page:
        return page.screenshot(animations="disabled", timeout=timeout_ms), False
    height = _height(page, timeout_ms)
    if height > 2 * options.height:
        page.wait_for_function(_WAKE_LAZY_IMAGES, timeout=timeout_ms)
        height = _height(page, timeout_ms)
    clip: FloatRect = {
        "x": 0,
        "y": 0,
        "width": options.width,
        "height": min(max(height, options.height), MAX_HEIGHT),
    }
    cut = clip["height"] < height
    picture = page.screenshot(full_page=True, clip=clip, animations="disabled", timeout=timeout_ms)
    return picture, cut


def _shoot_phone(page: Page, deadline: float) -> bytes:
    page.set_viewport_size({"width": PHONE_SIZE[0], "height": PHONE_SIZE[1]})
    with suppress(PageTimeoutError):
        page.wait_for_function(_PICTURES_ARE_THERE, timeout=_PICTURES_LIMIT_MS)
    return page.screenshot(animations="disabled", timeout=_left_ms(deadline))


def _height(page: Page, timeout_ms: float) -> int:
    (height,) = page.wait_for_function(_MEASURE, timeout=timeout_ms).json_value()
    return int(height)


def _left_ms(deadline: float) -> float:
    return max(100.0, (deadline - time.monotonic()) * 1000)


def _store(shots: _Shots, folder: Path) -> dict[str, Json]:
    width, height, thumb = _thumbnail(shots.full)
    for name, content in ((FULL_NAME, shots.full), (THUMB_NAME, thumb), (PHONE_NAME, shots.phone)):
        write_atomically(folder / name, content)
    return {
        "path": str(folder / FULL_NAME),
        "thumbnail_path": str(folder / THUMB_NAME),
        "phone_path": str(folder / PHONE_NAME),
        "width": width,
        "height": height,
        "cut": shots.cut,
        "waited_for": shots.waited_for,
        "status_code": shots.status_code,
    }


def _thumbnail(png: bytes) -> tuple[int, int, bytes]:
    """Width and height of the picture, and a PNG of it that fits 400x225."""
    with Image.open(io.BytesIO(png)) as picture:
        width, height = picture.size
        small = _top_of_tall(picture.convert("RGB"))
        small.thumbnail(THUMB_SIZE, Image.Resampling.LANCZOS, reducing_gap=2.0)
        out = io.BytesIO()
        small.save(out, "PNG")
    return width, height, out.getvalue()


def _top_of_tall(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    usual = round(width * THUMB_SIZE[1] / THUMB_SIZE[0])
    return picture.crop((0, 0, width, usual)) if height > _TALL * usual else picture
