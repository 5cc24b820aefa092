"""A release's archive on disk: only plain files, only below its own folder, never too much."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

from .answering import AgentError
from .place import SCRATCH, Place, flush_folder, remove, write_json

LARGEST_SITE_BYTES = 4 * 1024**3
MOST_FILES = 200_000
LONGEST_NAME_BYTES = 2000
CHUNK_BYTES = 1024 * 1024


def require_digest(archive: Path, sha256: str, size_bytes: int) -> None:
    """Refuse an archive that is not byte for byte the one that was named.

    Raises:
        AgentError: Another size or sha256.
    """
    found = archive.stat().st_size
    if found != size_bytes:
        raise AgentError(
            "archive_refused", f"The archive has {found} bytes instead of {size_bytes}."
        )
    digest = hashlib.sha256()
    with archive.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise AgentError("archive_refused", "The archive's sha256 is not the one that was named.")


def unpack(place: Place, release_id: str, archive: Path) -> None:
    """Put the release in its place, in one rename after everything is on disk.

    Raises:
        AgentError: The archive holds anything but plain files below its own folder, or too much.
    """
    making = Path(tempfile.mkdtemp(dir=str(place.releases), prefix=SCRATCH))
    making.chmod(0o755)
    site = making / "site"
    site.mkdir(mode=0o755)
    try:
        _extract(archive, site)
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError, ValueError) as error:
        raise AgentError("archive_refused", f"The archive cannot be read: {error}") from error
    write_json(making / "release.json", {"release": release_id}, mode=0o644)
    if place.is_system:
        os.sync()
    remove(place.release(release_id))
    making.rename(place.release(release_id))
    flush_folder(place.releases)


def _extract(archive: Path, site: Path) -> None:
    left_bytes, left_files = LARGEST_SITE_BYTES, MOST_FILES
    with tarfile.open(str(archive), mode="r|gz") as packed:
        for member in packed:
            left_bytes, left_files = left_bytes - member.size, left_files - 1
            if left_bytes < 0 or left_files < 0:
                raise AgentError("archive_refused", "The archive unpacks to more than is accepted.")
            _write(packed, member, _target(site, member))


def _target(site: Path, member: tarfile.TarInfo) -> Path:
    """Where a member goes.

    Raises:
        AgentError: It is a link, a device or a folder, or it points out of the site.
    """
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise AgentError("archive_refused", f"{member.name!r} in the archive is no plain file.")
    parts = PurePosixPath(member.name).parts
    is_plain = member.name == "/".join(parts) and not member.name.startswith("/")
    is_short = len(member.name.encode("utf-8", "surrogateescape")) <= LONGEST_NAME_BYTES
    if not parts or ".." in parts or "\0" in member.name or not is_plain or not is_short:
        raise AgentError("archive_refused", f"{member.name[:200]!r} in the archive is no path.")
    return site.joinpath(*parts)


def _write(packed: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = packed.extractfile(member)
    if content is None:
        raise AgentError("archive_refused", f"{member.name!r} in the archive has no content.")
    mode = 0o755 if member.mode & 0o100 else 0o644
    try:
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(str(target), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except (FileExistsError, NotADirectoryError) as error:
        raise AgentError("archive_refused", f"{member.name!r} is twice in the archive.") from error
    with os.fdopen(handle, "wb") as written:
        while chunk := content.read(CHUNK_BYTES):
            written.write(chunk)
