"""Every known way out of a session, tried on the real product: none of them may work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.sandbox import has_bubblewrap
from tests.escape_field import Field, escape_field, run_inside, run_on_the_product

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.skipif(not has_bubblewrap(), reason="bubblewrap cannot make a sandbox here"),
]

MISTAKES = ("NameError", "TypeError", "KeyError", "AttributeError", "SyntaxError", "ValueError")
"""An attack that fails by these was never made."""


@pytest.fixture(scope="module", params=["open", pytest.param("limited", marks=pytest.mark.deep)])
def field(request: pytest.FixtureRequest) -> Iterator[Field]:
    with escape_field(limited=request.param == "limited") as made:
        yield made


def test_no_attack_gets_out_of_the_pane(field: Field) -> None:
    found = run_inside(field)
    assert len(found) >= (95 if field.limited else 78)
    assert [name for name, came in found.items() if came["why"].startswith(MISTAKES)] == []
    assert [name for name, came in found.items() if came["worked"]] == []


def test_no_attack_moves_the_product(field: Field) -> None:
    """The attacker's program of the test before still stands in its pane."""
    found = run_on_the_product(field)
    assert [name for name, worked in found.items() if worked] == []
