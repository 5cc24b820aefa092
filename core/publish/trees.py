"""Reading releases back: bytes by release, proven by their hash."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from core.errors import StorageError
from core.models.release import Release, ReleaseFile
from core.publish.git_objects import BLOB
from core.publish.git_process import run_git, start_git
from core.publish.pack_reader import PackedObjects

CHUNK_BYTES = 1024 * 1024
FEW_FILES, FEW_BYTES = 64, 4 * 1024 * 1024
"""As much as this is read without git, whose start takes longer than such a reading."""
_NO_SUCH_TREE = 128


class GitReleaseTrees:
    """The releases of one session, out of the product's own repository.

    No attribute, filter or archive setting takes part: blobs are copied as they are, and each is
    compared with the manifest's hash.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def export(self, release: Release, destination: Path) -> None:
        """Write the release's files below an existing empty folder.

        Raises:
            StorageError: The repository or the release in it is gone or damaged, or the disk full.
        """
        made: set[Path] = {destination}
        for file, chunks in self.stream(release, release.files):
            target = _target(destination, file.path)
            if target.parent not in made:
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                made.add(target.parent)
            _export_file(file, chunks, target)

    def read(self, release: Release, path: str) -> bytes:
        """One file's content.

        Raises:
            StorageError: There is no such file in the release, or it is damaged.
        """
        found = [file for file in release.files if file.path == path]
        for _file, chunks in self.stream(release, found[:1]):
            return b"".join(chunks)
        raise self._lost(path)

    def stream(
        self, release: Release, files: Sequence[ReleaseFile]
    ) -> Iterator[tuple[ReleaseFile, Iterator[bytes]]]:
        """These files in this order; the chunks of each are read before the next is asked for.

        Raises:
            StorageError: The repository or the release in it is gone or damaged. A file's last
                chunk may be out by then, its end never is.
        """
        contents = self._few(release, files)
        if contents is not None:
            for file, content in zip(files, contents, strict=True):
                yield file, iter((content,))
            return
        with self._blobs(release, files) as stream:
            for file in files:
                chunks = self._content(stream, file)
                yield file, chunks
                for _rest in chunks:
                    pass

    def _few(self, release: Release, files: Sequence[ReleaseFile]) -> list[bytes] | None:
        """The contents of few small files, proven; None where git has to be asked."""
        if len(files) > FEW_FILES or sum(file.size_bytes for file in files) > FEW_BYTES:
            return None
        packed = PackedObjects(self._repository)
        contents = []
        for file in files:
            oid = packed.blob_at(release.tree, file.path)
            content = None if oid is None else packed.content(BLOB, oid)
            if content is None or hashlib.sha256(content).hexdigest() != file.sha256:
                return None
            contents.append(content)
        return contents

    @contextmanager
    def _blobs(self, release: Release, files: Sequence[ReleaseFile]) -> Iterator[IO[bytes]]:
        if not self._repository.is_dir():
            raise self._lost(release.release_id)
        with tempfile.TemporaryFile() as questions:
            questions.write(self._questions(release, files))
            questions.seek(0)
            streams = {
                "stdin": questions.fileno(),
                "stdout": subprocess.PIPE,
                "stderr": subprocess.DEVNULL,
            }
            process = start_git(
                self._repository, ["cat-file", "--batch", "--buffer"], streams=streams
            )
        assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
        _widen(process.stdout)
        try:
            yield process.stdout
        finally:
            process.stdout.close()
            process.kill()
            process.wait()

    def _questions(self, release: Release, files: Sequence[ReleaseFile]) -> bytes:
        """Blobs by id: by path, git would walk the trees anew for every file."""
        listed = run_git(
            self._repository,
            ["ls-tree", "-r", "-z", "--full-tree", release.tree],
            accepted=(0, _NO_SUCH_TREE),
        )
        oids: dict[str, bytes] = {}
        for line in listed.stdout.split(b"\0")[:-1]:
            facts, _tab, path = line.partition(b"\t")
            oids[path.decode()] = facts.rpartition(b" ")[2]
        lost = next((file.path for file in files if file.path not in oids), None)
        if lost is not None:
            raise self._lost(lost)
        return b"".join(b"%s\n" % oids[file.path] for file in files)

    def _content(self, stream: IO[bytes], file: ReleaseFile) -> Iterator[bytes]:
        heading = stream.readline().split()
        if heading[1:] != [b"blob", b"%d" % file.size_bytes]:
            raise self._lost(file.path)
        digest, left = hashlib.sha256(), file.size_bytes
        while left:
            chunk = stream.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise self._lost(file.path)
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        stream.read(1)
        if digest.hexdigest() != file.sha256:
            raise self._lost(file.path)

    def _lost(self, what: str) -> StorageError:
        return StorageError(
            f"{what} is missing or damaged in the releases at {self._repository}.",
            remedy="Deploy the site again; a former release that is lost cannot be rolled back to.",
        )


def _target(destination: Path, path: str) -> Path:
    parts = Path(path).parts
    if not parts or ".." in parts or path.startswith("/"):
        raise StorageError(
            f"A release names a path that is none: {path!r}.",
            remedy="Deploy the site again; the stored manifest is damaged.",
        )
    return destination.joinpath(*parts)


def _widen(pipe: IO[bytes]) -> None:
    """Let git run ahead: a pipe of the usual size costs a switch of processes every 64 KiB."""
    with suppress(OSError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, CHUNK_BYTES)


def _export_file(file: ReleaseFile, chunks: Iterator[bytes], target: Path) -> None:
    mode = 0o700 if file.executable else 0o600
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(target, flags, mode), "wb", buffering=0) as written:
            for chunk in chunks:
                written.write(chunk)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror}.",
            remedy="Check free space and rights of the data root, then run it again.",
        ) from error
