"""How many of the known ways out of a session work, tried on the running product."""

from __future__ import annotations

from tests.benchmarks.rows import Measure, Row, say
from tests.escape_field import escape_field, run_inside, run_on_the_product


def measure(*, full: bool) -> list[Row]:
    worked: list[str] = []
    tried: set[str] = set()
    for limited in (False, True):
        with escape_field(limited=limited) as field:
            inside = run_inside(field)
            product = run_on_the_product(field)
        found = {name: came["worked"] for name, came in inside.items()} | product
        worked += sorted(name for name, has_worked in found.items() if has_worked)
        tried |= found.keys()
        say(f"  network {'limited' if limited else 'open'}: {len(found)} attacks, {worked}")
    return [
        Row(
            name="escapes_succeeded", value=len(worked), unit="attacks", limit=0,
            peers={"attacks": len(tried), "worked": worked},
        )
    ]  # fmt: skip


MEASURE = Measure(rows=("escapes_succeeded",), run=measure)
