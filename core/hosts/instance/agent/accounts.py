"""Whom the site's program and its build run as: a user of their own where root may choose."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any


def process_options(user: str | None) -> dict[str, Any]:
    """What a new process is started with, so that it runs as that user and nobody else."""
    if user is None or os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def give(folder: Path, user: str | None) -> None:
    """Let the user write a tree that the agent has just made; it holds no links yet."""
    if user is None or os.geteuid() != 0:
        return
    account = pwd.getpwnam(user)
    _own(folder, account.pw_uid, account.pw_gid)


def take_back(folder: Path, user: str | None) -> None:
    """Make a built tree root's again: the program that runs from it cannot change it."""
    if user is None or os.geteuid() != 0:
        return
    _own(folder, 0, 0)


def _own(folder: Path, uid: int, gid: int) -> None:
    for parent, _folders, names in os.walk(str(folder)):
        os.chown(parent, uid, gid, follow_symlinks=False)
        for name in names + _folders:
            os.chown(str(Path(parent, name)), uid, gid, follow_symlinks=False)
