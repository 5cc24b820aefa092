"""A worker with small honest stand-ins for the ports, in this process or as one to be killed.

The world outside the store is a folder: `effects` has one line per effect, and a file `kill` that
names a place (`deploy:in`) makes the process kill itself there, once.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from core.clock import SystemClock
from core.errors import BuilderError, CancelledError
from core.models.checks import CheckDocument
from core.models.execution import Json
from core.models.prompt import Turn
from core.models.release import (
    Destroyed,
    Drift,
    Plan,
    Published,
    Release,
    ReleaseFile,
    Resource,
)
from core.models.session import Session, SessionKey
from core.models.states import Receipt, TurnOutcome
from core.models.user import HostProvider, SiteType, User, make_user_id
from core.paths import DataRoot, SessionPaths
from core.pipeline.admission import Admitter
from core.pipeline.engine import DurableEngine
from core.pipeline.ports import StepLimits, StepPorts
from core.pipeline.registry import load_steps
from core.pipeline.runner import StepRunner
from core.ports.host import PublishRequest
from core.store.store import Store, open_store

CANCEL_REMEDY = "Run it again."


class World:
    """What lies outside the store and survives a kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def effect(self, text: str) -> None:
        with (self.folder / "effects").open("a") as stream:
            stream.write(f"{text}\n")
            stream.flush()
            os.fsync(stream.fileno())

    def effects(self) -> list[str]:
        path = self.folder / "effects"
        return path.read_text().splitlines() if path.exists() else []

    def kill_at(self, place: str) -> None:
        (self.folder / "kill").write_text(place)

    def at(self, place: str) -> None:
        kill = self.folder / "kill"
        if kill.exists() and kill.read_text() == place:
            kill.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Behaviour:
    """How the stand-ins behave in a test of this process."""

    publish_error: Exception | None = None
    publish_hook: Callable[[PublishRequest], None] = lambda _request: None
    turn_outcome: TurnOutcome = TurnOutcome.FINISHED
    turn_error: list[BuilderError] = field(default_factory=list)
    turn_hangs: bool = False
    receipt: Receipt = Receipt.ACCEPTED
    missing: str | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


class Accounts:
    def __init__(self, world: World, root: DataRoot) -> None:
        self._world = world
        self._root = root

    def ensure_user(self, user_id: str) -> None:
        self._make("create_user", self._root.user(user_id))

    def ensure_session(self, key: SessionKey) -> None:
        self._make("create_session", self._root.session(key.user_id, key.session_id).tests)

    def _make(self, step: str, folder: Path) -> None:
        self._world.at(f"{step}:before")
        if not folder.exists():
            folder.mkdir(parents=True)
            self._world.effect(step)
        self._world.at(f"{step}:in")
        self._world.at(f"{step}:after")


class Pane:
    """A Claude that outlives the worker: an accepted prompt's turn ends without it."""

    def __init__(self, world: World, store: Store, behaviour: Behaviour) -> None:
        self._world = world
        self._store = store
        self._behaviour = behaviour

    def ensure_ready(self, key: SessionKey, *, deadline_s: float) -> None:
        self._world.at("generate_site:before")

    def nudge(self) -> None: ...

    def wait_turn(
        self, prompt_id: str, *, deadline_s: float, cancelled: Callable[[], bool]
    ) -> Turn:
        if self._behaviour.turn_error:
            raise self._behaviour.turn_error.pop(0)
        prompt = self._store.prompts.get(prompt_id)
        assert prompt is not None
        if prompt.receipt is Receipt.QUEUED:
            self._world.effect("generate_site")
            self._store.prompts.move(prompt_id, self._behaviour.receipt)
            self._store.prompts.begin_turn(prompt)
        self._world.at("generate_site:in")
        while self._behaviour.turn_hangs:
            if cancelled():
                raise CancelledError("The wait was ended.", remedy=CANCEL_REMEDY)
            threading.Event().wait(0.02)
        self._store.prompts.end_turns(prompt.key, self._behaviour.turn_outcome, "Three pages.")
        self._world.at("generate_site:after")
        turn = self._store.prompts.turn(prompt_id)
        assert turn is not None
        return turn

    def answer(self, key: SessionKey, digit: int) -> None: ...

    def interrupt(self, key: SessionKey) -> None:
        self._world.effect("interrupt")
        self._store.prompts.end_turns(key, TurnOutcome.INTERRUPTED, None)

    def stop(self, key: SessionKey) -> None: ...


class Trees:
    def export(self, release: Release, destination: Path) -> None: ...

    def read(self, release: Release, path: str) -> bytes:
        return b""

    def stream(
        self, release: Release, files: Sequence[ReleaseFile]
    ) -> Iterator[tuple[ReleaseFile, Iterator[bytes]]]:
        return iter(())


class Releases:
    def __init__(self, root: DataRoot, behaviour: Behaviour) -> None:
        self._root = root
        self._behaviour = behaviour

    def missing(self, session: Session) -> str | None:
        return self._behaviour.missing

    def take(self, session: Session) -> Release:
        page = self._root.path / "page.html"
        content = page.read_bytes() if page.exists() else b"<h1>Hello</h1>"
        digest = hashlib.sha256(content).hexdigest()
        return Release(
            release_id=digest,
            tree=digest[:40],
            files=(ReleaseFile(path="index.html", sha256=digest, size_bytes=len(content)),),
            left_out=self._behaviour.left_out,
        )

    def trees(self, session: Session) -> Trees:
        return Trees()


class Host:
    """Serves what `served` names; the same release again is no second effect."""

    host_provider = HostProvider.LOCAL
    site_type = SiteType.STATIC

    def __init__(self, world: World, behaviour: Behaviour) -> None:
        self._world = world
        self._behaviour = behaviour

    def plan(self, request: PublishRequest) -> Plan:
        return Plan(actions=(), files_total=1, files_changed=1, files_deleted=0, size_bytes=1)

    def publish(self, request: PublishRequest) -> Published:
        self._world.at("deploy:before")
        request.log("file uploaded", {"path": "index.html"})
        self._behaviour.publish_hook(request)
        if self._behaviour.publish_error is not None:
            raise self._behaviour.publish_error
        served = self._world.folder / f"served-{request.session.key.session_id}"
        self._world.at("deploy:in")
        if not served.exists() or served.read_text() != request.release.release_id:
            served.write_text(request.release.release_id)
            self._world.effect("deploy")
        self._world.at("deploy:after")
        return Published(
            url="http://127.0.0.1:8001/",
            files_total=len(request.release.files),
            files_changed=1,
            size_bytes=request.release.size_bytes,
            resources=(Resource(kind="local_site", resource_id="site-1"),),
            config_block={"port": 8001},
        )

    def serving(self, session: Session) -> str | None:
        return None

    def ensure_served(self, session: Session) -> str | None:
        return None

    def prepare(self, session: Session) -> None: ...

    def drift(self, session: Session) -> tuple[Drift, ...]:
        return ()

    def destroy(self, key: SessionKey) -> Destroyed:
        return Destroyed(deleted=())


class Checks:
    def __init__(self, world: World, behaviour: Behaviour) -> None:
        self._world = world
        self._behaviour = behaviour
        self.expected: list[str | None] = []

    def health(
        self, url: str, *, paths: SessionPaths, expected_release: str | None,
        cancelled: Callable[[], bool],
    ) -> CheckDocument:  # fmt: skip
        self.expected.append(expected_release)
        details: dict[str, Json] = {
            "url": url, "status_code": 200, "content_type": "text/html; charset=utf-8",
            "response_size_bytes": 1234,
        }  # fmt: skip
        return self._document("health_check", details)

    def screenshot(
        self, url: str, *, paths: SessionPaths, cancelled: Callable[[], bool]
    ) -> CheckDocument:
        details: dict[str, Json] = {
            "path": str(paths.tests / "screenshot.png"), "thumbnail_path": "screenshot_thumb.png",
        }  # fmt: skip
        return self._document("screenshot", details)

    def e2e(self, url: str, *, paths: SessionPaths, cancelled: Callable[[], bool]) -> CheckDocument:
        failed = "e2e_tests" in self._behaviour.failing
        return self._document("e2e_tests", {"passed": 11, "failed": int(failed), "skipped": 0})

    def _document(self, step: str, details: dict[str, Json]) -> CheckDocument:
        self._world.at(f"{step}:before")
        self._world.effect(step)
        self._world.at(f"{step}:in")
        self._world.at(f"{step}:after")
        return CheckDocument(
            test=step,
            timestamp=datetime.now(UTC),
            passed=step not in self._behaviour.failing,
            duration_ms=41,
            attempts=1,
            details=details,
            error=self._behaviour.failing.get(step),
            skipped=self._behaviour.skipped.get(step),
        )


class Views:
    """Kills between the commit of a step's outcome and the engine's own checkpoint."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self.written: list[str] = []

    def execution(self, execution_id: str) -> None:
        self.written.append(execution_id)
        for step in self._store.executions.steps(execution_id):
            if step.state.is_over:
                self._world.at(f"{step.name}:checkpoint")

    def session(self, key: SessionKey) -> None:
        self._world.at("deploy:recorded")


class Rig:
    """The pipeline over a data root, with its stand-ins."""

    def __init__(self, folder: Path, *, limit: int = 2, limits: StepLimits | None = None) -> None:
        self.root = DataRoot(folder)
        self.store = open_store(self.root)
        self.world = World(folder / "world")
        self.behaviour = Behaviour()
        self.checks = Checks(self.world, self.behaviour)
        self.views = Views(self.world, self.store)
        self.pane = Pane(self.world, self.store, self.behaviour)
        self.ports = StepPorts(
            accounts=Accounts(self.world, self.root),
            agent=self.pane,
            hosts=lambda _session: Host(self.world, self.behaviour),
            releases=Releases(self.root, self.behaviour),
            checks=self.checks,
            briefs=lambda session: session.brief or "Write a page that says hello.",
            views=self.views,
            clock=SystemClock(),
            limits=limits or StepLimits(),
        )
        self.runner = StepRunner(
            store=self.store, root=self.root, ports=self.ports, steps=load_steps(), worker="test"
        )
        self.wake = threading.Event()
        self.engine = DurableEngine(
            database=self.root.engine, log=folder / "engine.log", runner=self.runner,
            ended=self.wake.set,
        )  # fmt: skip
        self.admitter = Admitter(
            store=self.store, engine=self.engine, runner=self.runner, limit=limit
        )

    def add_session(self, number: int = 1) -> SessionKey:
        now = datetime.now(UTC)
        user_id = make_user_id("ana@acme.io", "48600100200")
        self.store.users.add(
            User(
                user_id=user_id, email="ana@acme.io", phone="48600100200", name=None,
                created_at=now, host_provider=HostProvider.LOCAL, site_type=SiteType.STATIC,
            )
        )  # fmt: skip
        key = SessionKey(user_id, f"sess_20260112_{number:06d}")
        self.store.sessions.add(
            Session(
                key=key, host_provider=HostProvider.LOCAL, site_type=SiteType.STATIC,
                created_at=now, updated_at=now,
            )
        )  # fmt: skip
        return key

    def drive(self, deadline_s: float = 60.0, *, until: Callable[[], bool] | None = None) -> bool:
        """Tick like the worker's loop until every run is over, or `until` says so."""
        done = until or (lambda: not self.store.executions.unfinished())
        clock = self.ports.clock
        end = clock.monotonic() + deadline_s
        while clock.monotonic() < end:
            self.admitter.tick()
            if done():
                return True
            self.wake.wait(0.05)
            self.wake.clear()
        return False


def main() -> int:
    """Run what is queued in the data root given as the first argument, then leave."""
    rig = Rig(Path(sys.argv[1]))
    rig.behaviour.turn_hangs = "--hang" in sys.argv
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: terminated.set())
    rig.engine.start()
    rig.drive(
        until=lambda: terminated.is_set() or not rig.store.executions.unfinished(),
    )
    left = rig.engine.shutdown(5.0)
    rig.store.close()
    os._exit(143 if terminated.is_set() and left else 0 if left else 1)


if __name__ == "__main__":
    main()
