from __future__ import annotations

import json
import multiprocessing
import os
import re
import stat
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from core.accounts.sessions import SessionCreator, SessionWish
from core.accounts.users import UserManager
from core.clock import Clock, SystemClock
from core.errors import BuilderError, NotFoundError, StorageError, UsageError
from core.models.session import SESSION_ID, SessionKey
from core.models.user import HostProvider, SiteType, User
from core.paths import DataRoot, library_folder
from core.store.store import open_store
from core.store.views import Views
from tests.unit.services_place import Place, make_place

TREE = [
    ".claude/agents", ".claude/skills", "source", "deployment/tests", "logs", "prompts", "output",
    "state",
]  # fmt: skip
BLOCKS = {
    ("aws", "static"): {"bucket": None, "distribution_id": None, "region": "us-east-1"},
    ("aws", "dynamic"): {
        "instance_id": None, "public_ip": None, "region": "us-east-1", "instance_type": None,
    },
    ("azure", "static"): {"storage_account": None, "cdn_endpoint": None, "resource_group": None},
    ("azure", "dynamic"): {
        "vm_name": None, "public_ip": None, "resource_group": None, "vm_size": None,
    },
    ("local", "static"): {"port": None},
    ("local", "dynamic"): {"port": None},
}  # fmt: skip


class StoppedClock:
    """Always the same second."""

    def now(self) -> datetime:
        return datetime(2026, 1, 12, 14, 22, 33, 500_000, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def user_of(place: Place) -> User:
    return UserManager(place.store, place.views, place.clock).create("ana@acme.io", "+4860010020")[
        0
    ]


def creator(
    place: Place, *, clock: Clock | None = None, library: Path | None = None
) -> SessionCreator:
    return SessionCreator(
        place.store, place.views, place.root, library or library_folder(), clock or place.clock,
        lambda folder: (folder / ".git").mkdir(exist_ok=True),
    )  # fmt: skip


def wish(host: str = "local", site: str = "static", **more: object) -> SessionWish:
    return SessionWish(host_provider=HostProvider(host), site_type=SiteType(site), **more)  # type: ignore[arg-type]


def config_of(place: Place, key: SessionKey) -> dict[str, object]:
    content = place.root.session(key.user_id, key.session_id).config.read_text()
    return dict(json.loads(content))


def test_a_session_has_its_whole_tree_and_all_of_it_is_private(place: Place) -> None:
    session, injected = creator(place).create(user_of(place), wish())

    paths = place.root.session(session.key.user_id, session.key.session_id)
    assert SESSION_ID.fullmatch(session.key.session_id)
    assert all((paths.root / name).is_dir() for name in TREE)
    assert (paths.root / ".git").is_dir()
    for folder in (paths.root, paths.source, paths.claude_config, paths.claude_config.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "local" in injected.agents
    assert session.key.session_id in (paths.claude / "CLAUDE.md").read_text()


@pytest.mark.parametrize(("host", "site"), BLOCKS)
def test_config_json_is_exactly_what_was_promised(place: Place, host: str, site: str) -> None:
    session, _ = creator(place).create(user_of(place), wish(host, site))

    config = config_of(place, session.key)
    created_at = config.pop("created_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(created_at))
    assert config == {
        "host_provider": host,
        "site_type": site,
        "aws_profile": "sunwaretech",
        "azure_profile": "sunwaretech",
        "url": None,
        "last_deployed": None,
        "deploy_count": 0,
        host: BLOCKS[host, site],
    }


def test_the_profiles_it_was_made_with_stay_with_the_session(place: Place) -> None:
    session, _ = creator(place).create(user_of(place), wish("aws", aws_profile="acme"))

    assert config_of(place, session.key)["aws_profile"] == "acme"
    assert place.store.sessions.get(session.key) == session


def test_in_one_second_the_loser_takes_the_next_free_one(place: Place) -> None:
    user = user_of(place)
    made = [creator(place, clock=StoppedClock()).create(user, wish())[0] for _ in range(3)]

    assert [one.key.session_id for one in made] == [
        "sess_20260112_142233", "sess_20260112_142234", "sess_20260112_142235",
    ]  # fmt: skip


def make_sessions(folder: Path, user: User, start: Barrier) -> None:
    root = DataRoot(folder)
    store = open_store(root)
    sessions = SessionCreator(
        store, Views(store), root, library_folder(), SystemClock(), lambda _folder: None
    )
    start.wait()
    for _ in range(5):
        sessions.create(user, wish())
    store.close()


def test_processes_that_create_at_once_never_share_a_session(place: Place) -> None:
    user = user_of(place)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    workers = [
        context.Process(target=make_sessions, args=(place.root.path, user, start)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)

    assert [worker.exitcode for worker in workers] == [0] * 4
    sessions = place.store.sessions.of_user(user.user_id)
    assert len({session.key for session in sessions}) == 20
    folders = {path.name for path in place.root.sessions(user.user_id).iterdir()}
    assert folders == {session.key.session_id for session in sessions}


def test_a_broken_library_leaves_no_session_behind(place: Place, tmp_path: Path) -> None:
    user = user_of(place)

    with pytest.raises(BuilderError):
        creator(place, library=tmp_path / "no library").create(user, wish())

    assert place.store.sessions.all() == []
    assert list(place.root.sessions(user.user_id).iterdir()) == []
    assert list((place.root.user(user.user_id) / "claude").iterdir()) == []


def test_ensure_repairs_what_is_missing_and_is_repeatable(place: Place) -> None:
    session, _ = creator(place).create(user_of(place), wish())
    paths = place.root.session(session.key.user_id, session.key.session_id)
    (paths.claude / "CLAUDE.md").unlink()
    paths.config.unlink()
    paths.output.rmdir()

    first = creator(place).ensure(session.key)
    written = paths.config.stat().st_mtime_ns
    second = creator(place).ensure(session.key)

    assert first == second
    assert (paths.claude / "CLAUDE.md").is_file()
    assert paths.output.is_dir()
    assert paths.config.stat().st_mtime_ns == written


def test_ensure_refuses_a_link_where_a_folder_belongs(place: Place, tmp_path: Path) -> None:
    session, _ = creator(place).create(user_of(place), wish())
    paths = place.root.session(session.key.user_id, session.key.session_id)
    paths.own_tests.rmdir()
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    paths.own_tests.symlink_to(outside)

    with pytest.raises(StorageError, match="link"):
        creator(place).ensure(session.key)

    assert list(outside.iterdir()) == []


def test_ensure_of_an_unknown_session_says_so(place: Place) -> None:
    with pytest.raises(NotFoundError):
        creator(place).ensure(SessionKey("nobody", "sess_20260112_142233"))


def test_a_copied_site_holds_regular_files_only(place: Place, tmp_path: Path) -> None:
    user = user_of(place)
    first, _ = creator(place).create(user, wish())
    source = place.source(first.key)
    (source / "css").mkdir()
    (source / "css/style.css").write_text("body{}")
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / ".git").mkdir()
    (source / ".git/config").write_text("x")
    (tmp_path / "secret").write_text("secret")
    (source / "leak.txt").symlink_to(tmp_path / "secret")
    (source / "folder").symlink_to(tmp_path)
    os.mkfifo(source / "pipe")

    second, _ = creator(place).create(user, wish(copy_from=first.key))

    target = place.source(second.key)
    copied = sorted(str(path.relative_to(target)) for path in target.rglob("*"))
    assert copied == ["css", "css/style.css", "run.sh"]
    assert stat.S_IMODE((target / "run.sh").stat().st_mode) == 0o700
    assert stat.S_IMODE((target / "css/style.css").stat().st_mode) == 0o600


def test_a_site_too_large_to_copy_leaves_no_session(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = user_of(place)
    first, _ = creator(place).create(user, wish())
    (place.source(first.key) / "big").write_bytes(b"x" * 2048)
    monkeypatch.setattr("core.accounts.source_copy.SIZE_LIMIT_BYTES", 1024)

    with pytest.raises(UsageError, match="larger"):
        creator(place).create(user, wish(copy_from=first.key))

    assert [one.key for one in place.store.sessions.all()] == [first.key]
    assert len(list(place.root.sessions(user.user_id).iterdir())) == 1
