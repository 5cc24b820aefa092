"""Logging in to Azure: which cloud, which subscription, who, and what a failure says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.cloud.azure import AzureCloud, AzureSubscription, azure_cloud
from core.errors import (
    BuilderError,
    CloudRefusedError,
    CloudUnreachableError,
    LimitReachedError,
    LoginNeededError,
    UsageError,
)
from tests.cloud.azure.arm_service import SUBSCRIPTION_ID
from tests.cloud.azure.faults import FaultKind
from tests.cloud.azure.tokens import PRINCIPAL
from tests.cloud.azure.world import AzureWorld

OTHER_ID = "99999999-4b5a-4968-8776-655443322110"


def subscription(world: AzureWorld, name: str = "sunwaretech") -> AzureSubscription:
    return AzureSubscription(name, world.cloud, world.clock)


def test_a_subscription_is_found_by_its_name_or_its_id(azure_place: AzureWorld) -> None:
    assert subscription(azure_place, "SunwareTech").subscription_id() == SUBSCRIPTION_ID
    assert subscription(azure_place, SUBSCRIPTION_ID).subscription_id() == SUBSCRIPTION_ID


def test_the_id_is_asked_for_once_in_five_minutes(azure_place: AzureWorld) -> None:
    found = subscription(azure_place)
    for _again in range(3):
        found.subscription_id()
    assert azure_place.calls.count("arm") == 1
    azure_place.clock.sleep(301)
    found.subscription_id()
    assert azure_place.calls.count("arm") == 2


def test_an_unknown_subscription_says_how_to_get_one(azure_place: AzureWorld) -> None:
    with pytest.raises(LoginNeededError, match="nobody's") as missing:
        subscription(azure_place, "nobody's").subscription_id()
    assert missing.value.code == "subscription_not_found"
    assert "az account list" in missing.value.remedy


def test_two_subscriptions_of_one_name_need_an_id(azure_place: AzureWorld) -> None:
    azure_place.arm.subscriptions.append((OTHER_ID, "sunwaretech"))
    with pytest.raises(UsageError) as ambiguous:
        subscription(azure_place).subscription_id()
    assert OTHER_ID in ambiguous.value.remedy
    assert subscription(azure_place, OTHER_ID).subscription_id() == OTHER_ID


def test_the_login_tells_who_it_is(azure_place: AzureWorld) -> None:
    assert subscription(azure_place).principal() == (PRINCIPAL, "ServicePrincipal")


def test_without_a_login_the_operator_is_told_to_log_in(azure_place: AzureWorld) -> None:
    azure_place.identity.logged_in = False
    with pytest.raises(LoginNeededError) as needed:
        subscription(azure_place).subscription_id()
    assert "az login" in needed.value.remedy


@pytest.mark.parametrize(
    ("kind", "expected", "hint"),
    [
        (FaultKind.REFUSED, CloudRefusedError, "doctor --policy azure"),
        (FaultKind.DARK, CloudUnreachableError, "Check the network"),
    ],
)
def test_a_failure_becomes_an_error_with_a_way_out(
    azure_place: AzureWorld, kind: FaultKind, expected: type[BuilderError], hint: str
) -> None:
    azure_place.calls.begin((0, kind))
    with pytest.raises(expected) as failed:
        subscription(azure_place).subscription_id()
    assert hint in failed.value.remedy


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(FaultKind.BUSY, LimitReachedError), (FaultKind.UNAVAILABLE, CloudUnreachableError)],
)
def test_a_fault_that_stays_is_told_after_a_few_tries(
    azure_place: AzureWorld, kind: FaultKind, expected: type[BuilderError]
) -> None:
    azure_place.calls.begin((0, kind), lasting=True)
    with pytest.raises(expected):
        subscription(azure_place).subscription_id()
    assert azure_place.calls.count("arm") == 4


@pytest.mark.parametrize("kind", [FaultKind.BUSY, FaultKind.UNAVAILABLE, FaultKind.DROPPED])
def test_a_passing_fault_is_not_noticed(azure_place: AzureWorld, kind: FaultKind) -> None:
    azure_place.calls.begin((0, kind))
    assert subscription(azure_place).subscription_id() == SUBSCRIPTION_ID


def test_a_management_plane_with_another_certificate_is_not_believed(
    azure_place: AzureWorld,
) -> None:
    stranger = AzureCloud(arm=azure_place.arm.url)
    with pytest.raises(CloudUnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        AzureSubscription("sunwaretech", stranger, azure_place.clock).subscription_id()


def test_each_cloud_has_its_own_management_plane_and_scope() -> None:
    assert azure_cloud("public").scope == "https://management.azure.com/.default"
    government = azure_cloud("usgov")
    assert government.arm == "https://management.usgovcloudapi.net"
    assert government.authority == "https://login.microsoftonline.us"
    assert azure_cloud("china").scope == "https://management.chinacloudapi.cn/.default"


def test_a_cloud_of_ones_own_is_a_table() -> None:
    table = {"arm": "https://arm.example/", "blob": "https://{account}.blob.example", "ca": "/a"}
    cloud = azure_cloud(table)
    assert (cloud.arm, cloud.ca) == ("https://arm.example", Path("/a"))
    assert cloud.blob_endpoint("acme", "https://x.example") == "https://acme.blob.example"
    assert azure_cloud({"arm": "https://a"}).blob_endpoint("acme", "https://x") == "https://x"


@pytest.mark.parametrize("table", [{}, {"arm": "http://arm.example"}])
def test_a_cloud_of_ones_own_needs_a_management_plane_with_tls(table: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="management plane"):
        azure_cloud(table)


def test_loading_the_module_loads_no_sdk() -> None:
    probe = (
        "import sys, core.cloud.azure, core.hosts.azure_static; print('azure.core' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "False"
