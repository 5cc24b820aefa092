"""The worker's composition root: every real adapter is built here, started and stopped in order."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.accounts.injections import SessionInjector
from core.accounts.repair import AccountRepair
from core.accounts.sessions import SessionCreator
from core.accounts.users import UserManager
from core.checks.browser import Browser
from core.clock import SystemClock
from core.config import Settings
from core.errors import BuilderError
from core.handover import Handover
from core.hosts.environment import HostEnvironment
from core.hosts.registry import find_host
from core.injection.brief import first_prompt
from core.injection.layers import Library, operator_library
from core.models.session import Session, SessionKey
from core.models.user import HostProvider
from core.paths import DataRoot, RuntimePaths
from core.pipeline.admission import Admitter
from core.pipeline.engine import DurableEngine
from core.pipeline.ports import StepPorts
from core.pipeline.registry import load_steps
from core.pipeline.runner import StepRunner
from core.ports.host import Host
from core.services.context import Environment
from core.services.services import Services
from core.settings_watch import SettingsWatch
from core.store.store import Store
from core.store.views import Views
from tmux_bridge.agents.pane import TmuxAgentPane
from tmux_bridge.agents.sender import PromptSender
from tmux_bridge.agents.simulation import Simulation
from tmux_bridge.agents.starter import StartContext, Starter
from tmux_bridge.agents.supervisor import Supervisor
from tmux_bridge.agents.terminal import Terminal
from tmux_bridge.agents.watching import Watcher
from tmux_bridge.approval_requests import ApprovalRequests
from tmux_bridge.approvals import ApprovalDesk
from tmux_bridge.ceiling_watch import CeilingWatch
from tmux_bridge.claude.cli import find_program
from tmux_bridge.claude.readers import TranscriptReaders
from tmux_bridge.claude.seed import prepare_repository
from tmux_bridge.pane_requests import PaneRequests
from tmux_bridge.request_handlers import HandlerParts, RequestHandlers
from tmux_bridge.worker_checks import BrowserChecks
from tmux_bridge.worker_releases import RepositoryReleases

STOP_DEADLINE_S = 10.0
REST_AFTER_S = 20.0
"""So long after the last run the engine is let go: the next run begins some 50 ms later."""

logger = logging.getLogger(__name__)


class WorkerParts:
    """Everything that the worker's loop turns."""

    def __init__(
        self, *, store: Store, views: Views, supervisor: Supervisor, browser: Browser,
        engine: DurableEngine, admitter: Admitter, requests: RequestHandlers,
        hosts: Hosts, simulation: Simulation, panes: PaneRequests, ceilings: CeilingWatch,
    ) -> None:  # fmt: skip
        self.store = store
        self._views = views
        self._supervisor = supervisor
        self._browser = browser
        self._engine = engine
        self._admitter = admitter
        self._requests = requests
        self._hosts = hosts
        self._simulation = simulation
        self._panes = panes
        self._ceilings = ceilings
        self._running = 0
        self._idle_since = time.monotonic()

    def start(self) -> None:
        """Panes first, the engine last: its recovery begins at once."""
        self._requests.fail_leftovers()
        self._simulation.resume()
        self._supervisor.start()
        self._browser.warm_up()
        threading.Thread(target=self._mend, name="mend", daemon=True).start()
        self._engine.start()

    def tick(self) -> None:
        """The store changed, or something runs: look once."""
        self._supervisor.nudge()
        self._requests.tick()
        self._running = self._admitter.tick()
        self._ceilings.tell()

    def ceilings_changed(self) -> bool:
        """A new day, or other settings: what was held may go on, though nobody committed."""
        return self._ceilings.has_changed()

    def listen_to_panes(self) -> None:
        """A pane asks by a file, which changes nothing in the store: look at every turn."""
        self._panes.tick()

    def rest(self) -> None:
        """Let the engine go where nothing has run for a while; on a thread: nobody waits for it."""
        now = time.monotonic()
        if self.is_busy():
            self._idle_since = now
        elif now - self._idle_since >= REST_AFTER_S and not self._engine.is_resting:
            self._idle_since = now
            threading.Thread(target=self._rest_engine, name="engine-rest", daemon=True).start()

    def is_busy(self) -> bool:
        return self._running > 0

    def stop(self) -> bool:
        """Leave every run resumable and every Claude alive.

        Returns:
            Whether every step left in time; threads of one that did not outlive a normal exit.
        """
        self._panes.close()
        left = self._engine.shutdown(STOP_DEADLINE_S)
        left = self._requests.close() and left
        self._supervisor.stop()
        self._browser.close()
        self._simulation.stop()
        if not left:
            logger.warning("a step did not leave in time; it is resumed at the next start")
        return left

    def _rest_engine(self) -> None:
        try:
            self._engine.rest()
            if self._engine.is_resting:
                logger.info("engine rests")
        except BuilderError as error:
            logger.warning("engine does not rest", extra={"why": error.message})
        except Exception:
            logger.exception("engine does not rest")

    def _mend(self) -> None:
        """Stale views are rewritten and deployed local sites are brought back up."""
        try:
            mended = self._views.mend()
            logger.info("views mended", extra={"count": mended})
            self._hosts.bring_back_local()
        except BuilderError as error:
            logger.warning("mending failed", extra={"why": error.message})
        except Exception:
            logger.exception("mending failed")


class Hosts:
    """The host of any session, built on use."""

    def __init__(self, environment: HostEnvironment) -> None:
        self._environment = environment

    def of(self, session: Session) -> Host:
        return find_host(session.host_provider, session.site_type, self._environment)

    def bring_back_local(self) -> None:
        """After a reboot the local sites answer again without being asked for."""
        for session in self._environment.store.sessions.all():
            if session.host_provider is HostProvider.LOCAL and session.url is not None:
                self.of(session).ensure_served(session)


def build_parts(
    store: Store, root: DataRoot, runtime: RuntimePaths, settings_now: SettingsWatch
) -> WorkerParts:
    """Build everything; nothing is started yet."""
    clock, settings = SystemClock(), settings_now()
    library = operator_library(settings, root, os.environ)
    services = _own_services(store, root, runtime, settings_now, library)
    ceilings = services.environment.ceilings
    views, browser = Views(store), Browser()
    checks = BrowserChecks(browser=browser, clock=clock, isolation=settings.isolation_required)
    hosts = Hosts(
        HostEnvironment(
            root=root, runtime=runtime, store=store, clock=clock, python=Path(sys.executable),
            settings=settings, environ=dict(os.environ),
        )
    )  # fmt: skip
    simulation = Simulation(store, runtime)
    desk = ApprovalDesk(store, clock, settings.approvals_timeout_s)
    injector = SessionInjector(store, root, library)
    supervisor, agent = _build_agents(
        store, runtime, settings, simulation, desk, injector.fit_mode, ceilings.paused
    )
    runner = StepRunner(
        store=store, root=root, steps=load_steps(), worker=f"{socket.gethostname()}:{os.getpid()}",
        ports=StepPorts(
            accounts=_build_accounts(store, views, root, library), agent=agent, hosts=hosts.of,
            releases=RepositoryReleases(root), checks=checks, briefs=_briefs(library), views=views,
            clock=clock, paused=ceilings.paused,
        ),
    )  # fmt: skip
    engine = DurableEngine(
        database=root.engine, log=runtime.path / "engine.log", runner=runner,
        ended=_self_knock(runtime),
    )  # fmt: skip
    return WorkerParts(
        store=store, views=views, supervisor=supervisor, browser=browser, engine=engine,
        admitter=Admitter(
            store=store, engine=engine, runner=runner, limit=settings.runs, paused=ceilings.paused
        ),
        requests=RequestHandlers(
            HandlerParts(
                store=store, views=views, agent=agent, checks=checks, hosts=hosts.of,
                handover=Handover(runtime.secrets),
                approvals=ApprovalRequests(store, desk, clock),
            )
        ),
        hosts=hosts, simulation=simulation,
        panes=PaneRequests(store, services, clock),
        ceilings=CeilingWatch(store, settings_now, ceilings, services.costs, clock),
    )  # fmt: skip


def _build_agents(
    store: Store, runtime: RuntimePaths, settings: Settings, simulation: Simulation,
    desk: ApprovalDesk, fit_mode: Callable[[Session], object],
    paused: Callable[[SessionKey], str | None],
) -> tuple[Supervisor, TmuxAgentPane]:  # fmt: skip
    clock = SystemClock()
    terminal = Terminal(runtime, lambda: supervisor.panes_changed())  # noqa: PLW0108 - made below
    sender = PromptSender(store, terminal, clock)
    isolation = settings.isolation_required

    def build_starter() -> Starter:
        environ = dict(os.environ)
        program = find_program(settings.claude_command, environ)
        context = StartContext(
            store=store, panes=terminal, clock=clock, program=program,
            secrets=runtime.secrets, environ=environ, isolation=isolation,
            model_url=simulation.url_for, fit_mode=fit_mode,
            network_limited=settings.network_limited,
        )  # fmt: skip
        return Starter(context)

    supervisor = Supervisor(
        store=store, terminal=terminal, starter=build_starter, sender=sender,
        watcher=Watcher(store, terminal, sender, clock, isolation=isolation, desk=desk),
        clock=clock, paused=paused,
    )  # fmt: skip
    return supervisor, TmuxAgentPane(supervisor, terminal, store, clock)


def _build_accounts(store: Store, views: Views, root: DataRoot, library: Library) -> AccountRepair:
    clock = SystemClock()
    users = UserManager(store, views, clock)
    sessions = SessionCreator(store, views, root, library, clock, prepare_repository)
    return AccountRepair(users, sessions)


def _briefs(library: Library) -> Callable[[Session], str]:
    return lambda session: first_prompt(library, session.site_type, session.brief)


def _own_services(
    store: Store, root: DataRoot, runtime: RuntimePaths, settings_now: SettingsWatch,
    library: Library,
) -> Services:  # fmt: skip
    """What the front ends use, for the verbs that panes ask for."""
    environment = Environment(
        store=store, root=root, runtime=runtime, settings=settings_now(),
        worker=_ThisWorker(runtime), clock=SystemClock(), library=library,
        chat_reader=TranscriptReaders(root), environ=dict(os.environ),
        prepare_repository=prepare_repository, settings_now=settings_now,
    )  # fmt: skip
    return Services(environment)


class _ThisWorker:
    """The port `Worker` inside the worker itself."""

    def __init__(self, runtime: RuntimePaths) -> None:
        self._knock = _Knock(runtime.worker_socket)

    def ensure_running(self) -> int:
        return os.getpid()

    def wake(self) -> None:
        self._knock()


def _self_knock(runtime: RuntimePaths) -> _Knock:
    return _Knock(runtime.worker_socket)


class _Knock:
    """Wakes the worker's own loop from another thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as knocker, suppress(OSError):
            knocker.setblocking(False)
            knocker.sendto(b"ended", str(self._path))
