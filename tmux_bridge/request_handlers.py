"""What the worker does for each kind of request, and the small pool that does it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import cast

from core.checks.e2e import E2eOptions
from core.checks.health import HealthOptions
from core.checks.screenshot import ScreenshotOptions
from core.errors import BuilderError
from core.handover import Handover
from core.models.execution import Json
from core.models.request import Request, RequestKind
from core.models.session import Session
from core.paths import SessionPaths
from core.ports.agent import AgentPane
from core.ports.host import Host
from core.store.store import Store
from core.store.views import Views
from tmux_bridge.approval_requests import ApprovalRequests
from tmux_bridge.check_answers import (
    check_answer,
    nothing_deployed,
    screenshot_answer,
    test_answer,
)
from tmux_bridge.host_requests import HostRequests
from tmux_bridge.worker_checks import BrowserChecks

READY_S = 45.0
THREADS = 4
SLOW_THREADS = 4
GRACE_S = 3.0
SLOW = frozenset({RequestKind.DESTROY})
"""A cloud may take half an hour for these; a look at another site does not wait behind them."""

LOOKS = frozenset({RequestKind.CHECK, RequestKind.SCREENSHOT, RequestKind.TEST})
"""Panes ask for these too, and a test takes minutes: an operator's act does not wait for them."""

Answer = Mapping[str, Json]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerParts:
    """What the handlers act through."""

    store: Store
    views: Views
    agent: AgentPane
    approvals: ApprovalRequests
    checks: BrowserChecks
    hosts: Callable[[Session], Host]
    handover: Handover


class RequestHandlers:
    """Takes queued requests and answers each exactly once."""

    def __init__(self, parts: HandlerParts) -> None:
        self._parts = parts
        self._quick = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._slow = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="slow-request")
        self._looks = ThreadPoolExecutor(THREADS, thread_name_prefix="look")
        self._in_work: set[Future[None]] = set()
        host = HostRequests(parts.store, parts.views, parts.hosts, parts.handover)
        self._handlers: dict[RequestKind, Callable[[Request, Session], Answer]] = {
            RequestKind.START: self._start,
            RequestKind.INTERRUPT: self._interrupt,
            RequestKind.STOP: self._stop,
            RequestKind.ANSWER: self._answer,
            RequestKind.DECIDE: self._decide,
            RequestKind.CHECK: self._check,
            RequestKind.SCREENSHOT: self._screenshot,
            RequestKind.TEST: self._test,
            RequestKind.DESTROY: host.destroy,
            RequestKind.SERVE: host.serve,
            RequestKind.DRIFT: host.drift,
            RequestKind.APP_LOG: host.app_log,
            RequestKind.VARIABLES: host.variables,
            RequestKind.SET_VARIABLE: host.set_variable,
            RequestKind.UNSET_VARIABLE: host.unset_variable,
        }

    def tick(self) -> None:
        """Start whatever is queued."""
        for request in self._parts.store.requests.queued():
            if self._parts.store.requests.take(request.request_id):
                work = self._pool(request.kind).submit(self._handle, request)
                self._in_work.add(work)
                work.add_done_callback(self._in_work.discard)

    def fail_leftovers(self) -> None:
        """Go on with what a dead worker had begun and can be begun again; answer the rest."""
        requests = self._parts.store.requests
        requests.queue_again()
        requests.fail_taken("The worker ended while it did this.", "Run the command again.")
        self._parts.handover.clear(
            {str(request.payload.get("value_file")) for request in requests.queued()}
        )

    def close(self) -> bool:
        """Take nothing new; whether everything ended, which a cloud's slow deletion does not."""
        for pool in (self._quick, self._slow, self._looks):
            pool.shutdown(wait=False, cancel_futures=True)
        left = tuple(self._in_work)
        return not wait(left, timeout=GRACE_S).not_done

    def _pool(self, kind: RequestKind) -> ThreadPoolExecutor:
        if kind in LOOKS:
            return self._looks
        return self._slow if kind in SLOW else self._quick

    def perform(self, request: Request) -> Answer:
        """Do it now, on this thread.

        Raises:
            BuilderError: As the act says.
        """
        session = self._parts.store.sessions.require(request.key)
        return self._handlers[request.kind](request, session)

    def _handle(self, request: Request) -> None:
        try:
            answer = self.perform(request)
        except BuilderError as error:
            self._parts.store.requests.fail(request.request_id, error)
        except Exception as error:
            # What fails on a secret may repeat it, so that its trace is not written anywhere.
            trace = None if request.kind is RequestKind.SET_VARIABLE else error
            facts = {"kind": request.kind, "error": type(error).__name__}
            logger.exception("request failed", exc_info=trace, extra=facts)
            sorry = BuilderError(
                f"The worker failed at {request.kind}.", remedy="See the worker's log file."
            )
            self._parts.store.requests.fail(request.request_id, sorry)
        else:
            self._parts.store.requests.finish(request.request_id, answer)

    def _start(self, request: Request, _session: Session) -> Answer:
        self._parts.agent.ensure_ready(request.key, deadline_s=READY_S)
        return {"state": self._parts.store.agents.get(request.key).state}

    def _interrupt(self, request: Request, _session: Session) -> Answer:
        self._parts.agent.interrupt(request.key)
        return {}

    def _stop(self, request: Request, _session: Session) -> Answer:
        self._parts.agent.stop(request.key)
        return {"state": "ended"}

    def _answer(self, request: Request, _session: Session) -> Answer:
        self._parts.agent.answer(request.key, int(cast("int", request.payload["digit"])))
        return {}

    def _decide(self, request: Request, session: Session) -> Answer:
        return self._parts.approvals.decide(request, session)

    def _check(self, request: Request, session: Session) -> Answer:
        usual = HealthOptions()
        tries, min_bytes = request.payload.get("retries"), request.payload.get("min_bytes")
        url = request.payload.get("url")
        document = self._parts.checks.health(
            str(url) if url else _url(session),
            paths=self._paths(session),
            expected_release=None if url else self._served_release(session),
            cancelled=_never,
            options=HealthOptions(
                tries=tries if isinstance(tries, int) else usual.tries,
                min_bytes=min_bytes if isinstance(min_bytes, int) else usual.min_bytes,
            ),
        )
        return check_answer(document, session.key.session_id)

    def _screenshot(self, request: Request, session: Session) -> Answer:
        width, full = request.payload.get("width"), request.payload.get("full_page")
        options = ScreenshotOptions(
            width=width if isinstance(width, int) else ScreenshotOptions().width,
            full_page=full if isinstance(full, bool) else True,
        )
        document = self._parts.checks.screenshot(
            _url(session), paths=self._paths(session), cancelled=_never, options=options
        )
        return screenshot_answer(document, self._paths(session).root)

    def _test(self, request: Request, session: Session) -> Answer:
        grep = request.payload.get("grep")
        options = E2eOptions(
            grep=str(grep) if grep else None,
            list_only=request.payload.get("list") is True,
            contained=self._parts.checks.isolation,
        )
        document = self._parts.checks.e2e(
            _url(session), paths=self._paths(session), cancelled=_never, options=options
        )
        return test_answer(document, self._paths(session).root)

    def _served_release(self, session: Session) -> str | None:
        deploys = self._parts.store.releases.deploys(session.key)
        return deploys[0].release_id if deploys else None

    def _paths(self, session: Session) -> SessionPaths:
        return self._parts.store.root.session(session.key.user_id, session.key.session_id)


def _never() -> bool:
    return False


def _url(session: Session) -> str:
    if session.url is None:
        raise nothing_deployed(session)
    return session.url
