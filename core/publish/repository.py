"""The product's own bare repository of one session: releases as git trees.

Only the product writes it; it lies outside of the session's folder and has no hooks, no filters
and a configuration of its own. Blobs go in through one `git fast-import`, so bytes stay bytes and
a thousand files cost one process. Every release hangs on a ref, so nothing ever collects it.

A lock file beside the repository is held by the writer and by the git that it started: whoever
gets it knows that no earlier writer lives, and may remove what a killed one left behind.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.clock import wait_for
from core.errors import ConflictError, StorageError
from core.files import make_private_folder, try_lock
from core.publish.git_process import TIMEOUT_S, damaged, run_git, start_git

LOCK_DEADLINE_S = 60.0
MOST_PACKS = 64
_ATTRIBUTES = "* -text -filter -diff -merge -ident -eol -working-tree-encoding -export-subst\n"
_LEFTOVERS = ("*.lock", "refs/releases/*.lock", "objects/pack/tmp_*", "fast_import_crash_*")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobSource:
    """One file on its way into the repository; `chunks` yields exactly `size_bytes`."""

    path: str
    size_bytes: int
    executable: bool
    chunks: Iterable[bytes]


class ReleaseRepository:
    """Writes and finds releases. Safe to use from several threads and processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def writing(self) -> Iterator[int]:
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
            yield handle

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

    def write(self, release_id: str, files: Iterable[BlobSource], lock: int) -> str:
        """Store a release and its ref in one go; nothing refers to it unless all of it is there.

        Args:
            release_id: Becomes the ref's name.
            files: In any order; an error while they are read leaves no trace.
            lock: The descriptor that `writing` gave; git holds it until it ends.

        Returns:
            The tree.
        """
        with tempfile.TemporaryFile() as stderr:
            streams = {
                "stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL,
                "stderr": stderr.fileno(), "keep": lock,
            }  # fmt: skip
            arguments = ["fast-import", "--quiet", "--done", "--force", "--depth=0"]
            process = start_git(self.folder, arguments, streams=streams)
            try:
                with _ended_in_time(process):
                    self._feed(process, release_id, files)
            except BrokenPipeError:
                process.wait()
            finally:
                _end(process)
            if process.returncode != 0:
                stderr.seek(0)
                raise damaged(self.folder, stderr.read())
        self._tidy()
        tree = self.tree_of(release_id)
        if tree is None:
            raise damaged(self.folder, b"the release is not there after it was written")
        return tree

    def _feed(
        self, process: subprocess.Popen[bytes], release_id: str, files: Iterable[BlobSource]
    ) -> None:
        assert process.stdin is not None  # noqa: S101 - it was asked for as a pipe
        stream = process.stdin
        message = release_id.encode()
        stream.write(b"commit refs/releases/%s\n" % message)
        stream.write(b"committer tmux-builder <tmux-builder@localhost> 0 +0000\n")
        stream.write(b"data %d\n%s\n" % (len(message), message))
        for file in files:
            _send_file(stream, file)
        stream.write(b"done\n")
        stream.close()
        process.wait()

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


def _send_file(stream: IO[bytes], file: BlobSource) -> None:
    quoted = file.path.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    mode = b"100755" if file.executable else b"100644"
    stream.write(b'M %s inline "%s"\ndata %d\n' % (mode, quoted, file.size_bytes))
    for chunk in file.chunks:
        stream.write(chunk)
    stream.write(b"\n")


@contextmanager
def _ended_in_time(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a git that hangs, so that a write to its pipe cannot wait forever."""
    timer = threading.Timer(TIMEOUT_S * 5, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


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
