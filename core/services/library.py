"""The library as front ends see it: what it injects and why, and what sessions have of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BuilderError
from core.models.session import SessionKey
from core.models.states import AgentState
from core.models.user import HostProvider, SiteType
from core.services.choices import choice_of, host_provider_of, site_type_of
from core.services.context import Environment

if TYPE_CHECKING:
    from core.accounts.injections import ComparedSession, SessionInjector
    from core.injection.commands import CommandLine
    from core.injection.problems import Problem
    from core.injection.why import ItemRow

_AWAKE = frozenset({AgentState.STARTING, AgentState.IDLE, AgentState.WORKING, AgentState.NEEDS_YOU})


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryReport:
    """What a library holds and everything that is wrong with it."""

    agents: int
    skills: int
    problems: tuple[Problem, ...]


class UpdateState(StrEnum):
    """What became of one session."""

    CURRENT = "current"
    PLANNED = "planned"
    UPDATED = "updated"
    CHANGED_BY_HAND = "changed_by_hand"
    """Nothing was written: a person has to agree first."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUpdate:
    """One session's answer.

    Attributes:
        compared: As it stood before; None where even that failed.
        restart_needed: A Claude runs that has read the former files.
        error: Why it failed.
    """

    key: SessionKey
    state: UpdateState
    compared: ComparedSession | None = None
    restart_needed: bool = False
    error: BuilderError | None = None


class LibraryService:
    """Loads the injection engine only when it is asked."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def list(
        self,
        *,
        host_provider: HostProvider | str | None = None,
        site_type: SiteType | str | None = None,
        kind: str | None = None,
    ) -> list[ItemRow]:
        """What the rules inject, with the reason; see `core.injection.why`.

        Raises:
            LibraryError: A rule cannot be kept.
            UsageError: A bad choice.
        """
        from core.injection.catalogue import ItemKind  # noqa: PLC0415 - on use only
        from core.injection.why import list_items  # noqa: PLC0415

        return list_items(
            self._environment.library,
            host_provider=host_provider_of(host_provider),
            site_type=site_type_of(site_type),
            kind=choice_of(ItemKind, kind, "kind"),
        )

    def validate(
        self, path: Path | None = None, *, strict: bool = False,
        verbs: CommandLine | Collection[str] | None = None,
    ) -> LibraryReport:  # fmt: skip
        """Every fault of the library with all its layers, or of one folder by itself.

        Args:
            path: A folder to look at alone; problems are relative to it.
            strict: Also what is only untidy.
            verbs: The command line to hold the texts against; the front end's own by default.

        Raises:
            NotFoundError: There is no such folder.
        """
        from core.injection.catalogue import ItemKind, read_catalogue  # noqa: PLC0415 - on use
        from core.injection.validate import validate  # noqa: PLC0415

        library = path or self._environment.library
        known = self._environment.command_line() if verbs is None else verbs
        problems = validate(library, verbs=known, strict=strict)
        kinds = [item.kind for item in read_catalogue(library).items]
        return LibraryReport(
            agents=kinds.count(ItemKind.AGENT),
            skills=kinds.count(ItemKind.SKILL),
            problems=tuple(problems),
        )

    def compare(self, key: SessionKey) -> ComparedSession:
        """A session's `.claude` beside what the library gives it now; changes nothing.

        Raises:
            NotFoundError: The session or its folder is not there.
            LibraryError: The library cannot keep the session's rule.
        """
        return self._injector().compare(key)

    def update(
        self, keys: Sequence[SessionKey], *, is_plan: bool,
        may_overwrite: Callable[[ComparedSession], bool],
    ) -> Iterator[SessionUpdate]:  # fmt: skip
        """Bring sessions up to date, one after the other; one that fails stops none.

        Args:
            keys: Which ones.
            is_plan: Only say what would be done.
            may_overwrite: Asked for a session in which something was changed by hand.
        """
        for key in keys:
            try:
                yield self._update(key, is_plan=is_plan, may_overwrite=may_overwrite)
            except BuilderError as error:
                yield SessionUpdate(key=key, state=UpdateState.FAILED, error=error)

    def everybody(self) -> Sequence[SessionKey]:
        """Every session that is not archived, newest first."""
        return [one.key for one in self._environment.store.sessions.all() if not one.archived]

    def _update(
        self, key: SessionKey, *, is_plan: bool, may_overwrite: Callable[[ComparedSession], bool]
    ) -> SessionUpdate:
        injector = self._injector()
        compared = injector.compare(key)
        if compared.comparison.is_current:
            return SessionUpdate(key=key, state=UpdateState.CURRENT, compared=compared)
        by_hand = bool(compared.comparison.by_hand)
        restart_needed = self._environment.store.agents.get(key).state in _AWAKE
        state = UpdateState.PLANNED
        if not is_plan and by_hand and not may_overwrite(compared):
            state, restart_needed = UpdateState.CHANGED_BY_HAND, False
        elif not is_plan:
            injector.update(compared, overwrite=by_hand)
            state = UpdateState.UPDATED
        return SessionUpdate(key=key, state=state, compared=compared, restart_needed=restart_needed)

    def _injector(self) -> SessionInjector:
        from core.accounts.injections import SessionInjector  # noqa: PLC0415 - on use only

        environment = self._environment
        return SessionInjector(environment.store, environment.root, environment.library)
