"""Whether a cloud's endpoints answer at all, and how far this computer's clock is from theirs."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from core.clock import Clock
from core.errors import AnswerIsNoError, CloudUnreachableError

ANSWER_S = 4.0
CLOCK_MINUTES = 5
"""AWS refuses signatures that are older; tokens of Azure begin to be refused there too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One endpoint: why it cannot be reached, or how many seconds this clock is ahead of its."""

    name: str
    url: str
    fault: str | None = None
    ahead_s: float | None = None


def reach(
    endpoints: Mapping[str, str], clock: Clock, *, ca: str | None = None
) -> tuple[Reached, ...]:
    """Ask each URL once, all at the same time. Any HTTP answer counts, also a refusal.

    Args:
        endpoints: URLs by the names that are shown.
        ca: A file of certificates to trust instead of the system's.
    """
    with ThreadPoolExecutor(len(endpoints)) as pool:
        asked = [pool.submit(_ask, name, url, clock, ca) for name, url in endpoints.items()]
        return tuple(one.result() for one in asked)


def require_reached(found: tuple[Reached, ...]) -> str:
    """What was reached, in words.

    Raises:
        CloudUnreachableError: Something did not answer.
    """
    faults = [one for one in found if one.fault is not None]
    if faults:
        words = "; ".join(f"{one.name} at {one.url}: {one.fault}" for one in faults)
        raise CloudUnreachableError(
            f"No answer from {words}.", remedy="Check the network and HTTPS_PROXY."
        )
    return f"{', '.join(one.name for one in found)} answer"


def require_clock(found: tuple[Reached, ...]) -> str:
    """How this clock stands beside the cloud's.

    Raises:
        AnswerIsNoError: It is more than five minutes off, so that logins would be refused.
    """
    furthest = max((one.ahead_s for one in found if one.ahead_s is not None), key=abs, default=0.0)
    if abs(furthest) > CLOCK_MINUTES * 60:
        way = "fast" if furthest > 0 else "slow"
        raise AnswerIsNoError(
            f"The clock is {abs(furthest) / 60:.0f} min {way}, so that logins are refused.",
            remedy="sudo timedatectl set-ntp true",
        )
    return f"within {CLOCK_MINUTES} min of the cloud's"


def _ask(name: str, url: str, clock: Clock, ca: str | None) -> Reached:
    import requests  # noqa: PLC0415 - heavy, on use only

    try:
        answer = requests.get(
            url, timeout=ANSWER_S, allow_redirects=False, stream=True, verify=ca or True
        )
    except requests.RequestException as error:
        return Reached(name=name, url=url, fault=type(error).__name__)
    with answer:
        return Reached(name=name, url=url, ahead_s=_ahead_s(answer.headers.get("Date"), clock))


def _ahead_s(date: str | None, clock: Clock) -> float | None:
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return None if theirs.tzinfo is None else (clock.now() - theirs).total_seconds()
