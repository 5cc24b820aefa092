"""The lock file of an injection: what was put where, from which item, and if it still is so."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from core.errors import StorageError
from core.files import read_regular
from core.injection.layers import Layer
from core.paths import SessionPaths

SCHEMA = "tb-injection/1"
LOCK_LIMIT_BYTES = 262_144
FILE_LIMIT_BYTES = 65_536
_ENTRY_LIMIT = 2_000
_ITEM = re.compile(r"(?:agents/[a-z0-9-]+\.md|skills/[a-z0-9-]+/SKILL\.md)")


class LockedFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """One injected file: `path` below `.claude`, `source` below its layer of the library."""

    path: str
    source: str
    sha256: str
    layer: Layer = Layer.SHIPPED

    @property
    def is_item(self) -> bool:
        """Whether it is an agent or skill, the only files that an injection ever removes."""
        return _ITEM.fullmatch(self.path) is not None


class InjectionLock(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What one injection did."""

    schema: str = SCHEMA
    product_version: str
    host_provider: str
    site_type: str
    rules: tuple[str, ...]
    files: tuple[LockedFile, ...]

    def encode(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class DifferenceKind(StrEnum):
    """How a session's `.claude` is not what was injected."""

    MISSING = "missing"
    CHANGED = "changed"
    ADDED = "added"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Difference:
    """One file that differs; `path` is relative to `.claude`."""

    path: str
    kind: DifferenceKind


def read_lock(paths: SessionPaths) -> InjectionLock | None:
    """The lock of the session's last injection; None before the first.

    Raises:
        StorageError: There is one and it cannot be read.
    """
    lock = paths.injection_lock
    content = read_regular(paths.root, _below_root(paths, lock.name), limit=LOCK_LIMIT_BYTES)
    if content is None and not os.path.lexists(lock):
        return None
    try:
        return msgspec.json.decode(content or b"", type=InjectionLock)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"The injection lock {lock} cannot be read.",
            remedy="Inject the session again: that writes a new one.",
        ) from error


def differences(paths: SessionPaths, lock: InjectionLock) -> list[Difference]:
    """What in `.claude` is not as the lock says. Links count as changed, never as their target."""
    expected = {file.path: file.sha256 for file in lock.files}
    found = set(found_files(paths))
    result = [
        Difference(path=path, kind=kind)
        for path, sha256 in expected.items()
        if (kind := _judge(paths, path, sha256, is_there=path in found)) is not None
    ]
    added = found - expected.keys() - {paths.injection_lock.name}
    result += [Difference(path=path, kind=DifferenceKind.ADDED) for path in added]
    return sorted(result)


def _judge(paths: SessionPaths, path: str, sha256: str, *, is_there: bool) -> DifferenceKind | None:
    if not is_there:
        return DifferenceKind.MISSING
    content = read_regular(paths.root, _below_root(paths, path), limit=FILE_LIMIT_BYTES)
    if content is None or hashlib.sha256(content).hexdigest() != sha256:
        return DifferenceKind.CHANGED
    return None


def found_files(paths: SessionPaths) -> Iterator[str]:
    """Everything below `.claude` that is not a folder; stops after a bounded number of entries."""
    count = 0
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(paths.claude / folder) as entries:
                for entry in entries:
                    count += 1
                    if count > _ENTRY_LIMIT:
                        return
                    path = f"{folder}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{path}/")
                    else:
                        yield path
        except (FileNotFoundError, NotADirectoryError):
            continue


def _below_root(paths: SessionPaths, path: str) -> str:
    return f"{paths.claude.name}/{path}"
