"""The library on the clouds: its `aws` commands and its kinds of resources are the hosts' own.

The commands run in the real AWS CLI against the strict stand-in, on sites that the hosts deployed
there; capitals in them are keys of the `deployment/config.json` that those deploys leave.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.hosts.registry import built_hosts
from core.models.user import HostProvider, SiteType
from core.publish.headers import is_hashed_asset
from core.store.documents import config_document
from tests.benchmarks import publish_peers
from tests.cloud.aws.fixtures import aws_certificates, aws_place, aws_server
from tests.cloud.aws.instance_place import InstancePlace, instance_place, instance_server
from tests.cloud.aws.instance_site import dynamic_site as aws_dynamic_site
from tests.cloud.aws.site_kit import CloudSite, PatientClock, cloud_site
from tests.cloud.aws.ssm import Ssm
from tests.cloud.azure.dynamic_sites import dynamic_site as azure_dynamic_site
from tests.cloud.azure.machine_fixtures import quick_place, quick_server
from tests.cloud.azure.machine_world import MachineWorld
from tests.cloud.azure.sessions import azure_site
from tests.contract.library_kit import Document, commands, documents, filled_in, injected_items
from tests.site.local_host_kit import local_site

__all__ = [
    "aws_certificates", "aws_place", "aws_server", "instance_place", "instance_server",
    "quick_place", "quick_server",
]  # fmt: skip

CLOCK = PatientClock()
ZONE = "sites.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCase:
    """A part of what it prints on a site of that type."""

    site_type: SiteType
    says: str


AWS_COMMANDS = {
    "aws s3 ls s3://BUCKET/ --recursive --profile AWS_PROFILE": AwsCase(
        site_type=SiteType.STATIC, says="index.html"
    ),
    "aws cloudfront get-distribution --id DISTRIBUTION_ID --profile AWS_PROFILE": AwsCase(
        site_type=SiteType.STATIC, says='"OriginAccessControlId": "E'
    ),
    "aws ec2 describe-instances --instance-ids INSTANCE_ID --region REGION --profile AWS_PROFILE":
    AwsCase(site_type=SiteType.DYNAMIC, says='"HttpTokens": "required"'),
    "aws ssm describe-instance-information --filters Key=InstanceIds,Values=INSTANCE_ID"
    " --region REGION --profile AWS_PROFILE": AwsCase(
        site_type=SiteType.DYNAMIC, says='"PingStatus": "Online"'
    ),
    "aws ssm start-session --target INSTANCE_ID --region REGION --profile AWS_PROFILE": AwsCase(
        site_type=SiteType.DYNAMIC, says="StartSession"
    ),
}  # fmt: skip

PLUGIN = """#!/bin/sh
[ "$1" = --version ] && exec echo 1.2.3
exec printf '%s\\n' "$@"
"""
"""The Session Manager plugin, which would talk to the instance, says what it was told."""


@pytest.fixture(scope="session")
def aws_program() -> Path:
    """The AWS CLI in an environment of its own, as the publish bench has it."""
    publish_peers._install("aws", publish_peers.PACKAGES["aws"])
    return publish_peers.PEERS / "aws" / "bin" / "aws"


@pytest.fixture
def aws_sites(instance_place: InstancePlace) -> InstancePlace:
    """An account where machines act the agent, and a Systems Manager that starts sessions."""
    instance_place.is_quick = True
    return instance_place


@contextmanager
def deployed(host_provider: HostProvider, site_type: SiteType, place: Any) -> Iterator[CloudSite]:
    """A site that its host has published on its stand-in."""
    with opened(host_provider, site_type, place) as site:
        if site_type is SiteType.STATIC:
            site.write("index.html", "<h1>one</h1>")
        site.publish()
        yield site


def opened(
    host_provider: HostProvider, site_type: SiteType, place: Any, settings: Mapping[str, str] = {}
) -> AbstractContextManager[CloudSite]:
    if host_provider is HostProvider.AZURE:
        assert isinstance(place, MachineWorld)
        is_static = site_type is SiteType.STATIC
        return azure_site(place, settings) if is_static else azure_dynamic_site(place, settings)
    is_static = site_type is SiteType.STATIC
    return cloud_site(settings, clock=CLOCK) if is_static else aws_dynamic_site(settings)


def configuration(site: CloudSite) -> dict[str, Any]:
    """`deployment/config.json` as it is after the deploy."""
    block = site.store.sessions.provider_block(site.key)
    return dict(config_document(site.session, block))


@pytest.mark.parametrize("command", AWS_COMMANDS)
def test_an_aws_command_answers_about_the_site_that_was_deployed(
    command: str, aws_program: Path, aws_sites: InstancePlace, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    case = AWS_COMMANDS[command]
    monkeypatch.setattr(Ssm, "on_StartSession", start_session, raising=False)
    plugin = tmp_path / "session-manager-plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    with deployed(HostProvider.AWS, case.site_type, aws_sites) as site:
        words = filled_in(command, configuration(site))
        assert words[0] == "aws"
        done = subprocess.run(
            [str(aws_program), *words[1:]], check=False, capture_output=True, text=True, timeout=60,
            env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert case.says in done.stdout, done.stdout


def start_session(ssm: Ssm, values: dict[str, Any]) -> dict[str, Any]:
    """What Systems Manager answers for an instance whose agent is there."""
    instance = ssm._region().instances[values["Target"]]
    assert instance.state == "running"
    return {"SessionId": "ana-1", "StreamUrl": "wss://loopback", "TokenValue": "t"}


def test_no_document_holds_a_command_of_a_program_that_no_test_runs() -> None:
    programs = {command.split()[0] for command in commands()}
    assert programs == {"tmux-builder", "aws", "grep"}


@pytest.mark.parametrize("site_type", SiteType)
def test_the_deployer_of_an_aws_site_names_what_the_host_makes(
    aws_sites: InstancePlace, site_type: SiteType
) -> None:
    with opened(HostProvider.AWS, site_type, aws_sites, {"domain.zone": ZONE}) as site:
        site.write("index.html", "<h1>one</h1>")
        assert_kinds(site)


@pytest.mark.parametrize("site_type", SiteType)
def test_the_deployer_of_an_azure_site_names_what_the_host_makes(
    quick_place: MachineWorld, site_type: SiteType
) -> None:
    with opened(HostProvider.AZURE, site_type, quick_place, {"domain.zone": ZONE}) as site:
        assert_kinds(site)


def assert_kinds(site: CloudSite) -> None:
    plan = site.host.plan(site.request(site.take()))
    session = site.session
    assert named_kinds(session.host_provider, session.site_type) == {
        action.kind for action in plan.actions
    }


@pytest.mark.parametrize("site_type", SiteType)
def test_the_local_deployer_names_what_the_host_makes(site_type: SiteType) -> None:
    with local_site(site_type) as site:
        site.write("index.html", "one")
        site.write("Procfile", "web: python3 app.py\n")
        plan = site.host.plan(site.request(site.take()))
        kinds = {action.kind for action in plan.actions}
    assert named_kinds(HostProvider.LOCAL, site_type) == kinds


def named_kinds(host_provider: HostProvider, site_type: SiteType) -> set[str]:
    """Words with an underscore that the deployer names as what a deploy makes, and single ones."""
    text = deployer(host_provider, site_type)
    (deploy,) = [part for part in text.text.split("\n\n") if "tmux-builder deploy" in part]
    step = Document(file=text.file, text=deploy)
    keys = {"site_type", "host_provider", "distribution_id"}
    return {span for span in step.spans() if "_" in span and span.isidentifier()} - keys


def deployer(host_provider: HostProvider, site_type: SiteType) -> Document:
    (found,) = [
        one
        for one in injected_items(host_provider, site_type)
        if one.file.startswith("agents/deployers/")
    ]
    return found


def test_every_host_has_a_rule_and_one_deployer_that_knows_it() -> None:
    deployers = {pair: deployer(*pair) for pair in built_hosts()}
    assert set(deployers) == {(host, site) for host in HostProvider for site in SiteType}
    for (host_provider, site_type), found in deployers.items():
        assert f"`host_provider` must be `{host_provider}`" in " ".join(found.text.split())
        if host_provider is not HostProvider.LOCAL:
            assert f"`site_type` `{site_type}`" in " ".join(found.text.split())


def test_a_name_that_is_said_to_be_kept_for_a_year_is() -> None:
    names = {
        span
        for one in documents()
        for span in one.spans()
        if span.count(".") == 2 and span.rpartition(".")[2] in {"js", "css", "webp"}
    }
    assert names
    assert all(is_hashed_asset(name) for name in names), names
