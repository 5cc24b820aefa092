"""Waiting for the worker: cheap looks at the store, a deadline, and a knock now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from core.errors import BuilderError, TimedOutError, class_of
from core.models.execution import Execution, Json
from core.models.request import Request, RequestKind, RequestState
from core.models.session import SessionKey
from core.services.changes import ChangeFeed
from core.services.context import Environment

INTERVAL_S = 0.03
KNOCK_EVERY_S = 3.0
LOOK_EVERY_S = 0.5

Answer = TypeVar("Answer")


def wait_on_store(
    environment: Environment, probe: Callable[[], Answer | None], *, timeout_s: float
) -> Answer | None:
    """Ask `probe` whenever the store changed until it answers; None when the time is out.

    The worker is woken every few seconds, which starts one where the former has died.
    """
    clock, feed = environment.clock, ChangeFeed(environment.store)
    end = clock.monotonic() + timeout_s
    next_knock, next_look = clock.monotonic() + KNOCK_EVERY_S, 0.0
    while True:
        now = clock.monotonic()
        if feed.poll() or now >= next_look or now >= end:
            answer = probe()
            if answer is not None:
                return answer
            next_look = now + LOOK_EVERY_S
        if now >= end:
            return None
        if now >= next_knock:
            environment.worker.wake()
            next_knock = now + KNOCK_EVERY_S
        clock.sleep(min(INTERVAL_S, max(0.0, end - now)))


def ask_worker(
    environment: Environment,
    kind: RequestKind,
    key: SessionKey,
    payload: dict[str, Json] | None = None,
    *,
    timeout_s: float,
    forget: bool = False,
) -> dict[str, Json]:
    """Hand the worker a request and wait for its answer.

    Args:
        forget: The answer is for this reader alone: it does not stay in the store.

    Raises:
        TimedOutError: No answer in time; the worker goes on with it.
        BuilderError: What the worker answered, as the class that its exit code belongs to.
    """
    environment.worker.ensure_running()
    request = environment.store.requests.add(kind, key, payload)
    environment.worker.wake()
    answer = follow_request(environment, request, timeout_s=timeout_s)
    if forget:
        environment.store.requests.forget_result(request.request_id)
    return answer


def follow_request(
    environment: Environment,
    request: Request,
    *,
    timeout_s: float,
    on_change: Callable[[], None] = lambda: None,
) -> dict[str, Json]:
    """Wait for the answer to a request, whoever asked; `on_change` runs at every look.

    Raises:
        TimedOutError: No answer in time; the worker goes on with it.
        BuilderError: What the worker answered, as the class that its exit code belongs to.
    """

    def finished() -> Request | None:
        on_change()
        found = environment.store.requests.require(request.request_id)
        return found if found.state.is_over else None

    answer = wait_on_store(environment, finished, timeout_s=timeout_s)
    if answer is None:
        session_id = request.key.session_id
        raise TimedOutError(
            f"The worker did not finish '{request.kind}' of {session_id} within {timeout_s:g} s.",
            remedy=f"It goes on: look with tmux-builder status {session_id}.",
        )
    if answer.state is RequestState.FAILED:
        raise as_error(answer)
    return dict(answer.result or {})


def as_error(request: Request) -> BuilderError:
    """The error behind a failed request, with its exit code."""
    kind = class_of(request.error_exit)
    return kind(
        request.error_message or f"The worker could not finish '{request.kind}'.",
        remedy=request.error_remedy or "Run it again.",
        code=request.error_code,
        data=request.result,
    )


def failure_of(execution: Execution) -> BuilderError:
    """The error of a run that did not complete, with the exit code of its cause."""
    kind = class_of(execution.error_exit)
    return kind(
        execution.error or f"The run ended as {execution.status}.",
        remedy=execution.error_remedy or f"tmux-builder status {execution.execution_id}",
        code=execution.error_code,
    )
