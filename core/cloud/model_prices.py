"""What Claude's tokens cost by the list: US dollars per million tokens, per model.

Source: the vendor's public price list (platform.claude.com, "Model pricing" and the models' own
pages), read 2026-11-28. Standard speed, no batch discount, no regional surcharge, no taxes, no
server tools. A model that is not in the table has no price: unknown is not zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.models.cost import TokenCounts

AS_OF = "2026-11-28"

_MILLION = 1_000_000
_NAME = re.compile(
    r"claude-(?:(?P<old>\d(?:-\d)?)-)?(?P<family>[a-z]+)(?:-(?P<new>\d{1,2}(?:-\d{1,2})?)(?!\d))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """Dollars per million tokens. `hour_write` is for a cache that is kept for an hour."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    hour_write: float


def _price(input_usd: float, output_usd: float, read_share: float = 0.1) -> ModelPrice:
    """The list has writes at 1.25 and 2 times the input, and reads at a share of it."""
    return ModelPrice(
        input=input_usd, output=output_usd, cache_read=input_usd * read_share,
        cache_write=input_usd * 1.25, hour_write=input_usd * 2,
    )  # fmt: skip


_FIRST_OPUS = _price(15.0, 75.0)
_OPUS = _price(5.0, 25.0)
_SONNET = _price(3.0, 15.0)
_PRICES: Mapping[tuple[str, str], ModelPrice] = {
    ("fable", "5.1"): _price(10.0, 50.0, 0.025), ("mythos", "5.1"): _price(10.0, 50.0, 0.025),
    ("fable", "5"): _price(10.0, 50.0), ("mythos", "5"): _price(10.0, 50.0),
    ("opus", "5.5"): _price(4.0, 20.0, 0.05),
    ("opus", "5"): _OPUS, ("opus", "4.8"): _OPUS, ("opus", "4.7"): _OPUS,
    ("opus", "4.6"): _OPUS, ("opus", "4.5"): _OPUS,
    ("opus", "4.1"): _FIRST_OPUS, ("opus", "4"): _FIRST_OPUS,
    ("sonnet", "5.5"): _price(2.0, 10.0, 0.05), ("sonnet", "5"): _price(2.0, 10.0),
    ("sonnet", "4.6"): _SONNET, ("sonnet", "4.5"): _SONNET, ("sonnet", "4"): _SONNET,
    ("sonnet", "3.7"): _SONNET,
    ("haiku", "5.5"): _price(0.1, 0.5), ("haiku", "4.5"): _price(1.0, 5.0),
    ("haiku", "3.5"): _price(0.8, 4.0),
}  # fmt: skip
_LONG: Mapping[tuple[str, str], tuple[int, ModelPrice]] = {
    ("haiku", "5.5"): (100_000, _price(0.5, 2.5)),
}
"""Models that cost more per token once the whole prompt is longer than so many tokens."""


def usd_of(model: str, tokens: TokenCounts, *, hour_writes: int = 0) -> float | None:
    """What one message cost; None where the model is not in the table.

    Args:
        model: As the message names it; prefixes and suffixes of other clouds are understood.
        hour_writes: How many of the tokens written to the cache are kept there for an hour.
    """
    price = _price_of(model, tokens)
    if price is None:
        return None
    hour_writes = min(hour_writes, tokens.cache_write_tokens)
    amount = (
        tokens.input_tokens * price.input
        + tokens.output_tokens * price.output
        + tokens.cache_read_tokens * price.cache_read
        + (tokens.cache_write_tokens - hour_writes) * price.cache_write
        + hour_writes * price.hour_write
    )
    return amount / _MILLION


def _price_of(model: str, tokens: TokenCounts) -> ModelPrice | None:
    matched = _NAME.search(model.lower())
    if matched is None:
        return None
    version = (matched["new"] or matched["old"] or "").replace("-", ".")
    name = (matched["family"], version)
    above, long_price = _LONG.get(name, (0, None))
    prompt = tokens.input_tokens + tokens.cache_read_tokens + tokens.cache_write_tokens
    return long_price if long_price is not None and prompt > above else _PRICES.get(name)
