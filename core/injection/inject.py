"""Puts what a session's rule names into its `.claude` folder, in the form that Claude discovers.

Planned as data first, then written: a library that cannot keep its rule changes nothing. Running
it again changes nothing either, and mends what was changed in between.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from core.errors import StorageError
from core.files import read_regular, write_atomically
from core.injection.catalogue import ItemKind, read_catalogue
from core.injection.layers import Layer, LibrarySource, layered
from core.injection.lock import FILE_LIMIT_BYTES, InjectionLock, LockedFile, read_lock
from core.injection.problems import LibraryError
from core.injection.rules import Choice, choose, read_rules
from core.injection.templates import (
    SessionFacts,
    Template,
    fill_in,
    read_template,
    session_templates,
    values_for,
)
from core.paths import SessionPaths

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """One file to write: `path` below `.claude`, `source` below its layer of the library."""

    path: str
    source: str
    content: bytes
    mode: int = 0o600
    layer: Layer = Layer.SHIPPED

    @property
    def locked(self) -> LockedFile:
        digest = hashlib.sha256(self.content).hexdigest()
        return LockedFile(path=self.path, source=self.source, sha256=digest, layer=self.layer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """What a session's Claude is given, by the names it is announced under."""

    agents: tuple[str, ...]
    skills: tuple[str, ...]
    rules: tuple[str, ...]
    lock_sha256: str
    """Of the lock file: kept outside the session's folder, it proves the lock itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionPlan:
    """Everything that an injection would write."""

    files: tuple[PlannedFile, ...]
    lock: InjectionLock
    agents: tuple[str, ...]
    skills: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return sum(len(file.content) for file in self.files)


def plan_injection(library: LibrarySource, facts: SessionFacts) -> InjectionPlan:
    """What `inject` would write; changes nothing.

    Raises:
        LibraryError: A rule or a named item is missing or not valid, or the operator's layer
            holds what it may not.
    """
    catalogue = read_catalogue(library)
    if catalogue.forbidden:
        raise LibraryError(catalogue.forbidden[0])
    host_provider, site_type = facts.host_provider, facts.site_type
    all_rules = read_rules(library)
    choices = choose(all_rules, catalogue, host_provider, site_type)
    rules = tuple(rule.name for rule in all_rules if rule.matches(host_provider, site_type))
    values = values_for(facts, ", ".join(rules))
    items = [
        PlannedFile(
            path=c.item.target, source=c.item.file, content=c.item.content, layer=c.item.layer
        )
        for c in choices
    ]
    shipped = layered(library).shipped
    pages = [_plan_page(shipped, template, values) for template in session_templates(facts.mode)]
    files = tuple(sorted((*items, *pages), key=lambda file: file.path))
    lock = InjectionLock(
        product_version=facts.product_version,
        host_provider=facts.host_provider,
        site_type=facts.site_type,
        rules=rules,
        files=tuple(file.locked for file in files),
    )
    return InjectionPlan(
        files=files,
        lock=lock,
        agents=_names(choices, ItemKind.AGENT),
        skills=_names(choices, ItemKind.SKILL),
    )


def inject(library: LibrarySource, paths: SessionPaths, facts: SessionFacts) -> Injected:
    """Give the session exactly what its rule names; items of a former injection go.

    Raises:
        LibraryError: The library cannot keep the rule; nothing was written.
        StorageError: The session's folder cannot be written, or holds a link where a folder
            belongs.
    """
    plan = plan_injection(library, facts)
    former = _former_items(paths)
    _require_folder(paths.claude)
    _write_lock(paths, _joined(plan.lock, former))
    for file in plan.files:
        _write(paths, file)
    kept = {file.path for file in plan.files}
    for old in former:
        if old.path not in kept:
            _remove(paths, old)
    _write_lock(paths, plan.lock)
    logger.info(
        "library injected",
        extra={
            "user_id": facts.user_id,
            "session_id": facts.session_id,
            "host_provider": str(facts.host_provider),
            "files": len(plan.files),
        },
    )
    return Injected(
        agents=plan.agents,
        skills=plan.skills,
        rules=plan.lock.rules,
        lock_sha256=hashlib.sha256(plan.lock.encode()).hexdigest(),
    )


def remove_added(paths: SessionPaths, names: Iterable[str]) -> None:
    """Remove files of `.claude` that no injection put there; follows no link.

    Raises:
        StorageError: One cannot be removed.
    """
    for name in names:
        parents = [paths.claude / parent for parent in PurePosixPath(name).parents]
        if ".." in PurePosixPath(name).parts or any(folder.is_symlink() for folder in parents):
            continue
        target = paths.claude / name
        _unlink(target)
        _prune(paths, target.parent)


def _plan_page(library: Path, template: Template, values: Mapping[str, str]) -> PlannedFile:
    content = read_template(library, template)
    if template.is_filled_in:
        content = fill_in(template, content, values)
    return PlannedFile(
        path=template.target, source=template.source, content=content, mode=template.mode
    )


def _names(choices: Iterable[Choice], kind: ItemKind) -> tuple[str, ...]:
    return tuple(choice.item.name for choice in choices if choice.item.kind is kind)


def _former_items(paths: SessionPaths) -> tuple[LockedFile, ...]:
    """What earlier injections put there; a lock that cannot be read removes nothing."""
    with contextlib.suppress(StorageError):
        lock = read_lock(paths)
        if lock is not None:
            return tuple(file for file in lock.files if file.is_item)
    return ()


def _joined(lock: InjectionLock, former: Iterable[LockedFile]) -> InjectionLock:
    """The lock during the work: an injection that dies half way leaves nothing unowned."""
    paths = {file.path for file in lock.files}
    old = tuple(file for file in former if file.path not in paths)
    return msgspec.structs.replace(lock, files=(*lock.files, *old))


def _write_lock(paths: SessionPaths, lock: InjectionLock) -> None:
    name = paths.injection_lock.name
    _write(paths, PlannedFile(path=name, source="", content=lock.encode()), is_flushed=True)


def _write(paths: SessionPaths, file: PlannedFile, *, is_flushed: bool = False) -> None:
    """Only the lock waits for the disk: it proves the others, which the library can give again."""
    target = paths.claude / file.path
    for parent in reversed(PurePosixPath(file.path).parents[:-1]):
        _require_folder(paths.claude / parent)
    if not _is_written(paths, file, target):
        write_atomically(target, file.content, mode=file.mode, is_flushed=is_flushed)


def _is_written(paths: SessionPaths, file: PlannedFile, target: Path) -> bool:
    name = f"{paths.claude.name}/{file.path}"
    limit = max(FILE_LIMIT_BYTES, len(file.content))
    if read_regular(paths.root, name, limit=limit) != file.content:
        return False
    return stat.S_IMODE(target.lstat().st_mode) == file.mode


def _require_folder(folder: Path) -> None:
    """A folder of ours, made where it is missing; a link in its place is refused."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise StorageError(
                f"{folder} is not a folder but a link or a file, so nothing is written there.",
                remedy=f"Look who put it there, remove {folder} and run it again.",
            ) from None
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            remedy="Check free space and rights of the data root, then run it again.",
        ) from error


def _remove(paths: SessionPaths, file: LockedFile) -> None:
    """Take an item away; its skill's folder goes with it when nothing else is inside."""
    target = paths.claude / file.path
    if target.parent.is_symlink() or target.parent.parent.is_symlink():
        return
    _unlink(target)
    _prune(paths, target.parent)


def _unlink(target: Path) -> None:
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be removed: {error.strerror}.",
            remedy="Check the rights of the session's .claude folder, then run it again.",
        ) from error


def _prune(paths: SessionPaths, folder: Path) -> None:
    """Remove an empty folder and those above it, up to the three that every session has."""
    kept = {paths.claude, paths.agents, paths.skills}
    with contextlib.suppress(OSError):
        while folder not in kept:
            folder.rmdir()
            folder = folder.parent
