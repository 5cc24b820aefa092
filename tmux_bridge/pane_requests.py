"""What panes ask the product for: small files in `state/requests/`, answered in `state/answers/`.

A pane's own folder is its only capability: a request can only concern the session in whose folder
it lies. Everything read here is hostile: regular files only, bounded in size, number and rate, so
that one session that asks without end holds up nobody else.
"""

from __future__ import annotations

import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.clock import Clock
from core.errors import BuilderError, LimitReachedError
from core.files import read_regular, write_atomically
from core.models.pane_request import PaneAnswer, PaneRequest
from core.models.session import SessionKey
from core.services.services import Services
from core.store.store import Store
from tmux_bridge.pane_verbs import QUICK, PaneVerbs, refused

REQUEST_BYTES = 65_536
PER_SWEEP = 20
FLOODED_NAMES = 200
REMOVED_AT_ONCE = 5_000
KEPT_ANSWERS = 50
BURST, PER_S = 40, 1.0
"""So many requests of one session at once, and so many a second for long."""

REST_S = 1.0
QUICK_THREADS = 4
SLOW_THREADS = 64
"""A deploy is waited for up to ten minutes; more sessions than this are hardly awake at once."""

_NAME = re.compile(r"([0-9a-zA-Z-]{8,64})\.json")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Account:
    """What is remembered of one session.

    Attributes:
        left: Requests that it may make at once.
        seen: When its folder had changed last, as far as everything in it was looked at.
    """

    left: float
    counted_at_s: float
    rests_until_s: float = 0.0
    seen: int | None = None
    is_busy: bool = False
    is_flooded: bool = False


class PaneRequests:
    """Sweeps the folders of awake sessions; one request of a session is worked on at a time."""

    def __init__(self, store: Store, services: Services, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._verbs = PaneVerbs(store, services)
        self._quick = ThreadPoolExecutor(QUICK_THREADS, thread_name_prefix="pane-request")
        self._slow = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="slow-pane-request")
        self._accounts: dict[SessionKey, _Account] = {}

    def tick(self) -> None:
        """Look into every awake session's folder; an unchanged one costs one stat."""
        awake = {agent.key for agent in self._store.agents.awake()}
        for key in awake:
            account = self._account(key)
            rests = self._clock.monotonic() < account.rests_until_s
            if not account.is_busy and not rests and self._has_changed(key, account):
                self._sweep(key, account)
        self._accounts = {
            key: account
            for key, account in self._accounts.items()
            if key in awake or account.is_busy
        }

    def close(self) -> None:
        for pool in (self._quick, self._slow):
            pool.shutdown(wait=False, cancel_futures=True)

    def _account(self, key: SessionKey) -> _Account:
        now_s = self._clock.monotonic()
        account = self._accounts.setdefault(key, _Account(left=BURST, counted_at_s=now_s))
        earned = (now_s - account.counted_at_s) * PER_S
        account.left, account.counted_at_s = min(float(BURST), account.left + earned), now_s
        return account

    def _has_changed(self, key: SessionKey, account: _Account) -> bool:
        try:
            changed = self._folder(key).stat().st_mtime_ns
        except OSError:
            return False
        return account.seen != changed

    def _sweep(self, key: SessionKey, account: _Account) -> None:
        """Begin with the first good request; where the session asks too often, refuse some."""
        folder = self._folder(key)
        account.seen = folder.stat().st_mtime_ns
        names = _names(folder)
        if len(names) >= FLOODED_NAMES:
            self._relieve(key, account)
            return
        account.is_flooded = False
        too_many: list[PaneRequest] = []
        for name in names[:PER_SWEEP]:
            request = self._take(folder, name)
            if request is None:
                continue
            if account.left >= 1:
                account.left -= 1
                pool = self._quick if request.verb in QUICK else self._slow
                self._begin(account, pool, key, request)
                return
            too_many.append(request)
        if too_many:
            account.rests_until_s = self._clock.monotonic() + REST_S
            self._begin(account, self._quick, key, *too_many, is_refused=True)
        elif len(names) > PER_SWEEP:
            account.seen = None

    def _relieve(self, key: SessionKey, account: _Account) -> None:
        """Nobody waits for so many answers: remove what lies there, unread."""
        if not account.is_flooded:
            logger.warning("request folder flooded", extra={"session_id": key.session_id})
        account.is_flooded = True
        account.rests_until_s = self._clock.monotonic() + REST_S
        self._begin(account, self._quick, key)

    def _begin(
        self, account: _Account, pool: ThreadPoolExecutor, key: SessionKey,
        *requests: PaneRequest, is_refused: bool = False,
    ) -> None:  # fmt: skip
        account.is_busy, account.seen = True, None
        pool.submit(self._work, account, key, requests, is_refused=is_refused)

    def _work(
        self, account: _Account, key: SessionKey, requests: tuple[PaneRequest, ...], *,
        is_refused: bool,
    ) -> None:  # fmt: skip
        try:
            if not requests:
                _remove(self._folder(key))
            for request in requests:
                if is_refused:
                    self._answer(key, refused(request, _too_often()))
                else:
                    self._perform(key, request)
        except Exception:
            logger.exception("pane request failed", extra={"session_id": key.session_id})
        finally:
            account.is_busy = False

    def _take(self, folder: Path, name: str) -> PaneRequest | None:
        content = read_regular(folder, name, limit=REQUEST_BYTES)
        with suppress(OSError):
            (folder / name).unlink()
        matched = _NAME.fullmatch(name)
        if content is None or matched is None:
            return None
        try:
            request = msgspec.json.decode(content, type=PaneRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            logger.warning("pane request not understood", extra={"folder": str(folder)})
            return None
        return request if request.id == matched[1] else None

    def _perform(self, key: SessionKey, request: PaneRequest) -> None:
        try:
            answer = self._verbs.perform(key, request)
        except Exception:
            logger.exception("pane request failed", extra={"session_id": key.session_id})
            sorry = BuilderError("The worker failed at this.", remedy="Try it once more.")
            answer = refused(request, sorry)
        self._answer(key, answer)

    def _answer(self, key: SessionKey, answer: PaneAnswer) -> None:
        folder = self._store.root.session(key.user_id, key.session_id).answers
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        write_atomically(folder / f"{answer.id}.json", msgspec.json.encode(answer))
        _forget_old(folder)

    def _folder(self, key: SessionKey) -> Path:
        return self._store.root.session(key.user_id, key.session_id).requests


def _too_often() -> LimitReachedError:
    return LimitReachedError(
        f"This session asks too often: more than {BURST} requests at once, or more than"
        f" {PER_S:g} a second for long.",
        remedy="Wait some seconds, then ask once.",
        code="too_many_requests",
    )


def _names(folder: Path) -> list[str]:
    """What may be a request: at most so many names as make a flood."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry, _ in zip(entries, range(2 * FLOODED_NAMES), strict=False)]
            return sorted(
                entry.name
                for entry in found
                if not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []


def _remove(folder: Path) -> None:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry, _ in zip(entries, range(REMOVED_AT_ONCE), strict=False):
            with suppress(OSError):
                os.unlink(folder / entry.name)  # noqa: PTH108 - thousands of them


def _forget_old(folder: Path) -> None:
    """Answers are read at once; only the newest stay for a look."""
    names = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    for path in names[:-KEPT_ANSWERS]:
        with suppress(OSError):
            path.unlink()
