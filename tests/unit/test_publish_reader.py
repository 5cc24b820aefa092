"""What is read from packs without git is what git says, and nothing where git has to be asked."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest

from core.errors import StorageError
from core.models.release import Release
from core.models.session import SessionKey
from core.models.user import SiteType
from core.paths import DataRoot, SessionPaths
from core.publish import pack_file, pack_reader, repository, trees
from core.publish.git_objects import BLOB, COMMIT, TREE, blob_id
from core.publish.pack_file import PackFile
from core.publish.pack_reader import PackedObjects
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees

KEY = SessionKey("7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa", "sess_20260112_142233")
TEXT = "".join(f"<p>A line of a page, number {number}.</p>\n" for number in range(400))


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    tmp_path.chmod(0o700)
    paths = DataRoot(tmp_path).session(KEY.user_id, KEY.session_id)
    (paths.source / "a/b").mkdir(parents=True)
    (paths.source / "index.html").write_text(TEXT)
    (paths.source / "a/b/page.html").write_text(TEXT)
    return paths


@pytest.fixture
def without_git(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def refuse(*_arguments: object, **_named: object) -> None:
            raise AssertionError("git was started")

        for module, name in ((trees, "start_git"), (trees, "run_git"), (repository, "run_git")):
            monkeypatch.setattr(module, name, refuse)

    return forbid


def take(paths: SessionPaths) -> Release:
    return take_release(KEY, paths, paths.source, SiteType.STATIC)


def git(paths: SessionPaths, *arguments: str) -> bytes:
    return subprocess.run(
        ["git", f"--git-dir={paths.repository}", *arguments], check=True, capture_output=True,
        timeout=60,
    ).stdout  # fmt: skip


def all_objects(paths: SessionPaths) -> list[tuple[bytes, bytes]]:
    """Kind and id of everything that git knows there."""
    told = git(
        paths, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"
    )
    return [
        (kind, bytes.fromhex(oid.decode())) for kind, oid in map(bytes.split, told.splitlines())
    ]


def releases(paths: SessionPaths, count: int) -> list[Release]:
    taken = []
    for number in range(count):
        (paths.source / "a/b/page.html").write_text(f"{TEXT}{number}")
        taken.append(take(paths))
    return taken


def test_every_object_of_a_site_is_found_and_reads_as_git_reads_it(paths: SessionPaths) -> None:
    releases(paths, 3)
    packed = PackedObjects(paths.repository)
    objects = all_objects(paths)
    assert {kind for kind, _oid in objects} == {BLOB, TREE, COMMIT}
    for kind, oid in objects:
        assert oid in packed
        assert packed.content(kind, oid) == git(paths, "cat-file", kind.decode(), oid.hex())
    assert blob_id(b"not there") not in packed


def test_after_a_repack_objects_read_as_git_reads_them_or_not_at_all(paths: SessionPaths) -> None:
    releases(paths, 12)
    git(paths, "repack", "-a", "-d", "-f", "-q")
    packed = PackedObjects(paths.repository)
    read = {oid: packed.content(kind, oid) for kind, oid in all_objects(paths)}
    assert None in read.values(), "git made a delta of none of them"
    for kind, oid in all_objects(paths):
        assert oid in packed
        if read[oid] is not None:
            assert read[oid] == git(paths, "cat-file", kind.decode(), oid.hex())


def test_an_object_of_another_kind_is_not_given(paths: SessionPaths) -> None:
    release = take(paths)
    assert PackedObjects(paths.repository).content(BLOB, bytes.fromhex(release.tree)) is None


def test_one_changed_page_is_taken_and_read_without_git(
    paths: SessionPaths, without_git: Callable[[], None]
) -> None:
    first = take(paths)
    without_git()
    (paths.source / "a/b/page.html").write_text("two")
    second = take(paths)
    store = GitReleaseTrees(paths.repository)
    assert store.read(second, "a/b/page.html") == b"two"
    assert store.read(first, "a/b/page.html") == TEXT.encode()
    (paths.source / "a/b/page.html").write_text(TEXT)
    assert take(paths) == first


def test_refs_that_git_packed_are_found_without_git(
    paths: SessionPaths, without_git: Callable[[], None]
) -> None:
    taken = releases(paths, 3)
    git(paths, "pack-refs", "--all")
    assert not list((paths.repository / "refs" / "releases").glob("*"))
    without_git()
    assert take(paths) == taken[-1]
    assert not list((paths.repository / "refs" / "releases").glob("*")), "it was written anew"


def test_a_repository_that_git_would_refuse_is_refused(paths: SessionPaths) -> None:
    take(paths)
    (paths.repository / "HEAD").unlink()
    with pytest.raises(StorageError, match="cannot be used"):
        take(paths)


def test_a_release_of_deltas_is_read_by_git(paths: SessionPaths) -> None:
    taken = releases(paths, 12)
    git(paths, "repack", "-a", "-d", "-f", "-q")
    store = GitReleaseTrees(paths.repository)
    for number, release in enumerate(taken):
        assert store.read(release, "a/b/page.html") == f"{TEXT}{number}".encode()
    assert take(paths) == taken[-1]


def test_many_or_large_files_are_left_to_git(
    paths: SessionPaths, without_git: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = take(paths)
    store = GitReleaseTrees(paths.repository)
    monkeypatch.setattr(trees, "FEW_FILES", 1)
    assert len(list(store.stream(release, release.files))) == 3
    without_git()
    with pytest.raises(AssertionError, match="git was started"):
        list(store.stream(release, release.files))
    monkeypatch.setattr(trees, "FEW_FILES", 64)
    monkeypatch.setattr(trees, "FEW_BYTES", 100)
    with pytest.raises(AssertionError, match="git was started"):
        list(store.stream(release, release.files))
    monkeypatch.setattr(trees, "FEW_BYTES", 1_000_000)
    assert len(list(store.stream(release, release.files))) == 3
    monkeypatch.setattr(pack_reader, "LARGEST_BYTES", 100)
    with pytest.raises(AssertionError, match="git was started"):
        list(store.stream(release, release.files))


def test_what_is_read_is_proven_by_the_manifests_hash(paths: SessionPaths) -> None:
    release = take(paths)
    page = next(file for file in release.files if file.path == "index.html")
    other = replace(release, files=(replace(page, sha256="0" * 64),))
    with pytest.raises(StorageError, match="missing or damaged"):
        GitReleaseTrees(paths.repository).read(other, "index.html")


@pytest.mark.parametrize("damage", ["heading", "end", "cut", "gone", "inside"])
def test_a_damaged_pack_gives_no_wrong_byte(paths: SessionPaths, damage: str) -> None:
    release = take(paths)
    pack = next((paths.repository / "objects" / "pack").glob("*.pack"))
    told = pack.read_bytes()
    inside = told.find(b"A line of a page")
    wrong = {
        "heading": b"KCAP" + told[4:],
        "end": told[:-1] + bytes([told[-1] ^ 1]),
        "cut": told[:15],
        "inside": told[:inside] + b"X" + told[inside + 1 :],
    }
    pack.chmod(0o600)
    if damage == "gone":
        pack.unlink()
    else:
        pack.write_bytes(wrong[damage])
    packed = PackedObjects(paths.repository)
    assert packed.content(BLOB, blob_id(TEXT.encode())) is None
    with pytest.raises(StorageError, match="missing or damaged"):
        GitReleaseTrees(paths.repository).read(release, "index.html")


def test_an_object_that_lies_under_another_ones_name_is_not_given(tmp_path: Path) -> None:
    folder = tmp_path / "objects" / "pack"
    folder.mkdir(parents=True)
    with PackFile(folder, 1) as pack:
        pack.add(BLOB, blob_id(b"wanted"), 6, [b"forged"])
        pack.finish()
    packed = PackedObjects(tmp_path)
    assert blob_id(b"wanted") in packed
    assert packed.content(BLOB, blob_id(b"wanted")) is None


def test_an_index_that_is_none_is_passed_over(paths: SessionPaths) -> None:
    release = take(paths)
    folder = paths.repository / "objects" / "pack"
    (folder / "pack-1.idx").write_bytes(b"")
    (folder / "pack-2.idx").write_bytes(b"\xfftOc\0\0\0\2")
    (folder / "pack-3.idx").mkdir()
    assert bytes.fromhex(release.tree) in PackedObjects(paths.repository)


@pytest.mark.parametrize("told", ["", "nonsense\n", "00\n"])
def test_a_ref_that_names_nothing_is_written_anew(paths: SessionPaths, told: str) -> None:
    release = take(paths)
    (paths.repository / "refs" / "releases" / release.release_id).write_text(told)
    assert take(paths) == release
    git(paths, "fsck", "--strict")
    assert git(paths, "rev-parse", f"refs/releases/{release.release_id}^{{tree}}").split() == [
        release.tree.encode()
    ]


def test_offsets_past_two_gigabytes_are_read_from_their_own_table(tmp_path: Path) -> None:
    """A pack with a hole: the object lies behind it."""
    folder = tmp_path / "objects" / "pack"
    folder.mkdir(parents=True)
    content, offset = b"behind the hole", 3 * 2**30
    with PackFile(folder, 1) as small:
        small.add(BLOB, blob_id(content), len(content), [content])
        small.finish()
    pack = next(folder.glob("*.pack"))
    entry = pack.read_bytes()[12:-20]
    pack_sum = sha1(b"sum").digest()
    pack.chmod(0o600)
    with pack.open("r+b") as stream:
        stream.seek(offset)
        stream.write(entry + pack_sum)
    index = pack.with_suffix(".idx")
    index.chmod(0o600)
    index.write_bytes(pack_file._index([(blob_id(content), zlib.crc32(entry), offset)], pack_sum))
    assert PackedObjects(tmp_path).content(BLOB, blob_id(content)) == content
