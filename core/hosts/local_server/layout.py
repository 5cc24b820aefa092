"""Where the local host keeps a site on disk. The publisher adds releases, the server switches.

<data root>/sites/<user_id>/<session_id>/
    releases/<id>/        the files of a release, never changed after they are in place
    releases/<id>.json    its manifest; written last, so a release without one is not there
    current               a link to releases/<id>, replaced by rename
    site.json             port and kind, so that a killed server comes back as it was
    data/                 what a dynamic site may write
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from core.clock import wait_for
from core.errors import ConflictError, StorageError
from core.files import make_private_folder, try_lock, write_atomically
from core.models.release import Release, ReleaseFile
from core.models.session import SESSION_ID, SessionKey
from core.models.user import SiteType
from core.paths import DataRoot

LOCK_DEADLINE_S = 60.0
_SCRATCH = ".making-"


class SiteDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """site.json: how a site is served, without which release."""

    port: int
    site_type: SiteType
    isolated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRelease:
    """A release in its place on disk, with its manifest by path."""

    release_id: str
    folder: Path
    files: dict[str, ReleaseFile]


class SiteFolder:
    """One site's folder of the local host."""

    def __init__(self, root: DataRoot, key: SessionKey) -> None:
        self.key = key
        self.root = root.sites / key.user_id / key.session_id

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def child_record(self) -> Path:
        return self.root / "child.json"

    @property
    def _releases(self) -> Path:
        return self.root / "releases"

    @property
    def _current(self) -> Path:
        return self.root / "current"

    @property
    def _document(self) -> Path:
        return self.root / "site.json"

    def make(self) -> None:
        for folder in (self.root.parent.parent, self.root.parent, self.root, self._releases):
            make_private_folder(folder)

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Hold the site for one publisher; freed by the system when it dies.

        Raises:
            ConflictError: Another publisher held it for a minute.
        """
        self.make()
        handle = os.open(self.root / "publish.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not wait_for(lambda: try_lock(handle), deadline_s=LOCK_DEADLINE_S):
                raise ConflictError(
                    f"Another publish of {self.key.session_id} is still going on.",
                    remedy="Wait for it to end, then deploy again.",
                )
            yield
        finally:
            os.close(handle)

    def stored(self, release_id: str) -> StoredRelease | None:
        """The release as it lies here, None unless every file is there in its full size."""
        found = self.load(release_id)
        if found is None:
            return None
        for path, file in found.files.items():
            try:
                if (found.folder / path).lstat().st_size != file.size_bytes:
                    return None
            except OSError:
                return None
        return found

    def load(self, release_id: str) -> StoredRelease | None:
        """The release by its manifest alone, without a look at its files."""
        try:
            content = (self._releases / f"{release_id}.json").read_bytes()
            files = msgspec.json.decode(content, type=list[ReleaseFile])
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return None
        return StoredRelease(
            release_id=release_id,
            folder=self._releases / release_id,
            files={file.path: file for file in files},
        )

    def add(self, release: Release, export: Callable[[Release, Path], None]) -> None:
        """Put a release in its place: written beside, renamed, and only then named in a manifest.

        Raises:
            StorageError: The disk is full, read-only, or the release is damaged.
        """
        place = self._releases / release.release_id
        manifest = self._releases / f"{release.release_id}.json"
        try:
            making = Path(tempfile.mkdtemp(dir=self._releases, prefix=_SCRATCH))
            if missing := self._link_known(release, making):
                export(replace(release, files=missing), making)
            manifest.unlink(missing_ok=True)
            if place.exists():
                place.rename(tempfile.mkdtemp(dir=self._releases, prefix=_SCRATCH))
            making.rename(place)
        except OSError as error:
            raise _cannot(place, error) from error
        write_atomically(manifest, msgspec.json.encode(release.files))

    def _link_known(self, release: Release, making: Path) -> tuple[ReleaseFile, ...]:
        """Link what the served release has alike, since no release changes; the rest comes back."""
        served = self.current()
        known = None if served is None else self.stored(served)
        if known is None:
            return release.files
        missing: list[ReleaseFile] = []
        for file in release.files:
            if known.files.get(file.path) != file:
                missing.append(file)
                continue
            target = making / file.path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                target.hardlink_to(known.folder / file.path)
            except OSError:
                missing.append(file)
        return tuple(missing)

    def clear_leftovers(self) -> None:
        """Remove what a killed publisher left half-made."""
        for leftover in self._releases.glob(f"{_SCRATCH}*"):
            remove_folder(leftover)

    def prune(self, keep: int) -> None:
        """Remove the oldest releases but the newest `keep` and the one that is served."""
        served = self.current()
        manifests = sorted(
            self._releases.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True
        )
        for manifest in manifests[keep:]:
            if manifest.stem != served:
                manifest.unlink(missing_ok=True)
                remove_folder(self._releases / manifest.stem)

    def current(self) -> str | None:
        """The id of the release that is served."""
        try:
            return self._current.readlink().name
        except OSError:
            return None

    def switch(self, release_id: str) -> None:
        """Serve another release from now on, in one rename."""
        beside = self.root / ".current.new"
        try:
            beside.unlink(missing_ok=True)
            beside.symlink_to(Path("releases") / release_id)
            beside.replace(self._current)
            os.utime(self._releases / f"{release_id}.json")
            _flush_folder(self.root)
        except OSError as error:
            raise _cannot(self._current, error) from error

    def document(self) -> SiteDocument | None:
        """How the site is served; None where it never was, or the file is damaged."""
        try:
            return msgspec.json.decode(self._document.read_bytes(), type=SiteDocument)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return None

    def write_document(self, document: SiteDocument) -> None:
        if self.document() != document:
            write_atomically(self._document, msgspec.json.encode(document))

    def forget(self) -> None:
        """Make sure that no server brings this site back."""
        self._document.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the site with everything in it.

        Raises:
            OSError: Something in it cannot be deleted.
        """
        if self.root.exists():
            remove_folder(self.root, complain=True)
        with suppress(OSError):
            self.root.parent.rmdir()


def all_sites(root: DataRoot) -> list[SiteFolder]:
    """Every site that has its folder."""
    return [
        SiteFolder(root, SessionKey(folder.parent.name, folder.name))
        for folder in sorted(root.sites.glob("*/sess_*"))
        if SESSION_ID.fullmatch(folder.name)
    ]


def remove_folder(folder: Path, *, complain: bool = False) -> None:
    """Delete a tree that a customer's program may have written: odd rights, links, anything."""

    def unlock(_function: object, name: str, _error: object) -> None:
        with suppress(OSError):
            Path(name).parent.chmod(0o700)
            if not Path(name).is_symlink():
                Path(name).chmod(0o700)

    shutil.rmtree(folder, onerror=unlock)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=not complain)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be written: {error.strerror}.",
        remedy="Check free space and rights of the data root, then deploy again.",
    )
