"""A release is exactly what source/ holds, and source/ is hostile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from core.errors import AnswerIsNoError, ConflictError, NothingToDeployError, StorageError
from core.models.release import MARKER_PATH, Release
from core.models.session import SessionKey
from core.models.user import SiteType
from core.paths import DataRoot, SessionPaths
from core.publish.manifest import difference
from core.publish.not_found_page import NOT_FOUND_PAGE
from core.publish.snapshot import take_release
from core.publish.source_tree import Limits
from core.publish.trees import GitReleaseTrees

KEY = SessionKey("7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa", "sess_20260112_142233")


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    tmp_path.chmod(0o700)
    paths = DataRoot(tmp_path).session(KEY.user_id, KEY.session_id)
    paths.source.mkdir(parents=True)
    (paths.source / "index.html").write_text("<h1>Hello</h1>")
    return paths


def take(
    paths: SessionPaths, site_type: SiteType = SiteType.STATIC, limits: Limits | None = None
) -> Release:
    return take_release(KEY, paths, paths.source, site_type, limits=limits)


def names(release: Release) -> list[str]:
    return [file.path for file in release.files]


def repository_state(paths: SessionPaths) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in paths.repository.rglob("*")
        if path.is_file()
    }


def test_unchanged_content_is_the_same_release_and_nothing_is_written(paths: SessionPaths) -> None:
    first = take(paths)
    before = repository_state(paths)
    os.utime(paths.source / "index.html", (1, 1))
    assert take(paths) == first
    assert repository_state(paths) == before


def test_the_id_follows_path_content_and_executable_bit(paths: SessionPaths) -> None:
    ids = {take(paths).release_id}
    (paths.source / "index.html").write_text("<h1>Other</h1>")
    ids.add(take(paths).release_id)
    (paths.source / "index.html").chmod(0o755)
    ids.add(take(paths).release_id)
    (paths.source / "index.html").rename(paths.source / "about.html")
    (paths.source / "index.html").write_text("x")
    ids.add(take(paths).release_id)
    assert len(ids) == 4


def test_bytes_stay_bytes_whatever_git_settings_a_site_brings(
    paths: SessionPaths, tmp_path: Path
) -> None:
    contents = {
        "a.txt": b"one\r\ntwo\r\n", "b.bin": bytes(range(256)) * 3, "empty": b"",
        "$Id$.txt": b"$Id$ $Format:%H$\n", 'odd "name" \\ ü.txt': b"\xff\xfe\r",
        "dir/.gitattributes": b"* text=auto eol=lf export-ignore ident\n",
        ".gitattributes": b"* text export-subst filter=lfs\na.txt export-ignore\n",
    }  # fmt: skip
    for name, content in contents.items():
        (paths.source / name).parent.mkdir(exist_ok=True)
        (paths.source / name).write_bytes(content)
    (paths.source / "b.bin").chmod(0o755)
    release = take(paths)
    out = tmp_path / "out"
    out.mkdir()
    trees = GitReleaseTrees(paths.repository)
    trees.export(release, out)
    for name, content in contents.items():
        assert (out / name).read_bytes() == content
        assert trees.read(release, name) == content
    assert os.access(out / "b.bin", os.X_OK)
    assert not os.access(out / "a.txt", os.X_OK)


def test_secrets_and_clutter_are_left_out_and_listed(paths: SessionPaths) -> None:
    left = [
        ".git/config", ".env", ".env.production", "a/.DS_Store", "a/id_rsa", "a/server.key",
        "a/cert.p12", MARKER_PATH, "a/.GIT/hooks/post-update",
    ]  # fmt: skip
    for name in left:
        (paths.source / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.source / name).write_text("secret")
    private = "-----BEGIN RSA PRIVATE KEY-----\nabc\n"
    (paths.source / "a/both.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{private}")
    (paths.source / "a/disguised.txt").write_text(private)
    (paths.source / "a/public.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (paths.source / "a/environment.txt").write_text("fine")
    release = take(paths)
    assert names(release) == ["404.html", "a/environment.txt", "a/public.pem", "index.html"]
    assert set(release.left_out) == {
        ".git", ".env", ".env.production", "a/.DS_Store", "a/id_rsa", "a/server.key",
        "a/cert.p12", MARKER_PATH, "a/.GIT", "a/both.pem", "a/disguised.txt",
    }  # fmt: skip


def test_a_static_site_gets_a_404_page_only_when_it_has_none(paths: SessionPaths) -> None:
    with_default = take(paths)
    trees = GitReleaseTrees(paths.repository)
    assert trees.read(with_default, "404.html") == NOT_FOUND_PAGE
    (paths.source / "404.html").write_text("mine")
    assert trees.read(take(paths), "404.html") == b"mine"
    (paths.source / "404.html").unlink()
    (paths.source / "Procfile").write_text("web: ./run\n")
    assert "404.html" not in names(take(paths, SiteType.DYNAMIC))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../secret", "../../source-2/x"])
def test_a_symlink_that_points_outside_is_refused(paths: SessionPaths, target: str) -> None:
    (paths.source / "assets").mkdir()
    (paths.source / "assets" / "logo.png").symlink_to(target)
    with pytest.raises(AnswerIsNoError, match=r"symlink in source/ points outside: assets/logo"):
        take(paths)
    assert not paths.repository.exists()


def test_a_home_page_that_is_a_symlink_outside_is_named_as_one(paths: SessionPaths) -> None:
    (paths.source / "index.html").unlink()
    (paths.source / "index.html").symlink_to("/etc/hostname")
    with pytest.raises(AnswerIsNoError, match=r"points outside: index\.html"):
        take(paths)


def test_links_inside_and_special_files_are_left_out(paths: SessionPaths) -> None:
    (paths.source / "latest").symlink_to("index.html")
    (paths.source / "loop").symlink_to("loop")
    os.mkfifo(paths.source / "pipe")
    (paths.source / "line\nbreak").write_text("x")
    os.close(os.open(bytes(paths.source) + b"/not-utf8-\xff", os.O_CREAT | os.O_WRONLY))
    release = take(paths)
    assert names(release) == ["404.html", "index.html"]
    assert set(release.left_out) == {
        "latest", "loop", "pipe", "line\\x0abreak", "not-utf8-\\udcff",
    }  # fmt: skip


def test_source_itself_may_not_be_a_symlink(paths: SessionPaths, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    paths.source.rename(elsewhere)
    paths.source.symlink_to(elsewhere)
    with pytest.raises(NothingToDeployError):
        take(paths)


def test_an_empty_source_is_refused_and_leaves_nothing(paths: SessionPaths) -> None:
    (paths.source / "index.html").unlink()
    with pytest.raises(NothingToDeployError, match=r"source/ is empty: .* index\.html") as caught:
        take(paths)
    assert caught.value.exit_code == 6
    paths.source.rmdir()
    with pytest.raises(NothingToDeployError, match="empty"):
        take(paths)
    assert not paths.repository.parent.exists()


def test_what_is_missing_is_said_for_each_type(paths: SessionPaths) -> None:
    (paths.source / "index.html").rename(paths.source / "home.html")
    with pytest.raises(NothingToDeployError, match=r"source/index\.html is missing"):
        take(paths)
    with pytest.raises(NothingToDeployError, match="source/Procfile is missing"):
        take(paths, SiteType.DYNAMIC)
    (paths.source / "Procfile").write_text("worker: x\n# web: no\nweb:   \n")
    with pytest.raises(NothingToDeployError, match="no web: line"):
        take(paths, SiteType.DYNAMIC)


def test_too_many_files_bytes_or_levels_are_refused(paths: SessionPaths) -> None:
    for number in range(5):
        (paths.source / f"{number}.txt").write_text("x" * 1000)
    for limits, reason in (
        (Limits(files=5), "more than 5 files"),
        (Limits(size_bytes=4000), "more than 0 MiB"),
    ):
        with pytest.raises(AnswerIsNoError, match=reason):
            take(paths, limits=limits)
    (paths.source / Path(*["d"] * 60)).mkdir(parents=True)
    with pytest.raises(AnswerIsNoError, match="deeper"):
        take(paths)


def test_snapshots_at_once_all_succeed(paths: SessionPaths) -> None:
    taken: list[Release] = []
    threads = [threading.Thread(target=lambda: taken.append(take(paths))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 6
    assert len({release.tree for release in taken}) == 1


def test_a_source_that_changes_while_it_is_read_never_gives_a_torn_release(
    paths: SessionPaths, tmp_path: Path
) -> None:
    stop = threading.Event()

    def rewrite() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (paths.source / "index.html").write_bytes(b"%07d" % number * 40_000)

    writer = threading.Thread(target=rewrite)
    writer.start()
    releases = []
    try:
        for _ in range(5):
            with suppress(ConflictError):
                releases.append(take(paths))
    finally:
        stop.set()
        writer.join()
    for number, release in enumerate(releases):
        out = tmp_path / f"out-{number}"
        out.mkdir()
        GitReleaseTrees(paths.repository).export(release, out)
        content = (out / "index.html").read_bytes()
        assert sha256(content).hexdigest() in {file.sha256 for file in release.files}


def test_a_snapshot_after_a_killed_one_works(paths: SessionPaths, tmp_path: Path) -> None:
    take(paths)
    (paths.source / "big.bin").write_bytes(os.urandom(30_000_000))
    program = (
        "import sys; from pathlib import Path; from core.paths import DataRoot;"
        "from core.models.session import SessionKey; from core.models.user import SiteType;"
        "from core.publish.snapshot import take_release;"
        f"key = SessionKey({KEY.user_id!r}, {KEY.session_id!r});"
        "paths = DataRoot(Path(sys.argv[1])).session(key.user_id, key.session_id);"
        "print('go', flush=True); take_release(key, paths, paths.source, SiteType.STATIC)"
    )
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            threading.Event().wait(0.15)
            process.send_signal(signal.SIGKILL)
    for stale in ("refs/releases/x.lock", "packed-refs.lock", "config.lock"):
        (paths.repository / stale).write_text("")
    release = take(paths)
    assert "big.bin" in names(release)
    assert not list((paths.repository / "objects" / "pack").glob("tmp_*"))
    assert len(GitReleaseTrees(paths.repository).read(release, "big.bin")) == 30_000_000


def test_releases_outlive_gits_own_collection(paths: SessionPaths) -> None:
    first = take(paths)
    (paths.source / "index.html").write_text("second")
    take(paths)
    subprocess.run(
        ["git", f"--git-dir={paths.repository}", "gc", "--prune=now", "--quiet"],
        check=True, timeout=60,
    )  # fmt: skip
    trees = GitReleaseTrees(paths.repository)
    assert trees.read(first, "index.html") == b"<h1>Hello</h1>"


def test_a_lost_or_damaged_repository_is_said_not_guessed(
    paths: SessionPaths, tmp_path: Path
) -> None:
    release = take(paths)
    trees = GitReleaseTrees(paths.repository)
    for pack in (paths.repository / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"PACK damaged")
    with pytest.raises(StorageError, match="missing or damaged"):
        trees.read(release, "index.html")
    (paths.repository / "HEAD").unlink()
    with pytest.raises(StorageError, match="cannot be used"):
        take(paths)
    paths.repository.rename(tmp_path / "gone")
    with pytest.raises(StorageError, match="missing or damaged"):
        trees.export(release, tmp_path)
    assert take(paths) == release


def test_the_repository_has_no_hooks_and_ignores_the_operators_settings(
    paths: SessionPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\n\tfsmonitor = touch {trap}\n\tautocrlf = true\n"
        f"[init]\n\ttemplateDir = {tmp_path}\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    (paths.source / "a.txt").write_bytes(b"a\r\n")
    release = take(paths)
    assert GitReleaseTrees(paths.repository).read(release, "a.txt") == b"a\r\n"
    assert not trap.exists()
    assert not (paths.repository / "hooks").exists()


def test_the_difference_counts_content_not_times(paths: SessionPaths) -> None:
    (paths.source / "old.html").write_text("old")
    first = take(paths)
    (paths.source / "old.html").unlink()
    (paths.source / "new.html").write_text("new")
    os.utime(paths.source / "index.html", (5, 5))
    found = difference(first, take(paths))
    assert found.changed == ("new.html",)
    assert found.deleted == ("old.html",)


def test_a_repository_of_many_releases_is_tidied_and_loses_none(
    paths: SessionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.publish.repository.MOST_PACKS", 3)
    releases = []
    for number in range(8):
        (paths.source / "index.html").write_text(f"version {number}")
        releases.append(take(paths))
    packs = list((paths.repository / "objects" / "pack").glob("*.pack"))
    assert len(packs) <= 4
    trees = GitReleaseTrees(paths.repository)
    for number, release in enumerate(releases):
        assert trees.read(release, "index.html") == f"version {number}".encode()
