"""The library as front ends see it: what would be injected and why, and whether it is valid."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.models.user import HostProvider, SiteType
from core.services.choices import choice_of, host_provider_of, site_type_of
from core.services.context import Environment

if TYPE_CHECKING:
    from core.injection.problems import Problem
    from core.injection.why import ItemRow


VERBS = (
    "tui", "user", "session", "deploy", "rollback", "destroy", "status", "check", "screenshot",
    "test", "library", "doctor", "demo", "serve", "worker", "config", "completion", "report",
)  # fmt: skip
"""The first words of the command line, which the library's texts may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryReport:
    """What a library holds and everything that is wrong with it."""

    agents: int
    skills: int
    problems: tuple[Problem, ...]


class LibraryService:
    """Loads the injection engine only when it is asked."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @property
    def path(self) -> Path:
        return self._environment.library

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
        self, path: Path | None = None, *, strict: bool = False, verbs: Collection[str] = VERBS
    ) -> LibraryReport:
        """Every fault of the library, or of another one; raises NotFoundError for no folder."""
        from core.injection.catalogue import ItemKind, read_catalogue  # noqa: PLC0415 - on use
        from core.injection.validate import validate  # noqa: PLC0415

        library = path or self._environment.library
        problems = validate(library, verbs=verbs, strict=strict)
        kinds = [item.kind for item in read_catalogue(library).items]
        return LibraryReport(
            agents=kinds.count(ItemKind.AGENT),
            skills=kinds.count(ItemKind.SKILL),
            problems=tuple(problems),
        )
