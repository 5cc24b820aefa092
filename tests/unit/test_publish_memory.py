"""Only changed files are read again, and no change that a pane can make goes unseen."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from core.clock import wait_for
from core.models.release import Release
from core.models.session import SessionKey
from core.models.user import SiteType
from core.paths import DataRoot, SessionPaths
from core.publish import source_memory
from core.publish.git_objects import blob_id
from core.publish.repository import ReleaseRepository
from core.publish.snapshot import take_release
from core.publish.source_memory import BELIEVED_NS, SETTLED_NS, FileSystemTime, SourceMemory
from core.publish.source_tree import Limits, read_source
from core.publish.trees import GitReleaseTrees

KEY = SessionKey("7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa", "sess_20260112_142233")
PAGE = "blog/page.html"
FIRST, SECOND = b"a" * 9000, b"b" * 9000


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    tmp_path.chmod(0o700)
    paths = DataRoot(tmp_path).session(KEY.user_id, KEY.session_id)
    (paths.source / "blog").mkdir(parents=True)
    (paths.source / "index.html").write_text("home")
    (paths.source / "404.html").write_text("gone")
    (paths.source / PAGE).write_bytes(FIRST)
    await_tick(paths)
    return paths


def take(paths: SessionPaths) -> Release:
    return take_release(KEY, paths, paths.source, SiteType.STATIC)


def memory_file(paths: SessionPaths) -> Path:
    return ReleaseRepository(paths.repository).memory


def read_again(paths: SessionPaths) -> set[str]:
    """The files that a take would read now."""
    memory = SourceMemory.recalled(memory_file(paths))
    return set(read_source(paths.source, Limits(), memory).read)


def content(paths: SessionPaths, release: Release, path: str = PAGE) -> bytes:
    return GitReleaseTrees(paths.repository).read(release, path)


def await_tick(paths: SessionPaths) -> None:
    """Until the clock of the file system has moved on since the page was written."""
    changed_ns = (paths.source / PAGE).stat().st_ctime_ns

    def has_moved() -> bool:
        now = source_memory._file_system_time(memory_file(paths))
        return now is not None and now.ns > changed_ns

    assert wait_for(has_moved, deadline_s=10, interval_s=0.001)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the file system's clock forward, as far as the memory can see."""
    real = source_memory._file_system_time

    def set_forward(by_ns: int) -> None:
        def shifted(path: Path) -> FileSystemTime | None:
            now = real(path)
            return now and FileSystemTime(device=now.device, ns=now.ns + by_ns)

        monkeypatch.setattr(source_memory, "_file_system_time", shifted)

    return set_forward


def test_a_file_that_is_as_it_was_is_not_read_again(paths: SessionPaths) -> None:
    first = take(paths)
    assert read_again(paths) == set()
    assert take(paths) == first
    (paths.source / PAGE).write_bytes(SECOND)
    assert read_again(paths) == {PAGE}
    await_tick(paths)
    assert content(paths, take(paths)) == SECOND
    assert read_again(paths) == set()


def in_place(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(SECOND)


def renamed_over(file: Path) -> None:
    neighbour = file.with_name("neighbour")
    neighbour.write_bytes(SECOND)
    restore_times(neighbour, file.stat())
    neighbour.replace(file)


def through_a_hard_link(file: Path) -> None:
    link = file.parent.parent.parent / "link"
    link.hardlink_to(file)
    in_place(link)
    link.unlink()


def through_a_mapping(file: Path) -> None:
    with file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapped:
        mapped[:] = SECOND


def made_anew(file: Path) -> None:
    file.unlink()
    file.write_bytes(SECOND)


def restore_times(file: Path, info: os.stat_result) -> None:
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize(
    "change", [in_place, renamed_over, through_a_hard_link, through_a_mapping, made_anew]
)
def test_a_change_of_the_same_size_with_the_old_mtime_is_seen(
    paths: SessionPaths, change: Callable[[Path], None]
) -> None:
    take(paths)
    file = paths.source / PAGE
    before = file.stat()
    change(file)
    restore_times(file, before)
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert content(paths, take(paths)) == SECOND


def test_a_folder_that_takes_anothers_place_is_read(paths: SessionPaths) -> None:
    (paths.source / "other").mkdir()
    (paths.source / "other/page.html").write_bytes(SECOND)
    take(paths)
    (paths.source / "blog").rename(paths.source / "x")
    (paths.source / "other").rename(paths.source / "blog")
    (paths.source / "x").rename(paths.source / "other")
    release = take(paths)
    assert content(paths, release) == SECOND
    assert content(paths, release, "other/page.html") == FIRST


def test_a_file_that_becomes_executable_or_a_key_is_seen(paths: SessionPaths) -> None:
    key = b"-----BEGIN RSA PRIVATE KEY-----\nabc\n"
    (paths.source / "notes.txt").write_bytes(b"x" * len(key))
    take(paths)
    (paths.source / PAGE).chmod(0o755)
    before = (paths.source / "notes.txt").stat()
    (paths.source / "notes.txt").write_bytes(key)
    restore_times(paths.source / "notes.txt", before)
    release = take(paths)
    assert release.left_out == ("notes.txt",)
    assert [file.path for file in release.files if file.executable] == [PAGE]


def test_a_write_in_the_tick_of_the_last_change_cannot_hide(
    paths: SessionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the clock has not moved on since the file changed, the file is not remembered."""
    changed_ns = (paths.source / PAGE).stat().st_ctime_ns
    device = (paths.source / PAGE).stat().st_dev
    same_tick = FileSystemTime(device=device, ns=changed_ns)
    monkeypatch.setattr(source_memory, "_file_system_time", lambda _path: same_tick)
    take(paths)
    assert PAGE in read_again(paths)
    next_tick = FileSystemTime(device=device, ns=changed_ns + 1)
    monkeypatch.setattr(source_memory, "_file_system_time", lambda _path: next_tick)
    take(paths)
    (paths.source / "new.html").write_text("a release that is written")
    take(paths)
    assert PAGE not in read_again(paths)


def test_many_writes_and_takes_at_once_never_publish_an_old_text(paths: SessionPaths) -> None:
    """The real clock and no pause at all: whatever was written before a take is in it."""
    for number in range(60):
        text = b"%09d" % number * 1000
        with (paths.source / PAGE).open("r+b") as stream:
            stream.write(text)
        assert content(paths, take(paths)) == text


def test_another_file_system_is_not_remembered(
    paths: SessionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = FileSystemTime(device=1, ns=1 << 62)
    monkeypatch.setattr(source_memory, "_file_system_time", lambda _path: elsewhere)
    take(paths)
    assert read_again(paths) == {"index.html", "404.html", PAGE}


def test_what_was_read_soon_after_its_change_is_read_once_more(
    paths: SessionPaths, later: Callable[[int], None]
) -> None:
    take(paths)
    later(BELIEVED_NS // 2)
    assert read_again(paths) == set()
    later(BELIEVED_NS + 1)
    assert read_again(paths) == {"index.html", "404.html", PAGE}
    take(paths)
    later(BELIEVED_NS * 1000)
    assert read_again(paths) == set()


def test_what_was_long_at_rest_when_it_was_read_stays_believed(
    paths: SessionPaths, later: Callable[[int], None]
) -> None:
    later(SETTLED_NS * 2)
    take(paths)
    later(BELIEVED_NS * 1000)
    assert read_again(paths) == set()


def test_a_mapping_that_was_dirty_already_is_seen_within_two_minutes(
    paths: SessionPaths, later: Callable[[int], None]
) -> None:
    """A store to such a page moves no time of the file; that is why belief ends."""
    with (
        (paths.source / PAGE).open("r+b") as stream,
        mmap.mmap(stream.fileno(), 0) as mapped,
    ):
        mapped[:1] = b"1"
        take(paths)
        mapped[:1] = b"2"
        later(BELIEVED_NS + 1)
        assert content(paths, take(paths))[:1] == b"2"


def test_the_memory_is_private_and_out_of_a_panes_reach(paths: SessionPaths) -> None:
    take(paths)
    kept = memory_file(paths)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not kept.is_relative_to(paths.root)
    assert [one.name for one in kept.parent.iterdir() if one.name.startswith(".")] == []


def test_an_unchanged_take_does_not_write_the_memory(paths: SessionPaths) -> None:
    take(paths)
    before = memory_file(paths).stat()
    take(paths)
    assert memory_file(paths).stat() == before


@pytest.mark.parametrize("damage", ["lost", "cut", "flipped", "empty", "foreign", "folder"])
def test_a_memory_that_is_no_good_costs_a_reading_and_nothing_else(
    paths: SessionPaths, damage: str
) -> None:
    first, kept = take(paths), memory_file(paths)
    told = kept.read_bytes()
    kept.unlink()
    if damage == "folder":
        kept.mkdir()
    elif damage != "lost":
        at = told.index(sha256(FIRST).hexdigest().encode())
        flipped = told[:at] + bytes([told[at] ^ 1]) + told[at + 1 :]
        wrong = {"cut": told[:-9], "flipped": flipped, "empty": b"", "foreign": b"x" + told}
        kept.write_bytes(wrong[damage])
    assert read_again(paths) == {"index.html", "404.html", PAGE}
    assert take(paths) == first


def test_a_link_in_the_memorys_place_is_not_followed(paths: SessionPaths, tmp_path: Path) -> None:
    take(paths)
    kept, elsewhere = memory_file(paths), tmp_path / "elsewhere"
    kept.rename(elsewhere)
    told = elsewhere.read_bytes()
    kept.symlink_to(elsewhere)
    assert read_again(paths) == {"index.html", "404.html", PAGE}
    (paths.source / "index.html").write_text("other")
    take(paths)
    assert elsewhere.read_bytes() == told
    assert not kept.is_symlink()


def test_what_the_memory_wrongly_says_is_found_out_where_the_bytes_are_needed(
    paths: SessionPaths,
) -> None:
    """No byte enters a release that is not the byte its hash stands for."""
    take(paths)
    info = (paths.source / PAGE).stat()
    wrong = SourceMemory.recalled(memory_file(paths))
    wrong.note(PAGE, info, "0" * 64, blob_id(b"never stored"))
    wrong.keep()
    release = take(paths)
    assert content(paths, release) == FIRST
    assert read_again(paths) == set()


def test_remembered_files_count_for_the_limits(paths: SessionPaths) -> None:
    take(paths)
    memory = SourceMemory.recalled(memory_file(paths))
    with pytest.raises(Exception, match="more than 0 MiB"):
        read_source(paths.source, Limits(size_bytes=8000), memory)
    memory = SourceMemory.recalled(memory_file(paths))
    with pytest.raises(Exception, match="more than 2 files"):
        read_source(paths.source, Limits(files=2), memory)


def test_a_lost_repository_is_written_anew_from_files_that_are_remembered(
    paths: SessionPaths, tmp_path: Path
) -> None:
    first = take(paths)
    paths.repository.rename(tmp_path / "gone")
    assert read_again(paths) == set()
    assert take(paths) == first
    assert content(paths, first) == FIRST
