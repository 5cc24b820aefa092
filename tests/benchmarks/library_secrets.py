"""`secrets_found`: secrets are planted, everything is done once, and every place is looked into.

The value is the number of places outside those where a secret was put on purpose. `places` says
which ones, by the name of the secret and never by its value.
"""

from __future__ import annotations

from tests.benchmarks.rows import Measure, Row, say
from tests.contract.secrets_run import IN_ENVIRONMENT, STORED, live


def _secrets_found(*, full: bool) -> list[Row]:
    places: list[str] = []
    for kind in (IN_ENVIRONMENT, STORED):
        life = live(kind)
        places += [f"{kind}: {place}" for place in life.found]
    for place in places:
        say(f"found: {place}")
    return [Row(name="secrets_found", value=len(places), unit="places", limit=0,
                peers={"places": places})]  # fmt: skip


MEASURE = Measure(rows=("secrets_found",), run=_secrets_found)
