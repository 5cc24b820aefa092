"""What the product writes into its repository is what git itself would accept and read."""

from __future__ import annotations

import struct
import subprocess
import zlib
from hashlib import sha1
from pathlib import Path

import pytest

from core.models.release import Release
from core.models.session import SessionKey
from core.models.user import SiteType
from core.paths import DataRoot, SessionPaths
from core.publish import pack_file, source_tree
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees

KEY = SessionKey("7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa", "sess_20260112_142233")


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    tmp_path.chmod(0o700)
    paths = DataRoot(tmp_path).session(KEY.user_id, KEY.session_id)
    paths.source.mkdir(parents=True)
    (paths.source / "index.html").write_text("home")
    return paths


def take(paths: SessionPaths) -> Release:
    return take_release(KEY, paths, paths.source, SiteType.STATIC)


def git(paths: SessionPaths, *arguments: str) -> str:
    done = subprocess.run(
        ["git", f"--git-dir={paths.repository}", *arguments], check=True, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    return done.stdout


def packs(paths: SessionPaths) -> list[Path]:
    return sorted((paths.repository / "objects" / "pack").glob("*.pack"))


def test_git_finds_no_fault_in_a_release_with_every_odd_name(paths: SessionPaths) -> None:
    names = ["a", "a.b", "a-b/x", "a0", "a/x", "ü/é.txt", "deep/er/and/deeper/f", 'q"\\', "[x] y"]
    for name in names:
        file = paths.source / name.replace("a/x", "A/x")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (paths.source / "empty").write_bytes(b"")
    (paths.source / "a0").chmod(0o755)
    release = take(paths)
    git(paths, "fsck", "--strict", "--full")
    assert git(paths, "rev-parse", f"refs/releases/{release.release_id}^{{tree}}") == (
        f"{release.tree}\n"
    )
    listed = git(paths, "ls-tree", "-r", "-z", "--name-only", release.tree).split("\0")[:-1]
    assert sorted(listed) == sorted(file.path for file in release.files)


def test_a_folder_sorts_as_if_its_name_ended_with_a_slash(paths: SessionPaths) -> None:
    for name in ("foo/x", "foo-bar", "foo.txt", "foo0"):
        (paths.source / name).parent.mkdir(exist_ok=True)
        (paths.source / name).write_text(name)
    release = take(paths)
    git(paths, "fsck", "--strict")
    names = git(paths, "ls-tree", "--name-only", release.tree).split()
    assert [one for one in names if one.startswith("foo")] == ["foo-bar", "foo.txt", "foo", "foo0"]


def test_content_that_an_earlier_release_has_is_not_stored_again(paths: SessionPaths) -> None:
    (paths.source / "film.bin").write_bytes(bytes(range(256)) * 4000)
    take(paths)
    (paths.source / "index.html").write_text("other")
    take(paths)
    sizes = sorted(pack.stat().st_size for pack in packs(paths))
    assert len(sizes) == 2
    assert sizes[0] < 2000
    git(paths, "fsck", "--strict")


def test_two_files_of_the_same_content_are_one_object(paths: SessionPaths) -> None:
    for name in ("one.bin", "two.bin"):
        (paths.source / name).write_bytes(b"same" * 10_000)
    release = take(paths)
    assert packs(paths)[0].stat().st_size < 50_000
    trees = GitReleaseTrees(paths.repository)
    assert trees.read(release, "one.bin") == trees.read(release, "two.bin") == b"same" * 10_000


def test_files_that_are_too_many_to_hold_are_read_a_second_time(
    paths: SessionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_tree, "HELD_BYTES", 10)
    for number in range(5):
        (paths.source / f"{number}.txt").write_text(f"text {number} " * 100)
    release = take(paths)
    assert GitReleaseTrees(paths.repository).read(release, "4.txt") == b"text 4 " * 100
    git(paths, "fsck", "--strict")


def test_files_come_in_the_order_that_was_asked_for_whether_read_or_not(
    paths: SessionPaths,
) -> None:
    for number in range(5):
        (paths.source / f"{number}.txt").write_text(f"text {number}")
    release = take(paths)
    wanted = list(reversed(release.files))
    found = []
    for file, chunks in GitReleaseTrees(paths.repository).stream(release, wanted):
        if file.path != "3.txt":
            found.append((file.path, b"".join(chunks).decode()))
    expected = ["index.html", "404.html", "4.txt", "2.txt", "1.txt", "0.txt"]
    assert [path for path, _text in found] == expected
    assert ("4.txt", "text 4") in found
    assert ("2.txt", "text 2") in found


def test_git_reads_the_index_of_a_pack_past_two_gigabytes() -> None:
    entries = [
        (bytes([number]) * 20, zlib.crc32(b"%d" % number), offset)
        for number, offset in enumerate((12, 2**31 - 1, 2**31, 5 * 2**32 + 7))
    ]
    shown = subprocess.run(
        ["git", "show-index"], input=pack_file._index(entries, b"p" * 20), check=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    told = [line.split() for line in shown.stdout.splitlines()]
    assert [(int(offset), bytes.fromhex(oid.decode())) for offset, oid, _crc in told] == [
        (offset, oid) for oid, _crc, offset in entries
    ]


def test_the_index_ends_with_both_checksums() -> None:
    index = pack_file._index([(b"\1" * 20, 7, 12)], b"p" * 20)
    assert index[-40:-20] == b"p" * 20
    assert index[-20:] == sha1(index[:-20]).digest()
    assert struct.unpack(">256I", index[8:1032])[0:2] == (0, 1)
