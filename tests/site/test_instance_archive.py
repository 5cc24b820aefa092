"""A release's archive: the same bytes for the same release, whatever the folder looked like."""

from __future__ import annotations

import gzip
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from core.errors import StorageError
from core.hosts.instance.archive import FIXED_TIME, ReleaseArchive, write_archive
from core.models.release import Release
from core.models.session import SessionKey
from core.models.user import SiteType
from core.paths import DataRoot, SessionPaths
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees

KEY = SessionKey("user", "sess_20260112_142230")
FILES = {
    "Procfile": b"web: ./run\n",
    "run": b"#!/bin/sh\n",
    "deep/folder/é [x].txt": b"text\r\n",
    "n" * 120 + "/" + "m" * 120: b"long",
    "empty": b"",
}


def taken(base: Path, files: dict[str, bytes], mtime: int) -> tuple[Release, SessionPaths]:
    paths = DataRoot(base / "data").session(KEY.user_id, KEY.session_id)
    for name, content in files.items():
        target = base / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o700 if name == "run" else 0o640)
        os.utime(target, (mtime, mtime))
    return take_release(KEY, paths, base / "source", SiteType.DYNAMIC), paths


def archived(base: Path, files: dict[str, bytes], mtime: int = 1) -> ReleaseArchive:
    release, paths = taken(base, files, mtime)
    return write_archive(release, GitReleaseTrees(paths.repository), base / "archive")


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first = archived(tmp_path / "one", FILES, 1)
    again = archived(tmp_path / "two", dict(reversed(FILES.items())), 2_000_000)
    assert first.path.read_bytes() == again.path.read_bytes()
    assert (first.sha256, first.size_bytes) == (again.sha256, again.path.stat().st_size)
    assert first.key == f"releases/{first.release_id}.tar.gz"


def test_another_byte_or_right_gives_another_archive(tmp_path: Path) -> None:
    first = archived(tmp_path / "one", FILES)
    assert archived(tmp_path / "two", {**FILES, "empty": b"x"}).sha256 != first.sha256


def test_members_are_plain_files_in_order_with_fixed_owners_times_and_rights(
    tmp_path: Path,
) -> None:
    with tarfile.open(archived(tmp_path, FILES).path) as archive:
        members = archive.getmembers()
        contents = {one.name: archive.extractfile(one).read() for one in members}  # type: ignore[union-attr]
    assert contents == FILES
    assert [one.name for one in members] == sorted(FILES, key=str.encode)
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in members} == {
        (0, 0, "", "", FIXED_TIME)
    }
    assert {one.name: one.mode for one in members if one.name in ("run", "empty")} == {
        "run": 0o755, "empty": 0o644,
    }  # fmt: skip


def test_the_gzip_head_names_neither_a_file_nor_a_time(tmp_path: Path) -> None:
    content = archived(tmp_path, FILES).path.read_bytes()
    assert content[:8] == b"\x1f\x8b\x08\x00" + b"\0" * 4
    assert gzip.decompress(content)


def test_a_large_release_is_streamed(tmp_path: Path) -> None:
    release, paths = taken(tmp_path, {**FILES, "large": os.urandom(24_000_000)}, 1)
    tracemalloc.start()
    write_archive(release, GitReleaseTrees(paths.repository), tmp_path / "archive")
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8_000_000


def test_a_lost_repository_is_said_and_leaves_no_half_archive(tmp_path: Path) -> None:
    release, _paths = taken(tmp_path, FILES, 1)
    with pytest.raises(StorageError, match="missing or damaged"):
        write_archive(release, GitReleaseTrees(tmp_path / "gone"), tmp_path / "archive")
    assert not (tmp_path / "archive").exists()
    assert not list(tmp_path.glob(".archive-*"))
