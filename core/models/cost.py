"""What Claude's work and the cloud cost: tokens, estimates in US dollars, ceilings over a day.

Every amount is an estimate from list prices; a day is a day in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

NEAR = 0.8
"""The share of a ceiling from which on it is told."""


class UsageSource(StrEnum):
    """What an amount rests on."""

    TRANSCRIPT = "transcript"
    """A message's tokens and the price table."""
    STATUS_LINE = "status_line"
    """What the CLI's own total counts beyond the messages: side requests, unknown models."""
    SCRIPTED = "scripted"
    """The model was scripted: tokens are counted and cost nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """Tokens by the price they have; the four never overlap."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: TokenCounts) -> TokenCounts:
        return TokenCounts(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEntry:
    """One message of a model, or what the CLI's total counts beyond the messages of a turn.

    Attributes:
        entry_id: The message's own id, so that the same message again is the same entry.
        claude_prompt_id: The CLI's id of the prompt that it belongs to.
        usd: None where the model's price is not known.
    """

    entry_id: str
    claude_session_id: str
    claude_prompt_id: str | None
    at: datetime
    source: UsageSource
    model: str | None = None
    tokens: TokenCounts = TokenCounts()
    usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What was used in some span.

    Attributes:
        usd: The sum of what has a price; None where something was used and nothing has one.
        is_complete: Whether everything in it has a price.
    """

    tokens: TokenCounts = TokenCounts()
    usd: float | None = 0.0
    is_complete: bool = True

    def __add__(self, other: Spending) -> Spending:
        known = [one.usd for one in (self, other) if one.usd is not None and one != _NOTHING]
        unknown = any(one.usd is None for one in (self, other))
        return Spending(
            tokens=self.tokens + other.tokens,
            usd=None if unknown and not known else sum(known),
            is_complete=self.is_complete and other.is_complete,
        )


_NOTHING = Spending()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCost:
    """A session's figures: today, all time, and what its cloud resources cost in a day.

    Attributes:
        cloud_usd_day: Its share where a resource serves several sessions; None where the price
            of one of its resources is not known.
    """

    today: Spending = Spending()
    total: Spending = Spending()
    cloud_usd_day: float | None = 0.0


class CeilingScope(StrEnum):
    """Whose spending a ceiling is over."""

    USER = "user"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A ceiling over one day, and how much of it is used."""

    scope: CeilingScope
    setting: str
    limit_usd: float
    used_usd: float
    day: str
    resets_at: datetime

    @property
    def is_reached(self) -> bool:
        return self.used_usd >= self.limit_usd

    @property
    def is_near(self) -> bool:
        return self.used_usd >= NEAR * self.limit_usd

    @property
    def share(self) -> float:
        """How much of it is used: 0.0 to 1.0."""
        return min(1.0, self.used_usd / self.limit_usd) if self.limit_usd else 1.0

    @property
    def called(self) -> str:
        """`the ceiling of $5.00 a day for this user`, for sentences."""
        whose = "this user" if self.scope is CeilingScope.USER else "all users"
        return f"the ceiling of ${self.limit_usd:.2f} a day for {whose}"
