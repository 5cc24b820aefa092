"""An AWS place for tests: the stand-in, a login for it, and what a client must be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.core.base_backend import BackendDict

from tests.cloud.aws.certificates import Certificates, make_certificates
from tests.cloud.aws.cloudfront import CloudFront
from tests.cloud.aws.edge import EdgeWorld
from tests.cloud.aws.identity import ACCOUNT, Sts
from tests.cloud.aws.s3 import S3
from tests.cloud.aws.standin import StandIn
from tests.cloud.aws.tagging import Tagging

PROFILE = "sunwaretech"


@dataclass(kw_only=True)
class AwsPlace:
    """One AWS account on loopback. `environ` is all that a client needs to find it."""

    standin: StandIn
    s3: S3
    cloudfront: CloudFront
    sts: Sts
    tagging: Tagging
    world: EdgeWorld
    certificates: Certificates
    environ: dict[str, str]

    @property
    def url(self) -> str:
        return self.standin.url

    def empty(self) -> None:
        """A new account at the same address: nothing is left of what was made or asked."""
        self.cloudfront.empty()
        self.s3.empty()
        BackendDict.reset()
        self.sts.account_id, self.sts.expired = ACCOUNT, False
        self.world.now_s = 0.0
        self.world.origins.clear()
        self.standin.faults.clear()
        self.standin.forget_calls()

    def close(self) -> None:
        self.empty()
        self.cloudfront.close()
        self.standin.stop()


def open_place(folder: Path, certificates: Certificates) -> AwsPlace:
    """A new, empty account; moto keeps its own in the process, so there is one at a time."""
    BackendDict.reset()
    world, sts, tagging = EdgeWorld(certificates), Sts(), Tagging()
    cloudfront = CloudFront(ACCOUNT, world.open)
    s3 = S3(ACCOUNT, lambda name: _is_origin(cloudfront, name))
    world.s3, world.cloudfront = s3, cloudfront
    tagging.sources += [
        s3.tagged,
        lambda region: _distributions(cloudfront) if region == "us-east-1" else {},
    ]
    standin = StandIn({"s3": s3, "cloudfront": cloudfront, "sts": sts, "tagging": tagging})
    standin.start()
    return AwsPlace(
        standin=standin, s3=s3, cloudfront=cloudfront, sts=sts, tagging=tagging, world=world,
        certificates=certificates, environ=_login(folder, standin.url, certificates),
    )  # fmt: skip


@pytest.fixture(scope="session")
def aws_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def aws_server(
    tmp_path_factory: pytest.TempPathFactory, aws_certificates: Certificates
) -> Iterator[AwsPlace]:
    """One server for all tests of a module."""
    place = open_place(tmp_path_factory.mktemp("aws"), aws_certificates)
    yield place
    place.close()


@pytest.fixture
def aws_place(aws_server: AwsPlace, own_account: Path, monkeypatch: pytest.MonkeyPatch) -> AwsPlace:
    """An empty account, and this process's environment pointing at it."""
    aws_server.empty()
    for name, value in aws_server.environ.items():
        monkeypatch.setenv(name, value)
    return aws_server


def _login(folder: Path, url: str, certificates: Certificates) -> dict[str, str]:
    config, credentials = folder / "config", folder / "credentials"
    config.write_text(f"[profile {PROFILE}]\nregion = us-east-1\n")
    credentials.write_text(
        f"[{PROFILE}]\naws_access_key_id = AKIASTANDIN\naws_secret_access_key = loopback\n"
    )
    return {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "REQUESTS_CA_BUNDLE": str(certificates.authority),
    }


def _is_origin(cloudfront: CloudFront, bucket: str) -> bool:
    return any(
        origin["DomainName"].startswith(f"{bucket}.s3.")
        for one in cloudfront.distributions.values()
        for origin in one.config["Origins"]["Items"]
    )


def _distributions(cloudfront: CloudFront) -> dict[str, dict[str, str]]:
    return {one.arn: one.tags for one in cloudfront.distributions.values()}
