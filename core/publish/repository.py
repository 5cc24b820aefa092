"""The product's own bare repository of one session: releases as git trees.

Only the product writes it; it lies outside of the session's folder and has no hooks, no filters
and a configuration of its own. Blobs go in as one pack, so bytes stay bytes and a thousand files
cost two flushes. Every release hangs on a ref, so nothing ever collects it.

A lock file beside the repository is held by the writer: whoever gets it knows that no earlier
writer lives, and may remove what a killed one left behind.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.clock import wait_for
from core.errors import ConflictError, StorageError
from core.files import make_private_folder, try_lock, write_atomically
from core.publish.git_objects import BLOB, COMMIT, GitObject, commit_of, trees_of
from core.publish.git_process import damaged, run_git
from core.publish.pack_file import PackFile, flush_folder
from core.publish.pack_reader import PackedObjects

LOCK_DEADLINE_S = 60.0
MOST_PACKS = 64
_ATTRIBUTES = "* -text -filter -diff -merge -ident -eol -working-tree-encoding -export-subst\n"
_LEFTOVERS = ("*.lock", "refs/releases/*.lock", "refs/releases/.*", "objects/pack/tmp_*")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobSource:
    """One file on its way into the repository; `chunks` yields exactly `size_bytes`."""

    path: str
    oid: bytes
    """The blob's id, known since the file was read for the manifest."""
    size_bytes: int
    executable: bool
    chunks: Iterable[bytes]


class ReleaseRepository:
    """Writes and finds releases. Safe to use from several threads and processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def memory(self) -> Path:
        """Where what `source/` held is remembered: with the releases, so it is lost with them."""
        return self.folder.with_name(f"{self.folder.name}.seen")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the repository for one writer, made if it is missing and freed of leftovers.

        Raises:
            ConflictError: Another writer held it for a minute.
            StorageError: It cannot be made.
        """
        make_private_folder(self.folder.parent)
        lock = self.folder.with_name(f"{self.folder.name}.lock")
        with _opened(lock) as handle:
            if not wait_for(lambda: try_lock(handle), deadline_s=LOCK_DEADLINE_S):
                raise ConflictError(
                    f"Another deploy has been writing {self.folder} for {LOCK_DEADLINE_S:.0f} s.",
                    remedy="Wait for it to end, then deploy again.",
                )
            self._make()
            self._clear_leftovers()
            yield

    def tree_of(self, release_id: str) -> str | None:
        """The tree of a release, None where it was never written.

        Raises:
            StorageError: The repository is damaged.
        """
        if not self.folder.exists():
            return None
        if self._is_sound():
            commit = self._referred(release_id)
            if commit is None:
                return None
            tree = self._tree_of_commit(commit)
            if tree is not None:
                return tree
        name = f"refs/releases/{release_id}^{{tree}}"
        asked = run_git(self.folder, ["rev-parse", "--verify", "--quiet", name], accepted=(0, 1))
        return asked.stdout.decode().strip() or None

    def _is_sound(self) -> bool:
        """Whether it looks like a repository to git; where not, git says what is wrong."""
        return (self.folder / "HEAD").is_file() and (self.folder / "objects").is_dir()

    def _referred(self, release_id: str) -> bytes | None:
        """The commit that a release's ref names, as git keeps refs: each in a file, or packed."""
        name = f"refs/releases/{release_id}"
        with suppress(FileNotFoundError):
            return _oid_in((self.folder / name).read_text())
        with suppress(FileNotFoundError):
            for line in (self.folder / "packed-refs").read_text().splitlines():
                commit, _space, packed = line.partition(" ")
                if packed == name:
                    return _oid_in(commit)
        return None

    def _tree_of_commit(self, commit: bytes) -> str | None:
        packed = PackedObjects(self.folder)
        heading, _line, _rest = (packed.content(COMMIT, commit) or b"").partition(b"\n")
        _word, _space, tree = heading.partition(b" ")
        return tree.decode() if tree and bytes.fromhex(tree.decode()) in packed else None

    def write(self, release_id: str, files: Sequence[BlobSource]) -> str:
        """Store a release and its ref; nothing refers to it unless all of it is there.

        Content that an earlier release has is not read again.

        Args:
            release_id: Becomes the ref's name.
            files: An error while one is read leaves no trace.

        Returns:
            The tree.
        """
        trees = trees_of(files)
        commit = commit_of(trees[-1], release_id)
        try:
            self._store({file.oid: file for file in files}, {one.oid: one for one in trees}, commit)
            self._refer(release_id, commit.oid.hex())
        except OSError as error:
            raise damaged(self.folder, f"{error.strerror}".encode()) from error
        self._tidy()
        if self._referred(release_id) != commit.oid:
            raise damaged(self.folder, b"the release is not there after it was written")
        return trees[-1].oid.hex()

    def _store(
        self, blobs: Mapping[bytes, BlobSource], trees: Mapping[bytes, GitObject], commit: GitObject
    ) -> None:
        missing = self._missing([*blobs, *trees, commit.oid])
        new_files = [file for oid, file in blobs.items() if oid in missing]
        made = [one for one in (*trees.values(), commit) if one.oid in missing]
        if not missing:
            return
        with PackFile(self.folder / "objects" / "pack", len(missing)) as pack:
            for file in new_files:
                pack.add(BLOB, file.oid, file.size_bytes, file.chunks)
            for one in made:
                pack.add(one.kind, one.oid, len(one.content), [one.content])
            pack.finish()

    def _missing(self, oids: Sequence[bytes]) -> set[bytes]:
        """Which of these objects no earlier release brought."""
        packed = PackedObjects(self.folder)
        return {oid for oid in oids if oid not in packed}

    def _refer(self, release_id: str, commit: str) -> None:
        folder = self.folder / "refs" / "releases"
        if not folder.is_dir():
            folder.mkdir(mode=0o700)
            flush_folder(folder.parent)
        write_atomically(folder / release_id, f"{commit}\n".encode())
        flush_folder(folder)

    def _make(self) -> None:
        if self.folder.exists():
            return
        building = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{self.folder.name}."))
        try:
            run_git(building, ["init", "--quiet", "--bare", "--template=", str(building)])
            (building / "info").mkdir(exist_ok=True)
            (building / "info" / "attributes").write_text(_ATTRIBUTES)
            building.rename(self.folder)
        except OSError as error:
            raise StorageError(
                f"The repository {self.folder} cannot be made: {error.strerror}.",
                remedy="Check free space and rights of the data root, then run it again.",
            ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _clear_leftovers(self) -> None:
        for pattern in _LEFTOVERS:
            for leftover in self.folder.glob(pattern):
                with suppress(OSError):
                    leftover.unlink()

    def _tidy(self) -> None:
        packs = sum(1 for _ in (self.folder / "objects" / "pack").glob("*.pack"))
        if packs <= MOST_PACKS:
            return
        try:
            run_git(self.folder, ["repack", "-d", "-A", "--quiet", "--write-bitmap-index"])
        except StorageError as error:
            logger.warning("release repository not tidied", extra={"reason": error.message})


def _oid_in(text: str) -> bytes:
    """Empty where it is none, which no object has as its id."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


@contextmanager
def _opened(lock: Path) -> Iterator[int]:
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StorageError(
            f"{lock} cannot be opened: {error.strerror}.",
            remedy="Check free space and rights of the data root, then run it again.",
        ) from error
    try:
        yield handle
    finally:
        os.close(handle)
