"""Where the app's facts come from: the store's changes, the shown session, the shown pane.

Every method here blocks and runs off the screen's thread; it hands over by posting messages.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

from core.errors import BuilderError
from core.models.session import SessionKey
from tui.ceiling_notices import CeilingNotices
from tui.messages import ActFailed, DetailLoaded, PaneCaptured, RowsChanged, RowsLoaded
from tui.ports import PaneView

if TYPE_CHECKING:
    from core.models.overview import SessionRow, UserRow
    from core.services.services import Services

logger = logging.getLogger(__name__)

POLL_S = 0.12
RETRY_S = 2.0
USERS_EVERY_S = 1.0
STREAMING_S = 0.2
STILL_S = 1.0

Post = Callable[[Message], object]


class Changes(Protocol):
    """Says whether anything was committed since it was asked last."""

    def poll(self) -> bool: ...


class StoreFeed:
    """Follows the store: everything once, then only what changed."""

    def __init__(self, services: Services, post: Post, changes: Callable[[], Changes]) -> None:
        self._services = services
        self._post = post
        self._changes = changes
        self._again = threading.Event()
        self._stopped = threading.Event()
        self._users_at = 0.0
        self._users_due = False
        self._ceilings = CeilingNotices(services, post)

    def reload(self) -> None:
        """Read everything anew, soon."""
        self._again.set()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        """Until `stop`; a store that cannot be read is said once and tried again."""
        said = ""
        while not self._stopped.is_set():
            try:
                self._follow()
            except BuilderError as error:
                if error.message != said:
                    said = error.message
                    self._post(ActFailed(error.message, error.remedy))
                self._stopped.wait(RETRY_S)

    def _follow(self) -> None:
        changes = self._changes()
        changes.poll()
        change = self._load()
        while not self._stopped.wait(POLL_S):
            if self._again.is_set():
                self._again.clear()
                change = self._load()
            elif changes.poll():
                change = self._read_changed(change)
            elif self._users_due:
                self._post_changed([])
            self._ceilings.look()

    def _load(self) -> int:
        rows = self._services.sessions.rows()
        self._post(RowsLoaded(self._read_users(), rows))
        self._ceilings.look()
        return max((row.session.change for row in rows), default=0)

    def _read_changed(self, change: int) -> int:
        rows, newest = self._services.sessions.changed_since(change)
        self._users_due = True
        self._post_changed(rows)
        return newest

    def _post_changed(self, rows: Sequence[SessionRow]) -> None:
        users = None
        if self._users_due and time.monotonic() - self._users_at >= USERS_EVERY_S:
            users = self._read_users()
        if rows or users is not None:
            self._post(RowsChanged(rows, users))

    def _read_users(self) -> Sequence[UserRow]:
        self._users_at = time.monotonic()
        self._users_due = False
        return self._services.users.list().users


class DetailFeed:
    """Reads chat and run of one session."""

    def __init__(self, services: Services, post: Post) -> None:
        self._services = services
        self._post = post

    def read(self, key: SessionKey) -> None:
        from tui.session_detail import SessionDetail, make_run, weave  # noqa: PLC0415  # msgspec

        chat = self._services.chat
        row = self._services.sessions.row(key)
        execution = row.execution
        run = None
        if execution is not None:
            steps = self._services.deploys.steps(execution.execution_id)
            run = make_run(execution, steps, datetime.now(UTC))
        detail = SessionDetail(
            key=key,
            chat=weave(chat.items(key), chat.prompts(key)),
            run=run,
            approvals=tuple(self._services.approvals.open(key)),
            change=row.session.change,
            cost=row.cost,
            loaded_at=time.monotonic(),
        )
        self._post(DetailLoaded(detail))


class PaneFeed:
    """Captures one pane while it is shown: soon after output, seldom when it is still."""

    def __init__(self, view: PaneView, key: SessionKey, post: Post) -> None:
        self._view = view
        self._key = key
        self._post = post
        self._dirty = threading.Event()
        self._stopped = threading.Event()

    def nudge(self) -> None:
        """Look now: a key was sent."""
        self._dirty.set()

    def stop(self) -> None:
        self._stopped.set()
        self._dirty.set()

    def run(self) -> None:
        """Until `stop`."""
        try:
            unlisten = self._view.listen(self._key, self._dirty.set)
        except BuilderError as error:
            self._post(ActFailed(error.message, error.remedy))
            return
        try:
            while not self._stopped.is_set():
                self._dirty.clear()
                self._capture()
                if not self._stopped.wait(STREAMING_S):
                    self._dirty.wait(STILL_S - STREAMING_S)
        finally:
            unlisten()

    def _capture(self) -> None:
        try:
            frame = self._view.capture(self._key)
        except BuilderError as error:
            logger.warning("pane not captured", extra={"reason": error.message})
            frame = None
        if not self._stopped.is_set():
            self._post(PaneCaptured(self._key, frame))
