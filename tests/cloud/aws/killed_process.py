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

from core.hosts.aws import static_host
from tests.cloud.aws.faults import FaultKind
from tests.cloud.aws.fixtures import AwsPlace
from tests.cloud.aws.histories import ACTS
from tests.cloud.aws.site_kit import opened_site

WARM = (boto3, obstore, static_host)
"""Loaded once, in the process that all of these are forked from."""
_LONGEST_S = 60

_context = multiprocessing.get_context("forkserver")


def die_during(place: AwsPlace, base: Path, act: str, number: int, kind: FaultKind) -> bool:
    """Perform the act on the site below `base` until it is killed; False where it was not."""
    _context.set_forkserver_preload([__name__])
    ours, theirs = _context.Pipe()
    process = _context.Process(
        target=_perform, args=(theirs, str(base), act, dict(place.environ)), daemon=True
    )
    process.start()
    assert process.pid is not None
    place.standin.faults.at(number, kind, pid=process.pid)
    ours.send("go")
    process.join(_LONGEST_S)
    return process.exitcode == -signal.SIGKILL


def _perform(go: Connection, base: str, name: str, environ: Mapping[str, str]) -> None:
    os.environ.update(environ)
    act = next(one for one in ACTS if one.name == name)
    with opened_site(Path(base)) as site:
        go.recv()
        act.perform(site, False)
