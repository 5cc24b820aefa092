"""Closed sets as a person types them, with the sentence that names the allowed ones."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from core.errors import UsageError
from core.models.states import ModelSpeed, SessionMode, SessionState
from core.models.user import HostProvider, SiteType

Choice = TypeVar("Choice", bound=StrEnum)


def choice_of(kind: type[Choice], value: str | None, what: str) -> Choice | None:
    """The member of a closed set, None where nothing was given.

    Raises:
        UsageError: It is none of them.
    """
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        allowed = ", ".join(kind)
        raise UsageError(
            f"{value[:40]!r} is no {what}.",
            remedy=f"Use one of: {allowed}.",
            code=f"invalid_{what.replace(' ', '_')}",
        ) from error


def host_provider_of(value: str | None) -> HostProvider | None:
    return choice_of(HostProvider, value, "host provider")


def site_type_of(value: str | None) -> SiteType | None:
    return choice_of(SiteType, value, "site type")


def speed_of(value: str | None) -> ModelSpeed:
    return choice_of(ModelSpeed, value, "speed") or ModelSpeed.NORMAL


def mode_of(value: str | None) -> SessionMode | None:
    return choice_of(SessionMode, value, "mode")


def state_of(value: str) -> SessionState:
    state = choice_of(SessionState, value, "state")
    assert state is not None  # noqa: S101 - a value was given
    return state
