"""Taking a release: what `source/` holds now, stored under the hash of its manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from core.errors import ConflictError, NothingToDeployError
from core.models.release import Release, ReleaseFile
from core.models.session import SessionKey
from core.models.user import SiteType
from core.paths import SessionPaths
from core.publish.git_objects import blob_id
from core.publish.manifest import release_id_of
from core.publish.not_found_page import NOT_FOUND_PAGE, NOT_FOUND_PATH
from core.publish.procfile import PROCFILE
from core.publish.repository import BlobSource, ReleaseRepository
from core.publish.source_memory import SourceMemory
from core.publish.source_state import HOME_PAGE, missing_in_source
from core.publish.source_tree import (
    Limits,
    SourceChangedError,
    SourceTree,
    read_source,
    stream_file,
)

ATTEMPTS = 3

logger = logging.getLogger(__name__)


def take_release(
    key: SessionKey,
    paths: SessionPaths,
    source: Path,
    site_type: SiteType,
    *,
    limits: Limits | None = None,
) -> Release:
    """Store what `source` holds as a release; unchanged content is the same one, nothing written.

    Args:
        key: Whose site it is, for the log.
        paths: Where the product's own repository of the session lies.
        source: The site's folder, which a pane may be writing at this moment.
        site_type: Decides what makes a site: a home page, or a `web:` line.
        limits: How much is accepted.

    Raises:
        NothingToDeployError: There is no site of that type.
        AnswerIsNoError: A link points outside, or it is too big.
        ConflictError: It keeps changing while it is read.
        StorageError: It cannot be read, or the repository cannot be written.
    """
    changed: SourceChangedError | None = None
    for attempt in range(ATTEMPTS):
        try:
            release = _take(paths, source, site_type, limits or Limits(), is_first=attempt == 0)
        except SourceChangedError as error:
            changed = error
            continue
        logger.info(
            "release taken",
            extra={
                "user_id": key.user_id, "session_id": key.session_id,
                "release_id": release.release_id, "files": len(release.files),
            },
        )  # fmt: skip
        return release
    raise ConflictError(
        "source/ keeps changing while it is being read.",
        remedy="Deploy again when nothing writes the site any more.",
        code="source_changed",
    ) from changed


def preview_release(source: Path, site_type: SiteType, *, limits: Limits | None = None) -> Release:
    """What `take_release` would store now; writes nothing, so its tree is empty.

    Raises:
        NothingToDeployError, AnswerIsNoError, StorageError: As for `take_release`.
        SourceChangedError: It was written while it was read.
    """
    found, files = _read(source, site_type, limits or Limits())
    return Release(release_id=release_id_of(files), tree="", files=files, left_out=found.left_out)


def _take(
    paths: SessionPaths, source: Path, site_type: SiteType, limits: Limits, *, is_first: bool
) -> Release:
    repository = ReleaseRepository(paths.repository)
    # After an attempt that failed nothing is believed: what is remembered may be what is wrong.
    recall = SourceMemory.recalled if is_first else SourceMemory.empty
    memory = recall(repository.memory)
    found, files = _read(source, site_type, limits, memory)
    release_id = release_id_of(files)
    oids: dict[str, bytes] = {}
    tree = repository.tree_of(release_id)
    if tree is None:
        oids = _oids(found)
        with repository.writing():
            blobs = _blobs(source, files, found, oids)
            tree = repository.tree_of(release_id) or repository.write(release_id, blobs)
    _remember(memory, found, oids)
    return Release(release_id=release_id, tree=tree, files=files, left_out=found.left_out)


def _remember(memory: SourceMemory, found: SourceTree, oids: Mapping[str, bytes]) -> None:
    """Note what was read. git's id of it is mostly known: a hash over everything costs time."""
    for file in found.files:
        path, info = file.path, found.read.get(file.path)
        if info is not None:
            known = found.blobs.get(path) or oids.get(path) or memory.oid_of(path, file.sha256)
            memory.note(path, info, file.sha256, known or blob_id(found.held[path]))
    memory.keep()


def _read(
    source: Path, site_type: SiteType, limits: Limits, memory: SourceMemory | None = None
) -> tuple[SourceTree, tuple[ReleaseFile, ...]]:
    try:
        found = read_source(source, limits, memory)
    except SourceChangedError:
        _require_site(source, site_type)
        raise
    _require_site(source, site_type)
    _require_in(found, source, site_type)
    return found, _with_default_pages(found.files, site_type)


def _require_site(source: Path, site_type: SiteType) -> None:
    if sentence := missing_in_source(source, site_type):
        raise NothingToDeployError(
            sentence, remedy="Ask Claude for the site, or put the file there, then deploy again."
        )


def _require_in(found: SourceTree, source: Path, site_type: SiteType) -> None:
    needed = HOME_PAGE if site_type is SiteType.STATIC else PROCFILE
    if all(file.path != needed for file in found.files):
        raise SourceChangedError(
            f"{source / needed} went away while source/ was being read.",
            remedy="Deploy again when nothing writes the site any more.",
        )


def _with_default_pages(
    files: tuple[ReleaseFile, ...], site_type: SiteType
) -> tuple[ReleaseFile, ...]:
    has_one = any(file.path == NOT_FOUND_PATH for file in files)
    if site_type is not SiteType.STATIC or has_one:
        return files
    page = ReleaseFile(
        path=NOT_FOUND_PATH,
        sha256=sha256(NOT_FOUND_PAGE).hexdigest(),
        size_bytes=len(NOT_FOUND_PAGE),
    )
    return tuple(sorted((*files, page), key=lambda file: file.path.encode()))


def _oids(found: SourceTree) -> dict[str, bytes]:
    """git's id of every file's content, by path; the default page's too."""
    held = {path: blob_id(content) for path, content in found.held.items()}
    return {NOT_FOUND_PATH: blob_id(NOT_FOUND_PAGE), **found.blobs, **held}


def _blobs(
    source: Path, files: tuple[ReleaseFile, ...], found: SourceTree, oids: Mapping[str, bytes]
) -> list[BlobSource]:
    held = dict(found.held)
    if NOT_FOUND_PATH not in held and NOT_FOUND_PATH not in found.blobs:
        held[NOT_FOUND_PATH] = NOT_FOUND_PAGE
    return [
        BlobSource(
            path=file.path,
            oid=oids[file.path],
            size_bytes=file.size_bytes,
            executable=file.executable,
            chunks=[held[file.path]] if file.path in held else stream_file(source, file),
        )
        for file in files
    ]
