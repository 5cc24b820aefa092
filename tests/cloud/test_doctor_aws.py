"""The doctor's look at AWS, against an account on loopback."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.config import load_settings
from core.services.doctor import CheckState, DoctorCheck, DoctorReport
from tests.cloud.aws.faults import FaultKind
from tests.unit.services_place import make_place

if TYPE_CHECKING:
    from tests.cloud.aws.fixtures import AwsPlace


def looked(folder: Path, **settings: str) -> DoctorReport:
    chosen = {name.replace("_", "."): value for name, value in settings.items()}
    place = make_place(folder, settings=load_settings(chosen, {"HOME": str(folder)}, folder))
    return place.services.doctor.run({"aws"})


def check(report: DoctorReport, name: str) -> DoctorCheck:
    return next(one for one in report.checks if one.id in {f"aws.{name}", name})


def states(report: DoctorReport) -> dict[str, CheckState]:
    return {one.id: one.state for one in report.checks if one.id.startswith("aws.")}


def test_a_good_login_shows_its_account_and_makes_nothing(
    aws_place: AwsPlace, tmp_path: Path
) -> None:
    report = looked(tmp_path)
    assert set(states(report).values()) == {CheckState.OK}
    assert check(report, "login").found == "account 123456789012"
    assert check(report, "profile").found == "sunwaretech"
    assert check(report, "clock").state is CheckState.OK
    reading = {"GetCallerIdentity", "ListOriginAccessControls", "GetResources"}
    assert {name for _service, name in aws_place.standin.calls} <= reading
    assert aws_place.standin.calls["sts", "GetCallerIdentity"] == 1


def test_a_missing_profile_is_one_fault_with_the_names_there_are(
    aws_place: AwsPlace, tmp_path: Path
) -> None:
    report = looked(tmp_path, aws_profile="acme")
    assert check(report, "profile").found == "AWS profile 'acme' not found (have: sunwaretech)"
    assert check(report, "profile").fix == "aws configure sso --profile acme"
    failed = [name for name, state in states(report).items() if state is CheckState.FAIL]
    assert failed == ["aws.profile"]
    assert not report.ready["aws"]
    assert aws_place.standin.calls == {}


def test_an_expired_login_says_how_to_renew_it(aws_place: AwsPlace, tmp_path: Path) -> None:
    aws_place.sts.expired = True
    try:
        report = looked(tmp_path)
    finally:
        aws_place.sts.expired = False
    login = check(report, "login")
    assert (login.state, login.need) == (CheckState.FAIL, "a login")
    assert "aws sso login --profile sunwaretech" in (login.fix or "")
    assert check(report, "rights").state is CheckState.SKIP
    assert check(report, "reach").state is CheckState.OK


def test_a_login_without_rights_is_told_of_the_policy(aws_place: AwsPlace, tmp_path: Path) -> None:
    aws_place.standin.faults.at(2, FaultKind.FORBIDDEN)
    report = looked(tmp_path)
    rights = check(report, "rights")
    assert rights.state is CheckState.FAIL
    assert "tmux-builder doctor --policy aws" in (rights.fix or "")


@pytest.mark.parametrize(
    ("region", "said"), [("eu-mars-1x", "no region"), ("us-gov-west-1", "partition")]
)
def test_a_region_that_cannot_hold_sites_is_refused(
    aws_place: AwsPlace, tmp_path: Path, region: str, said: str
) -> None:
    place_of = check(looked(tmp_path, aws_region=region), "region")
    assert place_of.state is CheckState.FAIL
    assert said in place_of.found
    assert "aws.region" in (place_of.fix or "")


def test_endpoints_that_nobody_answers_on_are_named(
    aws_place: AwsPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", dead)
        report = looked(tmp_path)
    reach = check(report, "reach")
    assert reach.state is CheckState.FAIL
    assert f"s3 at {dead}" in reach.found
    assert "cloudfront" not in reach.found
    assert "HTTPS_PROXY" in (reach.fix or "")
