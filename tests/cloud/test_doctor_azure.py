"""The doctor's look at Azure, against a subscription on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.config import load_settings
from core.services.doctor import CheckState, DoctorCheck, DoctorReport
from tests.unit.services_place import make_place

if TYPE_CHECKING:
    from tests.cloud.azure.world import AzureWorld


def looked(world: AzureWorld, folder: Path, **settings: object) -> DoctorReport:
    """The report for this Azure, whose management plane is its place of logins too."""
    cloud = {**world.setting, "authority": world.arm.url}
    chosen = {f"azure.{name}": value for name, value in {"cloud": cloud, **settings}.items()}
    place = make_place(folder, settings=load_settings(chosen, {"HOME": str(folder)}, folder))
    return place.services.doctor.run({"azure"})


def check(report: DoctorReport, name: str) -> DoctorCheck:
    return next(one for one in report.checks if one.id in {f"azure.{name}", name})


def states(report: DoctorReport) -> dict[str, CheckState]:
    checks = (one for one in report.checks if one.id.startswith("azure."))
    return {one.id.removeprefix("azure."): one.state for one in checks}


def test_a_good_login_shows_its_subscription_and_makes_nothing(
    azure_place: AzureWorld, tmp_path: Path
) -> None:
    before = azure_place.ids()
    report = looked(azure_place, tmp_path)
    found = states(report)
    assert found.pop("providers") is CheckState.WARN
    assert set(found.values()) == {CheckState.OK}
    subscription_id = azure_place.state.subscription_id
    assert check(report, "sub").found == f"sunwaretech is {subscription_id}"
    assert azure_place.ids() == before


def test_providers_of_dynamic_sites_are_only_warned_about(
    azure_place: AzureWorld, tmp_path: Path
) -> None:
    providers = check(looked(azure_place, tmp_path), "providers")
    assert "Microsoft.Compute" in providers.found
    assert "Microsoft.Storage" not in providers.found
    assert providers.fix == "az provider register -n Microsoft.Compute"


def test_without_a_login_there_is_one_fault_and_its_fix(
    azure_place: AzureWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in azure_place.environ():
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    report = looked(azure_place, tmp_path)
    assert check(report, "login").found == "Azure is not logged in"
    assert "az login" in (check(report, "login").fix or "")
    failed = [name for name, state in states(report).items() if state is CheckState.FAIL]
    assert failed == ["login"]


def test_a_subscription_that_the_login_does_not_see_is_named(
    azure_place: AzureWorld, tmp_path: Path
) -> None:
    report = looked(azure_place, tmp_path, subscription="acme")
    assert check(report, "sub").state is CheckState.FAIL
    assert "'acme'" in check(report, "sub").found
    assert check(report, "location").state is CheckState.SKIP
    assert not report.ready["azure"]


@pytest.mark.parametrize(
    ("location", "state"), [("eastus", "ok"), ("East US", "ok"), ("marsnorth", "fail")]
)
def test_a_location_is_one_that_azure_offers(
    azure_place: AzureWorld, tmp_path: Path, location: str, state: str
) -> None:
    found = check(looked(azure_place, tmp_path, location=location), "location")
    assert found.state == state
    assert state == "ok" or "azure.location" in (found.fix or "")


def test_a_cloud_without_a_management_plane_is_one_sentence(tmp_path: Path) -> None:
    settings = load_settings({"azure.cloud": {"ca": "x"}}, {"HOME": str(tmp_path)}, tmp_path)
    report = make_place(tmp_path, settings=settings).services.doctor.run({"azure"})
    assert set(states(report).values()) == {CheckState.FAIL}
    assert "azure.cloud" in check(report, "login").found
