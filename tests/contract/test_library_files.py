"""Every file that the library's documents name is there after a deploy, on each host and type.

The whole product runs: worker, host, checks and browser; the clouds are the strict stand-ins. What
stands in `source/` is made of the documents' own examples.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.config import SETTINGS
from core.models.session import SessionKey
from core.models.user import HostProvider, SiteType
from tests.cloud.aws.fixtures import AwsPlace, aws_certificates, aws_place, aws_server
from tests.cloud.aws.instance_place import InstancePlace, instance_place, instance_server
from tests.cloud.azure.machine_fixtures import machine_server
from tests.cloud.azure.machine_world import MachineWorld
from tests.contract.library_examples import (
    GUEST_BOOK_TEST,
    example_app,
    example_site,
    in_shell,
    menu_test,
    put,
    put_test,
)
from tests.contract.library_kit import injected_items
from tests.contract.loop_kit import Loop, running_loop

__all__ = [
    "aws_certificates", "aws_place", "aws_server", "instance_place", "instance_server",
    "machine_server",
]  # fmt: skip
pytestmark = [pytest.mark.tmux, pytest.mark.browser]

MADE_WHEN_WANTED = {"source/requirements.txt", "source/package.json"}
"""Only a program that needs packages has one of these."""

CLOUD_COMMANDS = {
    "tmux-builder deploy . --suffix x1": "https://",
    'grep -h "cache being emptied" logs/run-*.jsonl': '"paths":["/",',
}
"""Commands of the documents that mean something on a cloud only, with a part of their answer."""


@contextmanager
def cloud_loop(folder: Path, environ: Mapping[str, str], authority: Path) -> Iterator[Loop]:
    """The product with a cloud's login, and a browser that trusts the cloud's certificates."""
    trusting = folder / "chromium"
    trusting.write_text(f'#!/bin/sh\nexec {chromium()} --ignore-certificate-errors "$@"\n')
    trusting.chmod(0o755)
    added = {
        **environ, "REQUESTS_CA_BUNDLE": str(authority), "TMUX_BUILDER_CHROMIUM": str(trusting),
    }  # fmt: skip
    with running_loop(**added) as loop:
        yield loop


def chromium() -> str:
    """The system's browser; Playwright's own build lies in a home that no test sees."""
    names = (os.environ.get("TMUX_BUILDER_CHROMIUM"), "chromium", "chromium-browser")
    found = [path for name in (*names, "google-chrome") if name and (path := shutil.which(name))]
    assert found, "No Chromium on the path: apt-get install chromium"
    return found[0]


def new_site(loop: Loop, host_provider: HostProvider, site_type: SiteType) -> SessionKey:
    """A session with the site of the examples; nothing is deployed."""
    key = loop.session(host_provider=host_provider, site_type=site_type)
    is_static = site_type is SiteType.STATIC
    put(loop, key, example_site() if is_static else example_app())
    put_test(loop, key, menu_test() if is_static else GUEST_BOOK_TEST)
    return key


@pytest.mark.parametrize(
    "site_type", [SiteType.STATIC, pytest.param(SiteType.DYNAMIC, marks=pytest.mark.deep)]
)
def test_every_named_file_is_there_on_the_local_host(site_type: SiteType) -> None:
    with running_loop() as loop:
        key = new_site(loop, HostProvider.LOCAL, site_type)
        loop.run(key)
        assert_named(loop, key, HostProvider.LOCAL, site_type)


@pytest.mark.deep
def test_every_named_file_is_there_after_a_static_deploy_to_aws(
    aws_place: AwsPlace, tmp_path: Path
) -> None:
    authority = aws_place.certificates.authority
    with cloud_loop(tmp_path, aws_place.environ, authority) as loop:
        key = new_site(loop, HostProvider.AWS, SiteType.STATIC)
        deploy, log = CLOUD_COMMANDS
        assert_answers(loop, key, deploy)
        assert "-x1-" in configuration(loop, key)["aws"]["bucket"]
        assert_named(loop, key, HostProvider.AWS, SiteType.STATIC)
        put(loop, key, {"index.html": example_site()["index.html"] + b"<!-- new -->\n"})
        assert in_shell(loop, key, "tmux-builder deploy").returncode == 0
        assert_answers(loop, key, log)


@pytest.mark.deep
def test_every_named_file_is_there_after_a_dynamic_deploy_to_aws(
    instance_place: InstancePlace, tmp_path: Path
) -> None:
    aws = instance_place.aws
    with cloud_loop(tmp_path, aws.environ, aws.certificates.authority) as loop:
        key = new_site(loop, HostProvider.AWS, SiteType.DYNAMIC)
        loop.run(key)
        assert_named(loop, key, HostProvider.AWS, SiteType.DYNAMIC)


@pytest.mark.deep
@pytest.mark.parametrize("site_type", SiteType)
def test_every_named_file_is_there_after_a_deploy_to_azure(
    machine_server: MachineWorld, tmp_path: Path, site_type: SiteType
) -> None:
    machine_server.reset()
    authority = machine_server.certificates.authority
    with cloud_loop(tmp_path, machine_server.environ(), authority) as loop:
        settings = loop.folder / "home" / ".config" / "tmux-builder" / "config.toml"
        settings.parent.mkdir(parents=True)
        rows = (f'{name} = "{value}"\n' for name, value in machine_server.setting.items())
        settings.write_text("".join(["[azure.cloud]\n", *rows]))
        key = new_site(loop, HostProvider.AZURE, site_type)
        loop.run(key)
        assert_named(loop, key, HostProvider.AZURE, site_type)


def assert_answers(loop: Loop, key: SessionKey, command: str) -> None:
    done = in_shell(loop, key, command)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{loop.worker_log()}"
    assert CLOUD_COMMANDS[command] in done.stdout, done.stdout


def assert_named(
    loop: Loop, key: SessionKey, host_provider: HostProvider, site_type: SiteType
) -> None:
    """Files, and the keys of the provider's block, of all that the session was given."""
    root, config = loop.paths(key).root, configuration(loop, key)
    given = list(injected_items(host_provider, site_type))
    assert len(given) > 10
    for one in given:
        for name in one.files():
            assert is_there(root, name), f"{one.file} names {name}"
        for provider, name in one.parameters():
            known = name in config.get(provider, {}) or f"{provider}.{name}" in SETTINGS
            assert known, f"{one.file} names {provider}.{name}"


def is_there(root: Path, name: str) -> bool:
    """On disk; of `source/`, which is Claude's to fill, what the examples of either type make."""
    if name.startswith("source/") and name != "source/":
        made = {f"source/{path}" for path in {**example_site(), **example_app()}}
        return name in MADE_WHEN_WANTED or any(path.startswith(name) for path in made)
    return any(root.glob(name.rstrip("/")))


def configuration(loop: Loop, key: SessionKey) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(loop.paths(key).config.read_text())
    return found
