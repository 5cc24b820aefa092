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
from core.publish.git_objects import BLOB, GitObject, TreeEntry, commit_of, trees_of
from core.publish.git_process import damaged, run_git
from core.publish.pack_file import PackFile, flush_folder

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
        name = f"refs/releases/{release_id}^{{tree}}"
        asked = run_git(self.folder, ["rev-parse", "--verify", "--quiet", name], accepted=(0, 1))
        return asked.stdout.decode().strip() or None

    def write(self, release_id: str, files: Sequence[BlobSource]) -> str:
        """Store a release and its ref; nothing refers to it unless all of it is there.

        Content that an earlier release has is not read again.

        Args:
            release_id: Becomes the ref's name.
            files: An error while one is read leaves no trace.

        Returns:
            The tree.
        """
        trees = trees_of(
            TreeEntry(path=file.path, oid=file.oid, executable=file.executable) for file in files
        )
        commit = commit_of(trees[-1], release_id)
        try:
            self._store({file.oid: file for file in files}, {one.oid: one for one in trees}, commit)
            self._refer(release_id, commit.oid.hex())
        except OSError as error:
            raise damaged(self.folder, f"{error.strerror}".encode()) from error
        self._tidy()
        tree = self.tree_of(release_id)
        if tree is None:
            raise damaged(self.folder, b"the release is not there after it was written")
        return tree

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
        if next((self.folder / "objects" / "pack").glob("*.idx"), None) is None:
            return set(oids)
        with tempfile.TemporaryFile() as questions:
            questions.write(b"".join(b"%s\n" % oid.hex().encode() for oid in oids))
            questions.seek(0)
            asked = run_git(
                self.folder,
                ["cat-file", "--batch-check=%(objectname)", "--buffer"],
                stdin=questions.fileno(),
            )
        answers = (line.split() for line in asked.stdout.splitlines())
        return {bytes.fromhex(words[0].decode()) for words in answers if words[1:] == [b"missing"]}

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
