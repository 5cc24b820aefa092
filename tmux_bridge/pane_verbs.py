"""The six verbs that a pane may use, each on its own session, whatever the request says."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from core.errors import BuilderError, ConflictError, ExitCode, NotFoundError, UsageError
from core.models.execution import Json
from core.models.pane_request import PaneAnswer, PaneRequest
from core.models.session import SessionKey
from core.models.states import ExecutionStatus
from core.services.services import Services
from core.store.store import Store

QUICK = frozenset({"status"})
"""Read from the store at once; the others wait for a browser, a run or the network."""

WAIT_S = 600.0
GENERATE = 3

Data = dict[str, Json]


class PaneVerbs:
    """The six verbs a pane may use, each on its own session."""

    def __init__(self, store: Store, services: Services) -> None:
        self._store = store
        self._services = services
        self._verbs: dict[str, Callable[[SessionKey, PaneRequest], Data]] = {
            "check": self._check,
            "screenshot": self._screenshot,
            "test": self._test,
            "status": self._status,
        }

    def perform(self, key: SessionKey, request: PaneRequest) -> PaneAnswer:
        """Do it and say how it went; a refusal is an answer too."""
        try:
            if request.verb in {"deploy", "rollback"}:
                return self._run(key, request)
            if request.verb not in self._verbs:
                raise UsageError(
                    f"A pane cannot use {request.verb!r}.",
                    remedy=f"Use one of: deploy, rollback, {', '.join(self._verbs)}.",
                )
            data = self._verbs[request.verb](key, request)
        except BuilderError as error:
            return refused(request, error)
        return PaneAnswer(id=request.id, ok=True, exit=0, data=data)

    def _run(self, key: SessionKey, request: PaneRequest) -> PaneAnswer:
        newest = self._services.status.newest(key)
        if newest is not None and newest.status is ExecutionStatus.RUNNING:
            if newest.current_step == GENERATE and request.verb == "deploy":
                return self._deferred(request, newest.execution_id)
            raise ConflictError(
                "A run of this session goes on already.", remedy="tmux-builder status"
            )
        if request.verb == "deploy":
            execution = self._services.deploys.start(
                key, skip_tests=request.arguments.get("skip_tests") is True
            )
        else:
            execution = self._services.deploys.rollback(key, _number(request, "to"))
        execution_id = execution.execution_id
        self._services.deploys.wait(execution_id, WAIT_S)
        exit_code = self._services.status.exit_code(execution_id)
        return PaneAnswer(
            id=request.id,
            ok=exit_code is ExitCode.OK,
            exit=int(exit_code),
            data=self._services.status.deploy_document(execution_id),
            error=msgspec.convert(
                self._services.status.error(execution_id), dict[str, str | bool | None] | None
            ),
            warnings=msgspec.convert(
                self._services.status.warnings(execution_id), list[dict[str, str | None]]
            ),
        )

    def _deferred(self, request: PaneRequest, execution_id: str) -> PaneAnswer:
        return PaneAnswer(
            id=request.id,
            ok=True,
            exit=0,
            data=self._services.status.deploy_document(execution_id),
            warnings=[
                {
                    "code": "deferred",
                    "message": "The pipeline deploys by itself when this turn ends.",
                }
            ],
        )

    def _check(self, key: SessionKey, request: PaneRequest) -> Data:
        return self._services.deploys.check(
            key, retries=_number(request, "retries"), min_bytes=_number(request, "min_bytes")
        )

    def _screenshot(self, key: SessionKey, request: PaneRequest) -> Data:
        return self._services.deploys.screenshot(
            key,
            width=_number(request, "width"),
            full_page=request.arguments.get("full_page") is not False,
        )

    def _test(self, key: SessionKey, request: PaneRequest) -> Data:
        grep = request.arguments.get("grep")
        return self._services.deploys.test(
            key,
            grep=grep if isinstance(grep, str) else None,
            list_only=request.arguments.get("list") is True,
        )

    def _status(self, key: SessionKey, request: PaneRequest) -> Data:
        newest = self._services.status.newest(key)
        wanted = request.arguments.get("execution_id")
        if isinstance(wanted, str):
            newest = self._store.executions.get(wanted)
            if newest is None or newest.key != key:
                raise NotFoundError("This session has no such run.", remedy="tmux-builder status")
        if newest is None:
            row = self._services.sessions.row(key)
            return self._services.status.session_document(row)
        return self._services.status.document(newest.execution_id)


def _number(request: PaneRequest, name: str) -> int | None:
    value = request.arguments.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def refused(request: PaneRequest, error: BuilderError) -> PaneAnswer:
    return PaneAnswer(
        id=request.id,
        ok=False,
        exit=int(error.exit_code),
        data=None if error.data is None else dict(error.data),
        error={
            "code": error.code,
            "message": error.message,
            "fix": error.remedy,
            "retryable": error.retryable,
        },
    )
