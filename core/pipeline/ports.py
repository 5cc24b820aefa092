"""What the steps need of the rest of the product, each small enough to fake in a few lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.clock import Clock
from core.models.checks import CheckDocument
from core.models.release import Release
from core.models.session import Session, SessionKey
from core.paths import SessionPaths
from core.ports.agent import AgentPane
from core.ports.host import Host, ReleaseTrees


class Accounts(Protocol):
    """Makes what a user and a session consist of; whatever is there already stays."""

    def ensure_user(self, user_id: str) -> object:
        """The user's folder, document and registry entry."""

    def ensure_session(self, key: SessionKey) -> object:
        """The session's folder tree, configuration and injected library items."""


class ReleaseTaker(Protocol):
    """Turns `source/` into a release in the product's own repository."""

    def missing(self, session: Session) -> str | None:
        """What `source/` lacks before it can be published, None where it is a site."""

    def take(self, session: Session) -> Release:
        """The release of what `source/` holds now; unchanged content is the same release."""

    def trees(self, session: Session) -> ReleaseTrees: ...


class SiteChecks(Protocol):
    """The three looks at a deployed site. Each writes its own document below `paths.tests`."""

    def health(
        self,
        url: str,
        *,
        paths: SessionPaths,
        expected_release: str | None,
        cancelled: Callable[[], bool],
    ) -> CheckDocument: ...

    def screenshot(
        self, url: str, *, paths: SessionPaths, cancelled: Callable[[], bool]
    ) -> CheckDocument: ...

    def e2e(
        self, url: str, *, paths: SessionPaths, cancelled: Callable[[], bool]
    ) -> CheckDocument: ...


class ViewWriter(Protocol):
    """Exports what the store holds as JSON files for people and for Claude."""

    def execution(self, execution_id: str) -> object: ...

    def session(self, key: SessionKey) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLimits:
    """How long step 3 waits.

    Attributes:
        ready_s: For Claude to be started or resumed.
        turn_s: For the end of the turn, the time a person is waited for not counted.
        answer_s: For the operator to answer a question of Claude.
    """

    ready_s: float = 60.0
    turn_s: float = 30 * 60.0
    answer_s: float = 12 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPorts:
    """Everything a step may act through; built by the worker, faked by the tests."""

    accounts: Accounts
    agent: AgentPane
    hosts: Callable[[Session], Host]
    releases: ReleaseTaker
    checks: SiteChecks
    briefs: Callable[[Session], str]
    views: ViewWriter
    clock: Clock
    limits: StepLimits = StepLimits()
    paused: Callable[[SessionKey], str | None] = lambda _key: None
    """Why nothing may be sent to a session's Claude now; None where nothing forbids it."""
