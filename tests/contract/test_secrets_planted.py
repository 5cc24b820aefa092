"""Planted secrets are nowhere but where they were put, after everything was done once."""

from __future__ import annotations

import pytest

from core.redaction import MASK
from tests.contract.loop_kit import needs_claude
from tests.contract.secrets_kit import new_secrets
from tests.contract.secrets_run import IN_ENVIRONMENT, STORED, Life, live

pytestmark = [*needs_claude, pytest.mark.browser]


@pytest.fixture(
    scope="module", params=[IN_ENVIRONMENT, pytest.param(STORED, marks=pytest.mark.deep)]
)
def life(request: pytest.FixtureRequest) -> Life:
    return live(request.param)


def test_the_token_reached_claude_and_the_things_that_fail_did_fail(life: Life) -> None:
    """Otherwise there was nothing to find."""
    assert any(key.startswith("sk-ant-") for key in life.keys)
    assert life.holders & {"claude.exe", "claude"}
    assert any("not logged in or its key is not valid" in said for said in life.failed)
    assert sum(MASK in said for said in life.failed) >= 2, life.failed


def test_no_planted_secret_is_in_a_file_a_text_an_argument_or_a_foreign_environment(
    life: Life,
) -> None:
    assert life.found == []


def test_the_search_sees_a_secret_in_each_of_its_forms() -> None:
    for one in new_secrets("sk-ant-api03").all():
        assert all(len(form) >= 8 for form in one.forms())
        assert one.value.encode() in one.forms()
