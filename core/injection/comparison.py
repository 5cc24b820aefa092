"""A session's `.claude` against what the library would give it now; changes nothing.

The lock tells an older copy from a change by hand. It lies in the session's folder, so it counts
only while it is the one that the product wrote last.
"""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from core.errors import StorageError
from core.files import read_regular
from core.injection.inject import InjectionPlan, PlannedFile
from core.injection.lock import FILE_LIMIT_BYTES, LOCK_LIMIT_BYTES, found_files, read_lock
from core.paths import SessionPaths


class FileState(StrEnum):
    """How one file of `.claude` stands to the library."""

    UNCHANGED = "unchanged"
    OUTDATED = "outdated"
    """The library has another version now; the session's is what was injected."""
    CHANGED = "changed"
    """By hand: it is neither the library's nor what was injected."""
    MISSING = "missing"
    """The library gives it, the session has it not."""
    ADDED = "added"
    """By hand: neither the library nor a former injection put it there."""
    REMOVED = "removed"
    """A former injection put it there, the library gives it no more."""


_BY_HAND = frozenset({FileState.CHANGED, FileState.ADDED})


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ComparedFile:
    """One file; the names are the keys of the JSON document.

    Attributes:
        path: Relative to `.claude`.
        library_sha256: None where the library gives no such file.
        session_sha256: None where there is no such regular file of a readable size.
    """

    path: str
    state: FileState
    library_sha256: str | None
    session_sha256: str | None

    @property
    def is_by_hand(self) -> bool:
        return self.state in _BY_HAND


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Every file of both sides, sorted by path."""

    files: tuple[ComparedFile, ...]

    @property
    def is_current(self) -> bool:
        return all(file.state is FileState.UNCHANGED for file in self.files)

    @property
    def pending(self) -> tuple[ComparedFile, ...]:
        """What an update would write or remove."""
        return tuple(file for file in self.files if file.state is not FileState.UNCHANGED)

    @property
    def by_hand(self) -> tuple[ComparedFile, ...]:
        """What an update would take from a person."""
        return tuple(file for file in self.files if file.is_by_hand)


def compare(paths: SessionPaths, plan: InjectionPlan, lock_sha256: str | None) -> Comparison:
    """Every file of the session's `.claude` and of the plan.

    Args:
        paths: The session's folders.
        plan: What the library would give now.
        lock_sha256: Of the lock that the product wrote last; None where that was not recorded.
    """
    given = {file.path: file for file in plan.files}
    injected, lock_row = _injected(paths, lock_sha256)
    found = set(found_files(paths)) - {paths.injection_lock.name}
    rows = [
        _compare_file(paths, path, given.get(path), injected.get(path), is_there=path in found)
        for path in given.keys() | found
    ]
    if lock_row is not None:
        rows.append(lock_row)
    return Comparison(files=tuple(sorted(rows)))


def patch(paths: SessionPaths, plan: InjectionPlan, file: ComparedFile) -> str:
    """What an update would change in one file, as a unified diff; one line where it is no text."""
    given = next((one.content for one in plan.files if one.path == file.path), b"")
    has = read_regular(paths.root, _below_root(paths, file.path), limit=FILE_LIMIT_BYTES)
    if has is None and file.state is not FileState.MISSING:
        return f"{file.path} is no regular file of at most {FILE_LIMIT_BYTES} bytes\n"
    try:
        before, after = (has or b"").decode(), given.decode()
    except UnicodeDecodeError:
        return f"{file.path} is not text\n"
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True),
        fromfile=f"session/{file.path}", tofile=f"library/{file.path}",
    )  # fmt: skip
    return "".join(_ended(line) for line in lines)


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ no newline at the end\n"


def _injected(
    paths: SessionPaths, lock_sha256: str | None
) -> tuple[dict[str, str], ComparedFile | None]:
    """What the last injection wrote, by its lock; and a row where the lock is not ours."""
    name = paths.injection_lock.name
    content = read_regular(paths.root, _below_root(paths, name), limit=LOCK_LIMIT_BYTES)
    digest = None if content is None else hashlib.sha256(content).hexdigest()
    try:
        lock = read_lock(paths)
    except StorageError:
        lock = None
    is_ours = lock is not None and lock_sha256 in (None, digest)
    if lock is not None and is_ours:
        return {file.path: file.sha256 for file in lock.files}, None
    state = FileState.MISSING if content is None else FileState.CHANGED
    row = ComparedFile(path=name, state=state, library_sha256=None, session_sha256=digest)
    return {}, row


def _compare_file(
    paths: SessionPaths, path: str, given: PlannedFile | None, injected: str | None, *,
    is_there: bool,
) -> ComparedFile:  # fmt: skip
    content = read_regular(paths.root, _below_root(paths, path), limit=FILE_LIMIT_BYTES)
    has = None if content is None else hashlib.sha256(content).hexdigest()
    wanted = None if given is None else given.locked.sha256
    state = _state(wanted, injected, has, is_there=is_there)
    return ComparedFile(path=path, state=state, library_sha256=wanted, session_sha256=has)


def _state(
    wanted: str | None, injected: str | None, has: str | None, *, is_there: bool
) -> FileState:
    if not is_there:
        return FileState.MISSING
    if has is not None and has == wanted:
        return FileState.UNCHANGED
    if has is not None and has == injected:
        return FileState.OUTDATED if wanted is not None else FileState.REMOVED
    return FileState.ADDED if wanted is None and injected is None else FileState.CHANGED


def _below_root(paths: SessionPaths, path: str) -> str:
    return f"{paths.claude.name}/{path}"
