"""Runs of the pipeline: start, roll back, cancel, retry, follow; and single looks at a site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.errors import (
    AnswerIsNoError,
    BuilderError,
    ConflictError,
    NotFoundError,
    NothingToDeployError,
    TimedOutError,
    UsageError,
)
from core.models.execution import TOTAL_STEPS, Execution, Json, StepRecord
from core.models.release import Deploy
from core.models.request import RequestKind
from core.models.session import Session, SessionKey
from core.models.states import StepState
from core.services.context import Environment
from core.services.naming import require_suffix
from core.services.teardown import (
    OnLeft,
    destroy_plan,
    follow_destroy,
    queue_destroy,
    require_confirmed,
    require_no_destroy,
)
from core.services.waiting import ask_worker, wait_on_store
from core.store.views import Views

GENERATE, DEPLOY = 3, 4
LOOK_TIMEOUT_S = 120.0

OnChange = Callable[[Execution, list[StepRecord]], None]


class DeployService:
    """Everything about getting a site live and looking at it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._store = environment.store

    def start(
        self,
        key: SessionKey,
        *,
        from_step: int = DEPLOY,
        to_step: int = TOTAL_STEPS,
        skip_tests: bool = False,
        suffix: str | None = None,
        max_delete: int | None = None,
    ) -> Execution:
        """Queue a run and wake the worker.

        Args:
            suffix: Part of the names of what a cloud host makes, where the plain ones are taken.
            max_delete: How many stale files may be deleted; the host's own limit if None.

        Raises:
            UsageError: Steps that make no run, or no such suffix; nothing was queued.
            ConflictError: One is queued or running, or there are resources with other names.
            NothingToDeployError: `source/` holds no site.
            NotFoundError: No such session.
        """
        session = self._store.sessions.require(key)
        if not 1 <= from_step <= to_step <= TOTAL_STEPS:
            raise UsageError(
                f"Steps {from_step} to {to_step} make no run.",
                remedy=f"Give steps from 1 to {TOTAL_STEPS}, the first not after the last.",
            )
        self._refuse_second(key)
        require_suffix(self._store, session, suffix)
        self._require_start(session, from_step)
        return self._queue(
            key,
            from_step=from_step,
            to_step=to_step,
            skip_tests=skip_tests,
            step_three=self._step_three(key),
            suffix=suffix,
            max_delete=max_delete,
        )

    def rollback(
        self, key: SessionKey, to: int | None = None, max_delete: int | None = None
    ) -> Execution:
        """Queue a run that brings back what an earlier deploy published.

        Args:
            to: The deploy's number; without it the newest one with other content than now.
            max_delete: As for `start`.

        Raises:
            NotFoundError: No such session or deploy.
            AnswerIsNoError: There is no earlier deploy.
            ConflictError: A run is queued or running.
        """
        self._store.sessions.require(key)
        target = self._target(key, to)
        self._refuse_second(key)
        return self._queue(
            key,
            from_step=DEPLOY,
            kind="rollback",
            release_id=target.release_id,
            step_three=self._step_three(key),
            max_delete=max_delete,
        )

    def cancel(self, execution_id: str) -> Execution:
        """Ask the worker to end a run; what it has done stays done.

        Raises:
            ConflictError: It is over already.
            NotFoundError: There is no such run.
        """
        execution = self.get(execution_id)
        if execution.status.is_over:
            raise ConflictError(
                f"The run {execution_id} is over already: {execution.status}.",
                remedy=f"tmux-builder status {execution_id}",
                code="over_already",
            )
        self._store.executions.request_cancel(execution_id)
        self._environment.worker.wake()
        return self.get(execution_id)

    def retry(self, execution_id: str) -> Execution:
        """Queue a new run that goes on at the step where this one failed or was cancelled.

        Raises:
            ConflictError: It has not ended, it went well, or another one runs.
            NotFoundError: There is no such run.
        """
        former = self.get(execution_id)
        self._refuse_second(former.key)
        wanted = range(former.from_step, former.to_step + 1)
        steps = self._store.executions.steps(execution_id)
        done = {StepState.OK, StepState.SKIPPED}
        left = [step.n for step in steps if step.n in wanted and step.state not in done]
        if not left:
            raise ConflictError(
                f"The run {execution_id} went well, so there is nothing to try again.",
                remedy=f"tmux-builder deploy {former.key.session_id}",
                code="nothing_to_retry",
            )
        session = self._store.sessions.require(former.key)
        self._require_start(session, left[0], has_release=former.release_id is not None)
        return self._queue(
            former.key,
            from_step=left[0],
            to_step=former.to_step,
            skip_tests=former.skip_tests,
            kind=former.kind,
            release_id=former.release_id,
            step_three=self._step_three(former.key),
            max_delete=former.max_delete,
        )

    def get(self, execution_id: str) -> Execution:
        """The run of that id; raises NotFoundError where there is none."""
        execution = self._store.executions.get(execution_id)
        if execution is None:
            raise NotFoundError(
                f"There is no execution {execution_id[:120]!r}.",
                remedy="tmux-builder session list",
            )
        return execution

    def steps(self, execution_id: str) -> list[StepRecord]:
        """The seven rows of a run."""
        return self._store.executions.steps(execution_id)

    def wait(
        self, execution_id: str, timeout_s: float, on_change: OnChange | None = None
    ) -> Execution:
        """Follow a run to its end; `on_change` is told each time it or a step moved.

        Raises:
            TimedOutError: It goes on, in the worker.
            NotFoundError: There is no such run.
        """
        self.get(execution_id)
        told: list[tuple[Execution, list[StepRecord]]] = []

        def ended() -> Execution | None:
            execution = self.get(execution_id)
            state = (execution, self.steps(execution_id))
            if on_change is not None and state not in told:
                told[:] = [state]
                on_change(*state)
            return execution if execution.status.is_over else None

        execution = wait_on_store(self._environment, ended, timeout_s=timeout_s)
        if execution is None:
            raise TimedOutError(
                f"The run {execution_id} was not over within {timeout_s:g} s; it goes on.",
                remedy=f"tmux-builder status {execution_id} --watch",
            )
        Views(self._store).execution(execution_id)
        return execution

    def plan(
        self, key: SessionKey, *, suffix: str | None = None, max_delete: int | None = None
    ) -> dict[str, Json]:
        """What the next deploy would do; changes nothing and needs no login.

        Raises:
            NothingToDeployError: `source/` holds no site.
            UsageError: The session's host is not built yet, or takes no such suffix.
            ConflictError: There are resources with other names.
        """
        from core.services.planning import plan_deploy  # noqa: PLC0415 - hosts load on use only

        session = self._store.sessions.require(key)
        require_suffix(self._store, session, suffix)
        return plan_deploy(self._environment, session, suffix=suffix, max_delete=max_delete)

    def plan_rollback(
        self, key: SessionKey, to: int | None = None, max_delete: int | None = None
    ) -> dict[str, Json]:
        """What a rollback would do; changes nothing and needs no login. Raises as `rollback`."""
        from core.services.planning import plan_rollback  # noqa: PLC0415 - hosts load on use only

        session, target = self._store.sessions.require(key), self._target(key, to)
        return plan_rollback(self._environment, session, target, max_delete=max_delete)

    def destroy(
        self,
        key: SessionKey,
        confirm: str | None,
        timeout_s: float,
        on_left: OnLeft = lambda _left: None,
    ) -> dict[str, Json]:
        """Remove everything that deploying made; local files stay.

        Args:
            confirm: The session's name, with or without `sess_`.
            on_left: Told what is recorded at the beginning and each time when less is.

        Returns:
            `user_id`, `session_id`, `deleted` and `left`; what is left goes with the next call.

        Raises:
            ConfirmationNeededError: The name is missing or another one.
            ConflictError: A run is queued or running.
        """
        self._store.sessions.require(key)
        require_confirmed(key, confirm)
        self._refuse_second(key)
        self._environment.worker.ensure_running()
        with self._store.transaction():
            self._refuse_second(key)
            request = queue_destroy(self._store, key)
        self._environment.worker.wake()
        return follow_destroy(self._environment, request, timeout_s, on_left)

    def destroy_plan(self, key: SessionKey) -> dict[str, Json]:
        """What `destroy` would delete by the records; changes nothing and needs no login."""
        return destroy_plan(self._store, self._store.sessions.require(key).key)

    def drift(self, key: SessionKey, timeout_s: float = LOOK_TIMEOUT_S) -> dict[str, Json]:
        """What somebody changed by hand on the host since the last deploy.

        Raises:
            NothingToDeployError: Nothing of the session is on its host.
        """
        answer = self._look(RequestKind.DRIFT, key, {}, ("drift",), timeout_s)
        return {"user_id": key.user_id, "session_id": key.session_id, "drift": answer["drift"]}

    def check(
        self,
        key: SessionKey,
        *,
        url: str | None = None,
        retries: int | None = None,
        min_bytes: int | None = None,
        timeout_s: float = LOOK_TIMEOUT_S,
    ) -> dict[str, Json]:
        """Ask the site, or another URL; an answer that is no raises AnswerIsNoError."""
        payload: dict[str, Json] = {"url": url, "retries": retries, "min_bytes": min_bytes}
        keys = ("url", "status", "type", "bytes", "ms", "tries")
        return self._look(RequestKind.CHECK, key, payload, keys, timeout_s)

    def screenshot(
        self,
        key: SessionKey,
        *,
        width: int | None = None,
        full_page: bool = True,
        timeout_s: float = LOOK_TIMEOUT_S,
    ) -> dict[str, Json]:
        """Photograph the site; paths are relative to the session's folder."""
        payload: dict[str, Json] = {"width": width, "full_page": full_page}
        keys = ("full", "thumb", "width", "height")
        return self._look(RequestKind.SCREENSHOT, key, payload, keys, timeout_s)

    def test(
        self,
        key: SessionKey,
        *,
        grep: str | None = None,
        list_only: bool = False,
        timeout_s: float = 600.0,
    ) -> dict[str, Json]:
        """Run the end-to-end tests, or list them."""
        payload: dict[str, Json] = {"grep": grep, "list": list_only}
        keys = ("passed", "failed", "skipped", "failures", "report")
        return self._look(RequestKind.TEST, key, payload, keys, timeout_s)

    def serve(self, key: SessionKey, timeout_s: float) -> tuple[str, int | None]:
        """Make sure that the local host serves what is deployed; its URL and port."""
        answer = self._look(RequestKind.SERVE, key, {}, ("url", "port"), timeout_s)
        port = answer["port"]
        return str(answer["url"]), port if isinstance(port, int) else None

    def deploys(self, key: SessionKey) -> list[Deploy]:
        """Every deploy of a session, newest first."""
        return self._store.releases.deploys(key)

    def _look(
        self, kind: RequestKind, key: SessionKey, payload: dict[str, Json],
        keys: Sequence[str], timeout_s: float,
    ) -> dict[str, Json]:  # fmt: skip
        """Every key of the verb's document, null when unknown, also when the answer is no."""
        self._store.sessions.require(key)
        try:
            answer = ask_worker(self._environment, kind, key, payload, timeout_s=timeout_s)
        except BuilderError as error:
            if error.data is not None:
                error.data = {**dict.fromkeys(keys), **error.data}
            raise
        return {**dict.fromkeys(keys), **answer}

    def _queue(
        self, key: SessionKey, *, from_step: int, to_step: int = TOTAL_STEPS,
        skip_tests: bool = False, kind: str = "pipeline", release_id: str | None = None,
        step_three: StepState | None = None, suffix: str | None = None,
        max_delete: int | None = None,
    ) -> Execution:  # fmt: skip
        self._environment.worker.ensure_running()
        with self._store.transaction():
            require_no_destroy(self._store, key)
            execution = self._store.executions.add(
                key, from_step=from_step, to_step=to_step, kind=kind, release_id=release_id,
                skip_tests=skip_tests, step_three=step_three, max_delete=max_delete,
            )  # fmt: skip
            if suffix is not None:
                self._store.sessions.set_name_suffix(key, suffix)
        Views(self._store).execution(execution.execution_id)
        self._environment.worker.wake()
        return execution

    def _target(self, key: SessionKey, to: int | None) -> Deploy:
        deploys = self._store.releases.deploys(key)
        return _earlier(key, deploys) if to is None else _numbered(key, deploys, to)

    def _refuse_second(self, key: SessionKey) -> None:
        """Before anything else, so that a busy session costs no start of the worker."""
        newest = self._store.executions.newest(key)
        if newest is not None and not newest.status.is_over:
            raise ConflictError(
                f"A run of {key.session_id} is {newest.status} already.",
                remedy=f"tmux-builder status {newest.execution_id} --watch",
            )

    def _require_start(
        self, session: Session, from_step: int, *, has_release: bool = False
    ) -> None:
        """That the first step finds what the steps before it would have made."""
        if from_step > DEPLOY and session.url is None:
            raise AnswerIsNoError(
                f"{session.key.session_id} has no deployed site that step {from_step} could use.",
                remedy=f"tmux-builder deploy {session.key.session_id}",
                code="not_deployed",
            )
        if from_step == DEPLOY and not has_release:
            self._require_site(session)

    def _require_site(self, session: Session) -> None:
        from core.publish.source_state import missing_in_source  # noqa: PLC0415 - on use only

        key = session.key
        source = self._environment.root.session(key.user_id, key.session_id).source
        missing = missing_in_source(source, session.site_type)
        if missing is not None:
            raise NothingToDeployError(
                f"There is no site to deploy: {missing.rstrip('.')}.",
                remedy=f'Ask for it: tmux-builder session send {key.session_id} "..."',
            )

    def _step_three(self, key: SessionKey) -> StepState | None:
        """Skipped where Claude never ran: the site in `source/` is somebody else's work."""
        return None if self._store.agents.claude_ids(key) else StepState.SKIPPED


def _earlier(key: SessionKey, deploys: Sequence[Deploy]) -> Deploy:
    current = deploys[0].release_id if deploys else None
    for deploy in deploys:
        if deploy.release_id != current:
            return deploy
    raise AnswerIsNoError(
        f"{key.session_id} has no earlier deploy to roll back to.",
        remedy=f"tmux-builder status {key.session_id}",
        code="no_earlier_deploy",
    )


def _numbered(key: SessionKey, deploys: Sequence[Deploy], number: int) -> Deploy:
    by_number: Mapping[int, Deploy] = {deploy.deploy: deploy for deploy in deploys}
    if number in by_number:
        return by_number[number]
    known = ", ".join(str(one) for one in sorted(by_number)[-10:]) or "none yet"
    raise NotFoundError(
        f"{key.session_id} has no deploy {number}.", remedy=f"Its deploys: {known}."
    )
