"""What tokens and resources cost: the two price tables, and sums in which something is unknown."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import core.hosts.aws
import core.hosts.azure
from core.cloud.model_prices import usd_of
from core.cloud.prices import EC2_DISK_GB, EC2_TYPE, usd_per_day
from core.models.cost import Spending, TokenCounts

MILLION = 1_000_000
EACH = TokenCounts(
    input_tokens=MILLION, output_tokens=MILLION, cache_read_tokens=MILLION,
    cache_write_tokens=MILLION,
)  # fmt: skip
KIND_NAMES = {
    "BUCKET", "DISTRIBUTION", "FUNCTION", "ACCESS_CONTROL", "CERTIFICATE", "INSTANCE",
    "SECURITY_GROUP", "PARAMETER", "ADDRESS", "RECORD", "ROLE", "PROFILE", "NETWORK", "INTERFACE",
    "MACHINE", "VAULT", "DOMAIN", "GROUP", "ACCOUNT", "ENDPOINT", "ROUTE",
}  # fmt: skip
SIZED = {"ec2_instance": EC2_TYPE, "virtual_machine": "Standard_B2ats_v2"}


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("claude-opus-5-5", 4 + 20 + 0.2 + 5),
        ("claude-opus-5-5[1m]", 4 + 20 + 0.2 + 5),
        ("claude-opus-5", 5 + 25 + 0.5 + 6.25),
        ("claude-opus-4-5-20251101", 5 + 25 + 0.5 + 6.25),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", 15 + 75 + 1.5 + 18.75),
        ("claude-opus-4@20250514", 15 + 75 + 1.5 + 18.75),
        ("claude-opus-4-20250514", 15 + 75 + 1.5 + 18.75),
        ("claude-sonnet-5-5", 2 + 10 + 0.1 + 2.5),
        ("claude-sonnet-4-6", 3 + 15 + 0.3 + 3.75),
        ("claude-3-7-sonnet-20250219", 3 + 15 + 0.3 + 3.75),
        ("claude-3-5-haiku-20241022", 0.8 + 4 + 0.08 + 1),
        ("claude-haiku-4-5", 1 + 5 + 0.1 + 1.25),
    ],
)
def test_a_million_tokens_of_each_kind_cost_what_the_list_says(model: str, usd: float) -> None:
    assert usd_of(model, EACH) == pytest.approx(usd)


@pytest.mark.parametrize(
    "model", ["", "claude", "claude-scripted", "claude-opus-9", "claude-opus-4-99", "gpt-5", "\0"]
)
def test_a_model_that_is_not_in_the_list_has_no_price(model: str) -> None:
    assert usd_of(model, EACH) is None


def test_a_cache_that_is_kept_for_an_hour_costs_more_to_write() -> None:
    written = TokenCounts(cache_write_tokens=MILLION)
    assert usd_of("claude-opus-5-5", written, hour_writes=MILLION) == pytest.approx(8)
    assert usd_of("claude-opus-5-5", written, hour_writes=9 * MILLION) == pytest.approx(8)


def test_a_long_prompt_of_the_smallest_model_costs_more() -> None:
    short, long = TokenCounts(input_tokens=100_000), TokenCounts(input_tokens=100_001)
    assert usd_of("claude-haiku-5-5", short) == pytest.approx(0.01)
    assert usd_of("claude-haiku-5-5", long) == pytest.approx(0.0500005)


def test_unknown_stays_unknown_only_where_nothing_is_known() -> None:
    unknown = Spending(tokens=TokenCounts(input_tokens=5), usd=None, is_complete=False)
    known = Spending(tokens=TokenCounts(input_tokens=1), usd=0.5)
    assert (Spending() + unknown).usd is None
    assert (unknown + known).usd == 0.5
    assert not (unknown + known).is_complete
    assert (unknown + known).tokens.input_tokens == 6
    assert sum([known, known], Spending()).usd == 1.0


def test_every_kind_that_a_host_makes_has_a_price_or_a_stated_zero() -> None:
    kinds = {"local_site"}
    for package in (core.hosts.aws, core.hosts.azure):
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            kinds |= {
                value for name in KIND_NAMES
                if isinstance(value := vars(module).get(name), str) and "_" in value
            }  # fmt: skip
    assert {"frontdoor_profile", "ec2_instance", "ssm_parameter", "acm_certificate"} <= kinds
    assert not {kind for kind in kinds if usd_per_day(kind, SIZED.get(kind)) is None}


def test_what_the_estimates_take_for_granted_is_what_the_hosts_make() -> None:
    instance = importlib.import_module("core.hosts.aws.instance")
    sizes = importlib.import_module("core.hosts.azure.vm_sizes")
    assert (EC2_TYPE, EC2_DISK_GB) == (instance.INSTANCE_TYPE, instance.DISK_GB)
    assert all(usd_per_day("virtual_machine", size) for size in sizes.SIZES)
