"""What panes ask the product for: small files in `state/requests/`, answered in `state/answers/`.

A pane's own folder is its only capability: a request can only concern the session in whose folder
it lies. Everything read here is hostile: regular files only, bounded in size and number.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

from core.errors import BuilderError, ConflictError, ExitCode, NotFoundError, UsageError
from core.files import read_regular, write_atomically
from core.models.execution import Json
from core.models.pane_request import PaneAnswer, PaneRequest
from core.models.session import SessionKey
from core.models.states import ExecutionStatus
from core.services.services import Services
from core.store.store import Store

REQUEST_BYTES = 65_536
PER_SWEEP = 20
KEPT_ANSWERS = 50
WAIT_S = 600.0
THREADS = 2
GENERATE = 3
_NAME = re.compile(r"([0-9a-zA-Z-]{8,64})\.json")

Data = dict[str, Json]
logger = logging.getLogger(__name__)


class PaneRequests:
    """Sweeps the folders of awake sessions; one request of a session is worked on at a time."""

    def __init__(self, store: Store, services: Services) -> None:
        self._store = store
        self._verbs = PaneVerbs(store, services)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="pane-request")
        self._busy: set[SessionKey] = set()
        self._seen: dict[SessionKey, int] = {}

    def tick(self) -> None:
        """Look into every awake session's folder; an unchanged one costs one stat."""
        for agent in self._store.agents.awake():
            if agent.key not in self._busy and self._has_changed(agent.key):
                self._sweep(agent.key)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _has_changed(self, key: SessionKey) -> bool:
        try:
            changed = self._folder(key).stat().st_mtime_ns
        except OSError:
            return False
        return self._seen.get(key) != changed

    def _sweep(self, key: SessionKey) -> None:
        folder = self._folder(key)
        self._seen[key] = folder.stat().st_mtime_ns
        for name in _names(folder)[:PER_SWEEP]:
            request = self._take(folder, name)
            if request is not None:
                self._busy.add(key)
                self._pool.submit(self._perform, key, request)
                self._seen.pop(key, None)
                return

    def _take(self, folder: Path, name: str) -> PaneRequest | None:
        content = read_regular(folder, name, limit=REQUEST_BYTES)
        with suppress(OSError):
            (folder / name).unlink()
        matched = _NAME.fullmatch(name)
        if content is None or matched is None:
            return None
        try:
            request = msgspec.json.decode(content, type=PaneRequest)
        except msgspec.MsgspecError:
            logger.warning("pane request not understood", extra={"folder": str(folder)})
            return None
        return request if request.id == matched[1] else None

    def _perform(self, key: SessionKey, request: PaneRequest) -> None:
        try:
            self._answer(key, self._verbs.perform(key, request))
        except Exception:
            logger.exception("pane request failed", extra={"session_id": key.session_id})
            sorry = BuilderError("The worker failed at this.", remedy="Try it once more.")
            self._answer(key, _refused(request, sorry))
        finally:
            self._busy.discard(key)

    def _answer(self, key: SessionKey, answer: PaneAnswer) -> None:
        folder = self._store.root.session(key.user_id, key.session_id).answers
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        write_atomically(folder / f"{answer.id}.json", msgspec.json.encode(answer))
        _forget_old(folder)

    def _folder(self, key: SessionKey) -> Path:
        return self._store.root.session(key.user_id, key.session_id).requests


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
            return _refused(request, error)
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


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            found = (entry.name for entry, _ in zip(entries, range(10 * PER_SWEEP), strict=False))
            return sorted(name for name in found if not name.startswith("."))
    except OSError:
        return []


def _number(request: PaneRequest, name: str) -> int | None:
    value = request.arguments.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _refused(request: PaneRequest, error: BuilderError) -> PaneAnswer:
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


def _forget_old(folder: Path) -> None:
    """Answers are read at once; only the newest stay for a look."""
    names = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    for path in names[:-KEPT_ANSWERS]:
        with suppress(OSError):
            path.unlink()
