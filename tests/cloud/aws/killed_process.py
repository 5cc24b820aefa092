"""A process of its own that performs one act, and is killed at a chosen call of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import boto3
import obstore

from core.hosts.aws import dynamic_host, static_host
from core.models.user import SiteType
from tests.cloud.aws import histories, instance_histories
from tests.cloud.aws.faults import FaultKind
from tests.cloud.aws.fixtures import AwsPlace
from tests.cloud.aws.site_kit import opened_site

WARM = (boto3, obstore, dynamic_host, static_host)
"""Loaded once, in the process that all of these are forked from."""
_LONGEST_S = 60
_ACTS = {SiteType.STATIC: histories.ACTS, SiteType.DYNAMIC: instance_histories.ACTS}

_context = multiprocessing.get_context("forkserver")


def die_during(
    place: AwsPlace, base: Path, act: str, number: int, kind: FaultKind,
    site_type: SiteType = SiteType.STATIC, settings: Mapping[str, object] | None = None,
) -> bool:  # fmt: skip
    """Perform the act on the site below `base` until it is killed; False where it was not."""
    _context.set_forkserver_preload([__name__])
    ours, theirs = _context.Pipe()
    process = _context.Process(
        target=_perform, daemon=True,
        args=(theirs, str(base), act, dict(place.environ), site_type, dict(settings or {})),
    )  # fmt: skip
    process.start()
    assert process.pid is not None
    place.standin.faults.at(number, kind, pid=process.pid)
    ours.send("go")
    process.join(_LONGEST_S)
    return process.exitcode == -signal.SIGKILL


def _perform(
    go: Connection, base: str, name: str, environ: Mapping[str, str], site_type: SiteType,
    settings: Mapping[str, object],
) -> None:  # fmt: skip
    os.environ.update(environ)
    act = next(one for one in _ACTS[site_type] if one.name == name)
    with opened_site(Path(base), settings, site_type) as site:
        go.recv()
        act.perform(site, False)
