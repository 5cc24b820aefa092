"""The durable engine behind a narrow port. Only this module knows DBOS, and imports it on use."""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.clock import wait_for
from core.errors import StorageError
from core.pipeline.engine_file import prepare_database, redirect_log, unusable
from core.pipeline.runner import RunParked, StepRunner

if TYPE_CHECKING:
    from dbos import DBOSConfig

APPLICATION_NAME = "tmux-builder"
APPLICATION_VERSION = "1"
"""Raised by hand, and only when the order or the meaning of the steps changes."""
MAX_RECOVERIES = 100
_SELDOM_S = 3600.0

logger = logging.getLogger(__name__)


class EngineState(StrEnum):
    """What the engine knows about a run."""

    UNKNOWN = "unknown"
    ACTIVE = "active"
    ENDED = "ended"


class Engine(Protocol):
    """Drives admitted runs step by step and goes on with them after any crash."""

    def start(self) -> None:
        """Recovery begins at once, so everything that a step uses must be ready."""

    def admit(self, execution_id: str) -> None:
        """Drive the run; the same id again is the same run."""

    def cancel(self, execution_id: str) -> None:
        """Forget a run that is not driven here; a driven one sees the request in its row."""

    def state(self, execution_id: str) -> EngineState: ...

    def drives(self, execution_id: str) -> bool:
        """Whether a thread of this process is in the run now."""

    def rest(self) -> None:
        """Let go of everything that polls, unless a run is unfinished; the next call wakes it."""

    def shutdown(self, deadline_s: float) -> bool:
        """Let every run leave so that the next start goes on with it.

        Returns:
            Whether all left in time. Threads of those that did not hold up a normal exit of the
            process: end it with `os._exit`.
        """


class DurableEngine:
    """DBOS on a SQLite file of its own. One per process; one process per slot and host.

    Args:
        database: Its file; created private, in WAL mode.
        log: Where the engine's own log lines go; never to a terminal.
        slot: Unique among the living workers of this host, held by a lock of the worker.
        ended: Called from a run's thread when the run has left, for whoever admits the next.
    """

    def __init__(
        self, *, database: Path, log: Path, runner: StepRunner, slot: int = 0,
        ended: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._database = database
        self._log = log
        self._runner = runner
        self._executor_id = executor_id(slot)
        self._ended = ended
        self._driven: set[str] = set()
        self._lock = threading.Lock()
        self._pipeline: Callable[[str], str] = self._drive
        self._gate = threading.RLock()
        """Whoever uses the engine holds it, so that it does not go to rest meanwhile."""
        self._is_open = False

    @property
    def is_resting(self) -> bool:
        return not self._is_open

    def start(self) -> None:
        """Open the engine and take up what an earlier worker left.

        Raises:
            StorageError: Its file cannot be used.
        """
        with self._awake():
            self._take_over()

    def admit(self, execution_id: str) -> None:
        with self._awake():
            from dbos import DBOS, SetWorkflowID  # noqa: PLC0415

            with SetWorkflowID(execution_id):
                DBOS.start_workflow(self._pipeline, execution_id)

    def cancel(self, execution_id: str) -> None:
        if self.drives(execution_id):
            return
        with self._awake():
            from dbos import DBOS  # noqa: PLC0415

            DBOS.cancel_workflow(execution_id)

    def state(self, execution_id: str) -> EngineState:
        with self._awake():
            from dbos import DBOS  # noqa: PLC0415

            found = DBOS.list_workflows(
                workflow_ids=[execution_id], load_input=False, load_output=False
            )
        if not found:
            return EngineState.UNKNOWN
        is_active = found[0].status in {"PENDING", "ENQUEUED", "DELAYED"}
        return EngineState.ACTIVE if is_active else EngineState.ENDED

    def drives(self, execution_id: str) -> bool:
        with self._lock:
            return execution_id in self._driven

    def rest(self) -> None:
        """Its threads look into its file every second: most of what an idle worker costs.

        Opening it again takes some 40 ms. Safe from any thread; takes up to half a second.
        """
        with self._gate:
            if self._is_open and not self._driven and not self._has_unfinished():
                self._close()

    def shutdown(self, deadline_s: float) -> bool:
        self._runner.stop()
        have_left = bool(wait_for(lambda: not self._driven, deadline_s=deadline_s))
        with self._gate:
            if have_left and self._is_open:
                self._close()
        self._runner.close()
        return have_left

    @contextmanager
    def _awake(self) -> Iterator[None]:
        """The engine open and kept so; its errors as ours."""
        with self._gate:
            if not self._is_open:
                self._open()
            with self._translated():
                yield

    def _open(self) -> None:
        prepare_database(self._database)
        redirect_log(self._log)
        from dbos import DBOS  # noqa: PLC0415 - half a second and 66 MB, for the worker only

        with self._translated():
            DBOS(config=self._config())
            self._pipeline = self._workflow()
            DBOS.launch()
        self._is_open = True

    def _close(self) -> None:
        from dbos import DBOS  # noqa: PLC0415

        DBOS.destroy(destroy_registry=True)
        self._is_open = False

    def _has_unfinished(self) -> bool:
        from dbos import DBOS  # noqa: PLC0415

        with self._translated():
            return bool(
                DBOS.list_workflows(
                    status=["PENDING", "ENQUEUED", "DELAYED"], limit=1, load_input=False,
                    load_output=False,
                )
            )  # fmt: skip

    def _workflow(self) -> Callable[[str], str]:
        """A plain function, because the engine cannot mark a bound method."""
        from dbos import DBOS  # noqa: PLC0415

        @DBOS.workflow(name="pipeline", max_recovery_attempts=MAX_RECOVERIES)
        def pipeline(execution_id: str) -> str:
            return self._drive(execution_id)

        return pipeline

    def _drive(self, execution_id: str) -> str:
        """Nothing but the steps in their order, so that a replay finds each under its place."""
        with self._driving(execution_id):
            trace_id = uuid.uuid4().hex[:12]
            try:
                self._run_steps(execution_id, trace_id)
                self._runner.settle(execution_id)
            except Exception as error:
                if self._runner.is_stopping:
                    raise RunParked from error
                self._runner.fail(execution_id, error, trace_id)
        return "ended"

    def _run_steps(self, execution_id: str, trace_id: str) -> None:
        from dbos import DBOS  # noqa: PLC0415

        for n, name in self._runner.plan(execution_id):
            goes_on: bool = DBOS.run_step(
                {"name": name}, self._runner.run, execution_id, n, trace_id
            )
            if not goes_on:
                return

    @contextmanager
    def _driving(self, execution_id: str) -> Iterator[None]:
        with self._lock:
            self._driven.add(execution_id)
        try:
            yield
        finally:
            with self._lock:
                self._driven.discard(execution_id)
            self._ended()

    def _take_over(self) -> None:
        """Runs of a worker under another name of this host, or of other steps.

        The file lies on one machine and the data root's lock admits one worker, so whoever else
        is named in it is dead.
        """
        from dbos import DBOS  # noqa: PLC0415

        for run in DBOS.list_workflows(
            status=["PENDING", "ENQUEUED"], load_input=False, load_output=False
        ):
            facts = {"execution_id": run.workflow_id}
            if run.app_version != APPLICATION_VERSION:
                logger.warning("run of another version ended", extra=facts)
                DBOS.cancel_workflow(run.workflow_id)
            elif run.status == "PENDING" and run.executor_id != self._executor_id:
                logger.warning("run of another worker taken over", extra=facts)
                DBOS.resume_workflow(run.workflow_id)

    def _config(self) -> DBOSConfig:
        return {
            "name": APPLICATION_NAME,
            "system_database_url": database_url(self._database),
            "application_version": APPLICATION_VERSION,
            "executor_id": self._executor_id,
            "log_level": "WARNING",
            "enable_otlp": False,
            "use_listen_notify": False,
            # No schedules are used. The listener's interval also bounds how long shutdown takes.
            "notification_listener_polling_interval_sec": 0.5,
            "scheduler_polling_interval_sec": _SELDOM_S,
        }

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from dbos import error as dbos_error  # noqa: PLC0415
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        try:
            yield
        except (dbos_error.DBOSException, SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise unusable(self._database, error) from error


def executor_id(slot: int) -> str:
    """The worker's name in the engine: it recovers only what was run under the same one."""
    return f"{socket.gethostname()}-{slot}"


def database_url(path: Path) -> str:
    """The file as the engine wants it named.

    Raises:
        StorageError: The path holds characters that such a name cannot carry.
    """
    from sqlalchemy import make_url  # noqa: PLC0415

    url = f"sqlite:///{path}"
    if make_url(url).database != str(path):
        raise StorageError(
            f"The engine cannot use a file whose path is {path}.",
            remedy="Choose a data folder without ? and # in its path (--data-dir).",
        )
    return url
