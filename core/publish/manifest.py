"""A site by content: the release's id and what differs between two releases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from core.models.release import Release, ReleaseFile

ID_LENGTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Paths that a publish writes and removes."""

    changed: tuple[str, ...]
    deleted: tuple[str, ...]


def release_id_of(files: Iterable[ReleaseFile]) -> str:
    """The id of exactly these files: same paths, bytes and executable bits, same id."""
    lines = [
        f"{file.path}\0{file.sha256}\0{int(file.executable)}\n"
        for file in sorted(files, key=lambda one: one.path.encode())
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:ID_LENGTH]


def difference(previous: Release | None, release: Release) -> Difference:
    """What changes when `release` takes the place of `previous`."""
    before = {} if previous is None else {file.path: _content(file) for file in previous.files}
    after = {file.path: _content(file) for file in release.files}
    return Difference(
        changed=tuple(path for path, content in after.items() if before.get(path) != content),
        deleted=tuple(path for path in before if path not in after),
    )


def _content(file: ReleaseFile) -> tuple[str, bool]:
    return file.sha256, file.executable
