"""The login: one per profile and place, believed for minutes, read anew after that."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.cloud.aws import IDENTITY_LASTS_S, AwsAccount, open_account
from core.cloud.aws_errors import aws_errors
from core.errors import CloudUnreachableError, LoginNeededError
from tests.cloud.aws.fixtures import PROFILE, AwsPlace
from tests.cloud.aws.site_kit import PatientClock

ASKED = ("sts", "GetCallerIdentity")


def test_the_account_is_asked_for_once_in_a_while(aws_place: AwsPlace) -> None:
    clock = PatientClock()
    account = AwsAccount(PROFILE, "us-east-1", clock)
    assert {account.account_id() for _again in range(3)} == {"123456789012"}
    assert aws_place.standin.log == [ASKED]
    clock.sleep(IDENTITY_LASTS_S + 1)
    aws_place.sts.account_id = "210987654321"
    assert account.account_id() == "210987654321"


def test_a_profile_that_was_exchanged_is_noticed(aws_place: AwsPlace) -> None:
    clock = PatientClock()
    account = AwsAccount(PROFILE, "us-east-1", clock)
    account.account_id()
    Path(os.environ["AWS_CONFIG_FILE"]).write_text("")
    credentials = Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"])
    former = credentials.read_text()
    credentials.write_text("")
    clock.sleep(IDENTITY_LASTS_S + 1)
    with pytest.raises(LoginNeededError, match=PROFILE) as caught:
        account.account_id()
    assert f"--profile {PROFILE}" in caught.value.remedy
    credentials.write_text(former)
    assert account.account_id() == "123456789012"


def test_credentials_of_the_environment_do_not_stand_for_a_missing_profile(
    aws_place: AwsPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(LoginNeededError, match="nobody"):
        AwsAccount("nobody", "us-east-1", PatientClock()).account_id()
    assert not aws_place.standin.log


def test_one_account_is_shared_and_another_endpoint_is_another_one(aws_place: AwsPlace) -> None:
    clock = PatientClock()
    one = open_account(PROFILE, "us-east-1", clock, os.environ)
    assert open_account(PROFILE, "us-east-1", clock, os.environ) is one
    assert open_account(PROFILE, "eu-west-1", clock, os.environ) is not one
    assert open_account("other", "us-east-1", clock, os.environ) is not one
    elsewhere = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert open_account(PROFILE, "us-east-1", clock, elsewhere) is not one


def test_the_same_login_elsewhere_is_kept(aws_place: AwsPlace) -> None:
    account = AwsAccount(PROFILE, "us-east-1", PatientClock())
    assert account.elsewhere("us-east-1") is account
    assert account.elsewhere("eu-west-1") is account.elsewhere("eu-west-1")
    assert account.elsewhere("eu-west-1").client("s3").meta.region_name == "eu-west-1"


def test_a_region_knows_its_partition(aws_place: AwsPlace) -> None:
    account = AwsAccount(PROFILE, "us-east-1", PatientClock())
    assert account.partition() == "aws"
    assert account.partition("cn-north-1") == "aws-cn"


@contextmanager
def hanging_up() -> Iterator[str]:
    """A server that takes connections and never answers; ended by closing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_service_that_cannot_be_reached_is_told_as_such(
    aws_place: AwsPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hanging_up() as url:
        address = url
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    account = AwsAccount(PROFILE, "us-east-1", PatientClock())
    with pytest.raises(CloudUnreachableError, match="could not be reached"):
        account.account_id()


def test_an_answer_that_never_comes_ends_by_the_timeout(
    aws_place: AwsPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.cloud.aws._READ_TIMEOUT_S", 0.2)
    with hanging_up() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        account = AwsAccount(PROFILE, "us-east-1", PatientClock())
        with pytest.raises(CloudUnreachableError), aws_errors("list", PROFILE):
            account.client("s3").list_buckets()
