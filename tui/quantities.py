"""Durations, ages, sizes and times of day in the few letters a panel has for them."""

from __future__ import annotations

from datetime import datetime


def duration(milliseconds: int | None) -> str:
    """`0.2s`, `41.7s`, `1m 48s`, `2h 05m`; empty for None."""
    if milliseconds is None:
        return ""
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m"


def age(then: datetime, now: datetime) -> str:
    """`8s`, `2m`, `3h`, `5d`, `7w`; a moment in the future counts as now."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size * (2 if unit == "w" else 1):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def size(size_bytes: int | None) -> str:
    """`912 B`, `18.4 kB`, `1.2 MB`; empty for None."""
    if size_bytes is None:
        return ""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 999_950:
        return f"{size_bytes / 1000:.1f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def time_of_day(instant: datetime | None, *, seconds: bool = False) -> str:
    """Local time, since a person reads it."""
    if instant is None:
        return ""
    return instant.astimezone().strftime("%H:%M:%S" if seconds else "%H:%M")


def short_session(session_id: str) -> str:
    """`sess_20260112_142233` as `0112_142233`."""
    return session_id.removeprefix("sess_")[4:]


def dollars(amount: float | None) -> str:
    """`$1.02`, `<$0.01`; `unknown` for None, which is not the same as nothing."""
    if amount is None:
        return "unknown"
    return "<$0.01" if 0 < amount < 0.005 else f"${amount:,.2f}"
