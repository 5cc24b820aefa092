"""A dynamic site of one release: its program, kept alive, with requests handed on to it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from core.errors import AnswerIsNoError, BuilderError
from core.hosts.local_server.app_log import AppLog
from core.hosts.local_server.child import Child, ChildPlan, start_child
from core.hosts.local_server.layout import SiteFolder, StoredRelease
from core.hosts.local_server.pages import down_page, marker
from core.hosts.local_server.proxying import AppSilentError, forward
from core.hosts.local_server.variables_file import VariablesFile
from core.models.release import MARKER_PATH
from core.publish.procfile import PROCFILE, web_command

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STABLE_AFTER_S = 30.0
DRAIN_DEADLINE_S = 5.0

logger = logging.getLogger(__name__)


class DynamicSite:
    """Hands requests on; restarts a program that ended, with growing pauses."""

    def __init__(self, site: SiteFolder, release: StoredRelease, plan: ChildPlan, log: AppLog):
        self._site = site
        self._release = release
        self._plan = plan
        self._log = log
        self._child: Child | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def release_id(self) -> str:
        return self._release.release_id

    @property
    def is_up(self) -> bool:
        return self._child is not None and self._child.is_alive

    async def start(self) -> None:
        """Start the program and keep it alive from its first answer on.

        Raises:
            AnswerIsNoError: It did not come up; nothing of it is left running.
            MissingProgramError: It cannot be contained.
        """
        self._child = await self._launch()
        self._keeping = asyncio.create_task(self._keep())

    def start_in_background(self) -> None:
        """Keep the program alive even if it cannot start now."""
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Answer what was asked, then end the program."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), DRAIN_DEADLINE_S)
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        child, self._child = self._child, None
        if child is not None:
            await child.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        child = self._child
        if child is None or not child.is_alive:
            await down_page(self._site.key.session_id)(scope, receive, send)
            return
        if scope["path"] == f"/{MARKER_PATH}":
            await marker(self.release_id)(scope, receive, send)
            return
        self._in_flight += 1
        self._idle.clear()
        try:
            await forward(scope, receive, send, port=child.port)
        except AppSilentError:
            await down_page(self._site.key.session_id)(scope, receive, send)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def _launch(self) -> Child:
        self._log.forget()
        child = await start_child(self._plan, self._log)
        try:
            await child.wait_until_it_answers(self._log)
        except BaseException:
            await child.stop()
            raise
        return child

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            since = loop.time()
            if self._child is not None:
                code = await self._child.process.wait()
                logger.warning("an app ended", extra={**self._facts(), "exit_code": code})
                await self._child.stop()
                self._child = None
            if loop.time() - since > STABLE_AFTER_S:
                pause_s = FIRST_PAUSE_S
            try:
                self._child = await self._launch()
                logger.info("an app runs again", extra=self._facts())
            except (BuilderError, OSError) as error:
                logger.warning(
                    "an app did not start", extra={**self._facts(), "reason": str(error)}
                )
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _facts(self) -> dict[str, str]:
        return {"session_id": self._site.key.session_id, "release_id": self.release_id}


def dynamic_site(
    site: SiteFolder,
    release: StoredRelease,
    log: AppLog,
    *,
    variables: VariablesFile,
    isolated: bool,
) -> DynamicSite:
    """The site of a stored release; nothing is started yet.

    Raises:
        AnswerIsNoError: Its Procfile has no `web:` line.
    """
    try:
        command = web_command((release.folder / PROCFILE).read_bytes())
    except OSError:
        command = None
    if command is None:
        raise AnswerIsNoError(
            "The release has no Procfile with a web: line.",
            remedy="Add source/Procfile with a line such as 'web: python app.py'.",
            code="empty_source",
        )
    plan = ChildPlan(
        command=command,
        release=release.folder,
        data=site.data,
        isolated=isolated,
        variables=variables,
        record=site.child_record,
    )
    return DynamicSite(site, release, plan, log)
