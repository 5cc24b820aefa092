"""A data root with real store, files and library, and a worker that only counts its knocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.clock import Clock, SystemClock
from core.config import Settings, load_settings
from core.files import make_private_folder
from core.models.execution import LogLevel, StepRecord
from core.models.release import Published, Release, ReleaseFile, Resource
from core.models.session import Agent, SessionKey
from core.models.states import AgentState, ExecutionStatus, StepState
from core.models.transcript import ChatItem, Speaker
from core.paths import DataRoot, RuntimePaths, library_folder
from core.services.checkup import Probe
from core.services.context import Environment
from core.services.services import Services
from core.store.store import Store, open_store
from core.store.views import Views


@dataclass
class CountingWorker:
    """Remembers how often it was woken; `on_wake` plays the work."""

    knocks: int = 0
    starts: int = 0
    on_wake: Callable[[], None] | None = None

    def ensure_running(self) -> int:
        self.starts += 1
        return 1

    def wake(self) -> None:
        self.knocks += 1
        if self.on_wake is not None:
            self.on_wake()


class LineReader:
    """Every line of a transcript is an item."""

    def read(self, transcripts: Sequence[Path]) -> list[ChatItem]:
        lines = [line for file in transcripts for line in file.read_text().splitlines()]
        return [
            ChatItem(item_id=str(number), at=None, speaker=Speaker.CLAUDE, text=line)
            for number, line in enumerate(lines)
        ]


@dataclass
class Place:
    """Everything a test of the services touches."""

    root: DataRoot
    store: Store
    services: Services
    worker: CountingWorker
    clock: Clock
    views: Views = field(init=False)

    def __post_init__(self) -> None:
        self.views = Views(self.store)

    def session(self, email: str = "ana@acme.io", phone: str = "+48600100200") -> SessionKey:
        """A session whose Claude was never started."""
        user = self.services.users.create(email, phone, start=False).user
        return self.services.sessions.create(user.user_id, start=False).session.key

    def source(self, key: SessionKey) -> Path:
        return self.root.session(key.user_id, key.session_id).source

    def set_agent(self, key: SessionKey, state: AgentState, **more: object) -> None:
        self.store.agents.put(Agent(key=key, state=state, **more))  # type: ignore[arg-type]

    def deploy(self, key: SessionKey, content: str = "one") -> str:
        """Record a run that deployed a release of one file; its execution id."""
        execution = self.store.executions.add(key, from_step=4)
        release = Release(
            release_id=f"release-{content}",
            tree="t",
            files=(ReleaseFile(path="index.html", sha256=content, size_bytes=3),),
        )
        self.store.releases.add(key, release)
        published = Published(
            url="http://127.0.0.1:8123",
            files_total=1,
            files_changed=1,
            size_bytes=3,
            resources=(Resource(kind="local_site", resource_id="site-1"),),
        )
        deploy = self.store.releases.record_deploy(key, execution.execution_id, release, published)
        self.store.sessions.set_deployed(
            key,
            url=published.url,
            at=self.clock.now(),
            count=deploy.deploy,
            block={},
            resources=published.resources,
        )
        self.store.executions.set_result(
            execution.execution_id, {"deploy": deploy.deploy, "url": published.url}
        )
        self.finish(execution.execution_id)
        return execution.execution_id

    def finish(
        self, execution_id: str, status: ExecutionStatus = ExecutionStatus.COMPLETED
    ) -> None:
        self.store.executions.set_status(execution_id, status, current_step=7)

    def fail(
        self, execution_id: str, step: int, code: str, message: str, error_exit: int = 6
    ) -> None:
        """End a run at a step, as the pipeline does."""
        line = self.store.logs.append(
            execution_id, LogLevel.ERROR, "step failed", step=step, step_name="x"
        ).line
        for record in self.store.executions.steps(execution_id):
            if record.n < step:
                state = StepState.OK
            else:
                state = StepState.FAILED if record.n == step else StepState.PENDING
            self.store.executions.put_step(
                execution_id,
                StepRecord(n=record.n, name=record.name, state=state, tries=1, log_line=line),
            )
        self.store.executions.set_status(
            execution_id,
            ExecutionStatus.FAILED,
            current_step=step,
            error=message,
            error_code=code,
            error_remedy="tmux-builder test S",
            error_exit=error_exit,
        )


def make_place(
    folder: Path,
    *,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    probes: Mapping[str, Probe] | None = None,
) -> Place:
    """A fresh data root below `folder`, or the one that is there."""
    clock = clock or SystemClock()
    root = DataRoot(folder / "users")
    make_private_folder(root.path)
    store = open_store(root, clock)
    worker = CountingWorker()
    environment = Environment(
        store=store,
        root=root,
        runtime=RuntimePaths(folder / "run"),
        settings=settings or load_settings({}, {"HOME": str(folder)}, folder),
        worker=worker,
        clock=clock,
        library=library_folder(),
        chat_reader=LineReader(),
        environ=environ or {"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        prepare_repository=lambda path: (path / ".git").mkdir(exist_ok=True),
        probes=probes or {},
    )
    return Place(root=root, store=store, services=Services(environment), worker=worker, clock=clock)
