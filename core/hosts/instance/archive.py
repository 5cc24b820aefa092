"""A release as one file that an instance fetches: tar in gzip, the same bytes for the same release.

    archive = write_archive(release, trees, folder / "release.tar.gz")
    archive.key, archive.sha256, archive.size_bytes, archive.path

Order, owners, rights and times are fixed, so what differs between two archives is content. The
gzip stream is the zlib's of this computer: another zlib may give another sha256, which is why a
command always names the sha256 of the archive that it was made with. Memory stays bounded: the
files go from the product's repository to a private folder and from there into the archive.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.errors import StorageError
from core.models.release import Release, ReleaseFile
from core.ports.host import ReleaseTrees

FIXED_TIME = 315_619_200
"""1980-01-02 UTC: zip files, which some builds make of a site, know nothing earlier."""
COMPRESSION = 6
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseArchive:
    """The archive of one release on this computer's disk."""

    release_id: str
    path: Path
    sha256: str
    size_bytes: int

    @property
    def key(self) -> str:
        """Where it lies in an object store."""
        return archive_key(self.release_id)


def archive_key(release_id: str) -> str:
    return f"releases/{release_id}.tar.gz"


def write_archive(release: Release, trees: ReleaseTrees, target: Path) -> ReleaseArchive:
    """Write the release's archive to `target`, whose folder exists.

    Raises:
        StorageError: The release is damaged, or the disk is full.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".archive-") as folder:
        exported = Path(folder)
        trees.export(release, exported)
        try:
            with target.open("wb") as written:
                _write_tar(release.files, exported, written)
                written.flush()
                os.fsync(written.fileno())
            return _described(release.release_id, target)
        except OSError as error:
            raise StorageError(
                f"The archive {target} cannot be written: {error.strerror}.",
                remedy="Check free space and rights of the folder, then deploy again.",
            ) from error


def _write_tar(files: Iterable[ReleaseFile], exported: Path, written: IO[bytes]) -> None:
    with (
        gzip.GzipFile("", "wb", COMPRESSION, written, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in sorted(files, key=lambda one: one.path.encode()):
            with (exported / file.path).open("rb") as content:
                archive.addfile(_member(file), content)


def _member(file: ReleaseFile) -> tarfile.TarInfo:
    member = tarfile.TarInfo(file.path)
    member.size = file.size_bytes
    member.mode = 0o755 if file.executable else 0o644
    member.mtime = FIXED_TIME
    return member


def _described(release_id: str, target: Path) -> ReleaseArchive:
    with target.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return ReleaseArchive(
        release_id=release_id, path=target, sha256=digest, size_bytes=target.stat().st_size
    )
