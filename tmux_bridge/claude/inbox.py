"""The folder of a session's hook events, read within a budget: a flood harms its own session only.

A look at one folder may take so long, so many bytes and so many events, and a flooded folder is
looked at once a second, so that the looks at the other sessions are never late because of it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import threading
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.clock import Clock, SystemClock
from core.errors import StorageError
from core.files import read_regular
from tmux_bridge.claude.hooks import SIZE_LIMIT, HookEvent, decode_event, is_event_name, name_order

logger = logging.getLogger(__name__)

SWEEP_LIMIT = 200
"""Events of one look, and how many may come at once."""

EVENTS_PER_S = 50.0
"""More, for long, are no Claude's."""

LOOK_S = 0.02
LOOK_BYTES = 4 * 1024 * 1024
LEAST = 10
"""So many files are looked at however slow the computer is, or nothing would ever move."""

FLOODED_NAMES = 500
LEFT_NAMES = 100
"""More events than these in a folder, or left over by a look, are a flood."""

REST_S = 1.0
FLOODED = "its event folder is flooded and is looked at once a second only"

_LISTING_LIMIT = 1000
_SET_ASIDE_LIMIT = 20
_FUTURE_NS = 60_000_000_000
_SETTLED_NS = 50_000_000
_ASIDE = ".bad-"
_OLD = ".old-hooks-"


class HookInbox:
    """The events of one session's `state/hooks/`, oldest first, each until it is consumed."""

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self._seen_change: int | None = None
        self._undeletable: set[str] = set()
        self._allowance = float(SWEEP_LIMIT)
        self._allowed_at_s = self._clock.monotonic()
        self._rests_until_s = 0.0
        self._look_ends_s = 0.0
        self._set_aside_now = 0
        self._is_flooded = False

    @property
    def is_flooded(self) -> bool:
        """Whether the last look found far more than a Claude can have to say."""
        return self._is_flooded

    def newest(self) -> str | None:
        """The name of the newest event now: only later ones answer what is typed next."""
        self._begin_look()
        names = self._names()
        return names[-1] if names else None

    def pending(self, limit: int = SWEEP_LIMIT) -> list[HookEvent]:
        """Events that nobody consumed, at most `limit`; one stat when nothing has changed."""
        change = self._change()
        if change is None or change == self._seen_change:
            return []
        if self._clock.monotonic() < self._rests_until_s:
            return []
        settled = self._clock.now().timestamp() * 1e9 - change > _SETTLED_NS
        self._begin_look()
        names = [name for name in self._names() if name not in self._undeletable]
        affordable = names[: min(limit, int(self._allowance))]
        events, looked_at = self._read_all(affordable)
        is_short = len(affordable) < min(limit, len(names))
        self._judge(is_short or len(names) > FLOODED_NAMES or len(names) - looked_at > LEFT_NAMES)
        complete = looked_at == len(names) and not events
        self._seen_change = change if settled and complete else None
        return events

    def consume(self, events: Iterable[HookEvent]) -> None:
        """The events are in the store: remove their files.

        A pane may have taken the right to remove them; they are not read a second time then.
        """
        for event in events:
            self._allowance -= 1
            try:
                (self._folder / Path(event.name).name).unlink(missing_ok=True)
            except OSError:
                self._undeletable.add(event.name)

    def discard(self) -> None:
        """Forget everything that lies there, however much it is. Nothing may write there now.

        Raises:
            StorageError: A new folder cannot be made in its place.
        """
        old = self._folder.with_name(f"{_OLD}{uuid.uuid4().hex}")
        try:
            with os.scandir(self._folder) as entries:
                if next(entries, None) is None:
                    return
            self._folder.rename(old)
            self._folder.mkdir(mode=0o700)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(
                f"The event folder {self._folder} cannot be emptied: {error.strerror}.",
                remedy="Check free space and rights of the session's folder, then try again.",
            ) from error
        threading.Thread(target=_remove_old, args=(old.parent,), daemon=True).start()

    def _begin_look(self) -> None:
        now_s = self._clock.monotonic()
        earned = (now_s - self._allowed_at_s) * EVENTS_PER_S
        self._allowance = min(float(SWEEP_LIMIT), self._allowance + earned)
        self._allowed_at_s = now_s
        self._look_ends_s = now_s + LOOK_S
        self._set_aside_now = 0

    def _is_over(self) -> bool:
        return self._clock.monotonic() >= self._look_ends_s

    def _judge(self, is_flooded: bool) -> None:
        """Rest where there is far too much; say so once, when it begins."""
        was_flooded, self._is_flooded = self._is_flooded, is_flooded
        if self._is_flooded:
            self._rests_until_s = self._clock.monotonic() + REST_S
            if not was_flooded:
                logger.warning("event folder flooded", extra={"folder": str(self._folder)})

    def _change(self) -> int | None:
        try:
            return self._folder.stat().st_ctime_ns
        except OSError:
            return None

    def _names(self) -> list[str]:
        names: list[str] = []
        hidden: list[str] = []
        try:
            with os.scandir(self._folder) as entries:
                for _, entry in zip(range(_LISTING_LIMIT), entries, strict=False):
                    (hidden if entry.name.startswith(".") else names).append(entry.name)
        except OSError:
            return []
        self._clear_hidden(hidden)
        return sorted(self._accepted(names), key=name_order)

    def _accepted(self, names: Sequence[str]) -> list[str]:
        latest = self._clock.now().timestamp() * 1e9 + _FUTURE_NS
        good = []
        for name in names:
            if not is_event_name(name):
                self._set_aside(name, "not the name of an event")
            elif name_order(name)[0] > latest:
                self._set_aside(name, "from the future")
            else:
                good.append(name)
        return good

    def _read_all(self, names: Sequence[str]) -> tuple[list[HookEvent], int]:
        """The events of these files as far as the look's budget goes, and how many were opened."""
        events: list[HookEvent] = []
        size = opened = 0
        for name in names:
            if (opened and size >= LOOK_BYTES) or (opened >= LEAST and self._is_over()):
                break
            content = read_regular(self._folder, name, limit=SIZE_LIMIT)
            event = self._decode(name, content)
            events += [] if event is None else [event]
            size += len(content or b"")
            opened += 1
        return events, opened

    def _decode(self, name: str, content: bytes | None) -> HookEvent | None:
        if content is None:
            self._set_aside(name, "not a regular file within the limit")
            return None
        try:
            return decode_event(name, content)
        except ValueError as error:
            self._set_aside(name, str(error)[:200])
            return None

    def _set_aside(self, name: str, reason: str) -> None:
        """Out of the way under a hidden name, kept for a look; it never blocks the others."""
        self._set_aside_now += 1
        if self._set_aside_now > LEAST and self._is_over():
            return
        self._allowance -= 1
        if not self._is_flooded:
            facts = {"folder": str(self._folder), "why": reason}
            logger.warning("hook event set aside", extra=facts)
        with contextlib.suppress(OSError):
            os.rename(self._folder / name, self._folder / f"{_ASIDE}{name[:200]}")  # noqa: PTH104 - never follows a link

    def _clear_hidden(self, names: Sequence[str]) -> None:
        """Keep the last ones; a temporary file that is still being written is a new one."""
        if len(names) <= _SET_ASIDE_LIMIT:
            return
        aged = sorted(names, key=self._changed_at)
        for name in aged[:-_SET_ASIDE_LIMIT]:
            if self._is_over():
                return
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _changed_at(self, name: str) -> int:
        try:
            info = (self._folder / name).lstat()
        except OSError:
            return 0
        return info.st_ctime_ns if stat.S_ISREG(info.st_mode) else 0


def _remove_old(parent: Path) -> None:
    """What was discarded, now or by a worker that died over it."""
    for old in parent.glob(f"{_OLD}*"):
        shutil.rmtree(old, ignore_errors=True)
