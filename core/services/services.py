"""The one object that front ends call. Each service is built when it is first used."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from core.services.context import Environment

if TYPE_CHECKING:
    from core.services.approvals import ApprovalService
    from core.services.apps import AppService
    from core.services.changes import ChangeFeed
    from core.services.chat import ChatService
    from core.services.costs import CostService
    from core.services.deploys import DeployService
    from core.services.doctor import DoctorService
    from core.services.library import LibraryService
    from core.services.names import NameService
    from core.services.sessions import SessionService
    from core.services.status import StatusService
    from core.services.users import UserService


class Services:
    """Users, sessions, names, chat, deploys, apps, status, library and doctor of one data root."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    @cached_property
    def names(self) -> NameService:
        from core.services.names import NameService  # noqa: PLC0415 - each verb loads its own

        return NameService(self.environment)

    @cached_property
    def users(self) -> UserService:
        from core.services.users import UserService  # noqa: PLC0415

        return UserService(self.environment, self.sessions, self.names)

    @cached_property
    def sessions(self) -> SessionService:
        from core.services.sessions import SessionService  # noqa: PLC0415

        return SessionService(self.environment, self.names)

    @cached_property
    def chat(self) -> ChatService:
        from core.services.chat import ChatService  # noqa: PLC0415

        return ChatService(self.environment)

    @cached_property
    def approvals(self) -> ApprovalService:
        from core.services.approvals import ApprovalService  # noqa: PLC0415

        return ApprovalService(self.environment)

    @cached_property
    def deploys(self) -> DeployService:
        from core.services.deploys import DeployService  # noqa: PLC0415

        return DeployService(self.environment)

    @cached_property
    def apps(self) -> AppService:
        from core.services.apps import AppService  # noqa: PLC0415

        return AppService(self.environment)

    @cached_property
    def costs(self) -> CostService:
        from core.services.costs import CostService  # noqa: PLC0415

        return CostService(self.environment)

    @cached_property
    def status(self) -> StatusService:
        from core.services.status import StatusService  # noqa: PLC0415

        return StatusService(self.environment)

    @cached_property
    def library(self) -> LibraryService:
        from core.services.library import LibraryService  # noqa: PLC0415

        return LibraryService(self.environment)

    @cached_property
    def doctor(self) -> DoctorService:
        from core.services.doctor import DoctorService  # noqa: PLC0415

        return DoctorService(self.environment)

    def changes(self) -> ChangeFeed:
        """A feed of its own for one thread."""
        from core.services.changes import ChangeFeed  # noqa: PLC0415

        return ChangeFeed(self.environment.store)
