"""The warm browser: one thread owns Playwright's driver and a Chromium, everybody else asks it.

A browser or driver that died is rebuilt for the next job; a job that hangs is ended by killing
its Chromium, so that no page of a customer can hold the worker.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from typing import TypeVar

import msgspec
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import CDPSession, Error, Playwright, sync_playwright

from core.checks.browser_environment import browser_environment, contain_driver
from core.checks.chromium import ARGUMENTS, Chromium, chromium_candidates, no_chromium
from core.errors import BuilderError, CancelledError, MissingProgramError, TimedOutError

logger = logging.getLogger(__name__)
T = TypeVar("T")

START_TIMEOUT_S = 40.0
_LAUNCH_TIMEOUT_MS = 15_000
_CLOSE_TIMEOUT_S = 5.0
_POLL_S = 0.05


class BrowserError(BuilderError):
    """The browser failed in a way that no page explains."""

    code = "browser"
    retryable = True


class _LaneLostError(BrowserError):
    """Driver or browser died; a new lane can do the job."""

    def __init__(self) -> None:
        super().__init__("The browser died.", remedy="Run it again; a new browser is started.")


class Browser:
    """Runs jobs, one at a time, each with the same warm browser. Safe to call from any thread."""

    def __init__(self, *, environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._turn = threading.Lock()
        self._state = threading.Lock()
        self._lane: _Lane | None = None

    def warm_up(self) -> None:
        """Start driver and browser in the background; returns at once, failures show at `run`."""
        self._current_lane()

    def run(
        self,
        job: Callable[[PlaywrightBrowser], T],
        *,
        timeout_s: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> T:
        """Call `job` in the browser's thread and give back what it returns.

        Args:
            job: Repeatable: when the browser dies under it, it is called once more.
            timeout_s: For the job alone, not for waiting its turn or starting the browser.

        Raises:
            MissingProgramError: No Chromium, or none that starts.
            TimedOutError: The job was ended at its limit.
            CancelledError: `cancelled()` became true; the job was ended.
            BrowserError: The browser died twice, or failed without a page's fault.
        """
        with self._my_turn(cancelled):
            try:
                return self._attempt(job, timeout_s, cancelled)
            except _LaneLostError:
                logger.warning("browser died, starting another")
            return self._attempt(job, timeout_s, cancelled)

    def chromium(self) -> Chromium:
        """The browser in use, started if need be.

        Raises:
            MissingProgramError: No Chromium, or none that starts.
        """
        lane = self._current_lane()
        lane.wait_ready(lambda: False)
        return lane.chromium

    def close(self) -> None:
        """End browser and driver. A later `run` starts them again."""
        with self._state:
            lane, self._lane = self._lane, None
        if lane:
            lane.close()

    def _attempt(
        self, job: Callable[[PlaywrightBrowser], T], timeout_s: float, cancelled: Callable[[], bool]
    ) -> T:
        lane = self._current_lane()
        try:
            lane.wait_ready(cancelled)
            return lane.call(job, timeout_s, cancelled)
        except (_LaneLostError, MissingProgramError, TimedOutError, CancelledError):
            self._discard(lane)
            raise

    def _current_lane(self) -> _Lane:
        with self._state:
            if self._lane is None or self._lane.has_failed():
                self._lane = _Lane(self._environ)
            return self._lane

    def _discard(self, lane: _Lane) -> None:
        with self._state:
            if self._lane is lane:
                self._lane = None
        lane.kill()

    @contextmanager
    def _my_turn(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        while not self._turn.acquire(timeout=_POLL_S):
            if cancelled():
                raise _cancelled()
        try:
            yield
        finally:
            self._turn.release()


class _Lane:
    """One life of a driver and its browser, in one thread that nobody else enters."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.chromium = Chromium()
        self._environ = environ
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ready: Future[None] = Future()
        self._browser: PlaywrightBrowser | None = None
        self._probe: CDPSession | None = None
        self._pid: int | None = None
        self._thread = threading.Thread(target=self._main, name="browser", daemon=True)
        self._thread.start()

    def has_failed(self) -> bool:
        """Whether it could not start; what was missing may be there by now."""
        return self._ready.done() and self._ready.exception() is not None

    def wait_ready(self, cancelled: Callable[[], bool]) -> None:
        _wait(self._ready, START_TIMEOUT_S, cancelled, "The browser did not start")

    def call(
        self, job: Callable[[PlaywrightBrowser], T], timeout_s: float, cancelled: Callable[[], bool]
    ) -> T:
        outcome: Future[T] = Future()
        self._jobs.put(lambda: self._do(job, outcome))
        return _wait(outcome, timeout_s, cancelled, "The browser did not finish")

    def kill(self) -> None:
        """End whatever runs: without its Chromium a hanging job fails and the thread ends."""
        self._jobs.put(None)
        if self._pid is not None and self._thread.is_alive():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            self.kill()

    def _main(self) -> None:
        try:
            contain_driver()
            driver = sync_playwright().start()
        except Exception as error:  # noqa: BLE001 - the edge of a worker thread: handed to the waiter
            self._ready.set_exception(_start_failure(str(error)))
            return
        try:
            self._open(driver)
            self._serve()
        finally:
            self._end(driver)

    def _open(self, driver: Playwright) -> None:
        try:
            self._browser = self._launch(driver)
            self._probe = self._browser.new_browser_cdp_session()
            self._pid = _browser_pid(self._probe)
        except Exception as error:  # noqa: BLE001 - the edge of a worker thread: handed to the waiter
            known = error if isinstance(error, BuilderError) else _start_failure(str(error))
            self._ready.set_exception(known)
            self._jobs.put(None)
        else:
            self._ready.set_result(None)

    def _launch(self, driver: Playwright) -> PlaywrightBrowser:
        failure = no_chromium()
        for candidate in chromium_candidates(self._environ):
            try:
                browser = driver.chromium.launch(
                    executable_path=candidate.executable,
                    args=list(ARGUMENTS),
                    chromium_sandbox=os.geteuid() != 0,
                    env=browser_environment(self._environ),
                    timeout=_LAUNCH_TIMEOUT_MS,
                )
            except Error as error:
                failure = _start_failure(f"{candidate.label}: {error.message}")
                logger.warning("browser does not start", extra={"program": candidate.label})
            else:
                self.chromium = candidate
                return browser
        raise failure

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _do(self, job: Callable[[PlaywrightBrowser], T], outcome: Future[T]) -> None:
        if self._browser is None or not self._is_alive():
            outcome.set_exception(_LaneLostError())
            return
        try:
            result = job(self._browser)
        except Exception as error:  # noqa: BLE001 - the edge of a worker thread: handed to the waiter
            outcome.set_exception(self._translated(error))
        else:
            outcome.set_result(result)

    def _is_alive(self) -> bool:
        try:
            if self._probe is not None:
                self._probe.send("Browser.getVersion")
        except Error:
            return False
        return self._probe is not None

    def _translated(self, error: Exception) -> Exception:
        if not isinstance(error, Error):
            return error
        if not self._is_alive():
            return _LaneLostError()
        failure = BrowserError(
            f"The browser failed: {_first_line(error.message)}.", remedy="Run it again."
        )
        failure.__cause__ = error
        return failure

    def _end(self, driver: Playwright) -> None:
        with suppress(Error):
            if self._browser is not None:
                self._browser.close()
        with suppress(Error):
            driver.stop()


class _Process(msgspec.Struct):
    type: str
    id: int


class _Processes(msgspec.Struct):
    processInfo: list[_Process]  # noqa: N815 - the DevTools protocol's own spelling


def _browser_pid(session: CDPSession) -> int | None:
    answer = msgspec.convert(session.send("SystemInfo.getProcessInfo"), type=_Processes)
    return next((process.id for process in answer.processInfo if process.type == "browser"), None)


def _wait(outcome: Future[T], timeout_s: float, cancelled: Callable[[], bool], what: str) -> T:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return outcome.result(timeout=_POLL_S)
        except FutureTimeoutError:
            if outcome.done():
                raise
        if cancelled():
            raise _cancelled()
        if time.monotonic() >= deadline:
            raise TimedOutError(
                f"{what} within {timeout_s:g} s.", remedy="Run it again, or look at the page."
            )


def _cancelled() -> CancelledError:
    return CancelledError("The browser's work was cancelled.", remedy="Start it again when wanted.")


def _start_failure(text: str) -> MissingProgramError:
    return MissingProgramError(
        f"Chromium does not start: {_first_line(text)}.",
        remedy="Install another one (playwright install --with-deps chromium), or allow "
        "unprivileged user namespaces where its sandbox is refused.",
    )


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason")[:300]
