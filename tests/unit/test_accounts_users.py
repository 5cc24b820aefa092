from __future__ import annotations

import json
import multiprocessing
import os
import resource
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from core.accounts.users import UserManager
from core.clock import SystemClock
from core.errors import (
    InvalidEmailError,
    InvalidPhoneError,
    NotFoundError,
    StorageError,
    UsageError,
)
from core.paths import DataRoot
from core.store.store import open_store
from core.store.views import Views
from tests.unit.services_place import Place, make_place

SAME_PERSON = [
    ("ana@acme.io", "+48600100200"),
    ("  ANA@Acme.IO ", "+48 600 100 200"),
    ("Ana@acme.io", "+48.600-100(200)"),
]
PROCESSES, EACH = 8, 200


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def manager(place: Place) -> UserManager:
    return UserManager(place.store, place.views, place.clock)


def test_the_user_id_is_the_published_formula(place: Place) -> None:
    user, _ = manager(place).create("ana@acme.io", "+48600100200")

    namespace = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    assert user.user_id == str(uuid.uuid5(namespace, "ana@acme.io|+48600100200"))


def test_any_spelling_is_the_same_person_and_new_only_once(place: Place) -> None:
    made = [manager(place).create(email, phone) for email, phone in SAME_PERSON]

    assert len({user.user_id for user, _ in made}) == 1
    assert [is_new for _, is_new in made] == [True, False, False]
    assert len(json.loads(place.root.registry.read_text())) == 1


def test_folders_and_files_are_private_and_hold_what_they_promise(place: Place) -> None:
    user, _ = manager(place).create("ana@acme.io", "+48600100200", name="Ana's bakery")

    folder = place.root.user(user.user_id)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert place.root.sessions(user.user_id).is_dir()
    document = json.loads(place.root.user_document(user.user_id).read_text())
    assert set(document) == {
        "user_id", "email", "phone", "created_at", "host_provider", "site_type",
    }  # fmt: skip
    assert document["created_at"].endswith("Z")
    assert stat.S_IMODE(place.root.user_document(user.user_id).stat().st_mode) == 0o600
    assert json.loads(place.root.registry.read_text()) == {"ana@acme.io|+48600100200": user.user_id}


@pytest.mark.parametrize(
    ("email", "phone", "error"),
    [
        ("ana@", "+48600100200", InvalidEmailError),
        ("../../etc/passwd", "+48600100200", InvalidEmailError),
        ("ana@acme.io\nx", "+48600100200", InvalidEmailError),
        ("ana@acme.io", "123", InvalidPhoneError),
        ("ana@acme.io", "600100200; rm -rf /", InvalidPhoneError),
        ("", "", InvalidEmailError),
    ],
)
def test_bad_input_gets_a_sentence_and_leaves_nothing(
    place: Place, email: str, phone: str, error: type[UsageError]
) -> None:
    before = sorted(place.root.path.iterdir())

    with pytest.raises(error) as caught:
        manager(place).create(email, phone)

    assert caught.value.exit_code == 2
    assert caught.value.message.endswith(".")
    assert sorted(path for path in place.root.path.iterdir() if path.is_dir()) == []
    assert not place.root.registry.exists()
    assert place.store.users.count() == 0
    assert len(before) <= 3


@pytest.mark.parametrize("name", ["x" * 121, "a\nb", "a\x1b[31mb", "a\u202eb", "\x00"])
def test_a_name_is_one_short_line_without_control_characters(place: Place, name: str) -> None:
    with pytest.raises(UsageError):
        manager(place).create("ana@acme.io", "+48600100200", name=name)

    assert place.store.users.count() == 0


def test_a_name_in_any_language_is_kept_as_it_is(place: Place) -> None:
    user, _ = manager(place).create("ana@acme.io", "+48600100200", name=" Zażółć 山田 👩‍🍳 ")

    assert user.name == "Zażółć 山田 👩‍🍳"


def test_ensure_brings_back_what_was_deleted(place: Place) -> None:
    user, _ = manager(place).create("ana@acme.io", "+48600100200")
    place.root.user_document(user.user_id).unlink()
    place.root.registry.unlink()
    place.root.sessions(user.user_id).rmdir()

    manager(place).ensure(user.user_id)

    assert place.root.user_document(user.user_id).is_file()
    assert place.root.sessions(user.user_id).is_dir()
    assert user.user_id in json.loads(place.root.registry.read_text()).values()


def test_look_up_list_and_a_missing_user(place: Place) -> None:
    users = manager(place)
    user, _ = users.create("ana@acme.io", "+48600100200")

    assert users.find("ANA@acme.io", "+48 600 100 200") == user
    assert users.find("bob@acme.io", "+48600100200") is None
    assert users.list() == [user]
    with pytest.raises(NotFoundError):
        users.get("nobody")


def create_many(folder: Path, number: int, start: Barrier) -> None:
    """One of the processes: its own 200 users, every eighth one everybody's."""
    root = DataRoot(folder)
    store = open_store(root)
    users = UserManager(store, Views(store), SystemClock())
    start.wait()
    for count in range(EACH):
        owner = "all" if count % 8 == 0 else str(number)
        user, _ = users.create(f"u{count}.{owner}@acme.io", f"+4860010{count:04d}")
        assert user.user_id in root.registry.read_text()
    store.close()


def test_eight_processes_creating_200_users_each_lose_none(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(PROCESSES)
    workers = [
        context.Process(target=create_many, args=(place.root.path, number, start))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=240)

    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    shared = len(range(0, EACH, 8))
    expected = shared + PROCESSES * (EACH - shared)
    registry = json.loads(place.root.registry.read_text())
    assert len(registry) == expected == place.store.users.count()
    assert registry == place.store.users.registry()
    for user_id in registry.values():
        assert json.loads(place.root.user_document(user_id).read_text())["user_id"] == user_id
    assert not [path for path in place.root.path.iterdir() if path.name.startswith(".registry")]


def test_a_world_readable_data_root_is_refused_with_the_command(place: Place) -> None:
    place.root.path.chmod(0o755)

    with pytest.raises(StorageError) as caught:
        manager(place).create("ana@acme.io", "+48600100200")

    assert f"chmod 700 {place.root.path}" in caught.value.remedy
    assert place.store.users.count() == 0


def run_in_child(task: Callable[[], None]) -> int:
    """Run in a forked child that may lose rights or space; its exit code, 0 for as expected."""
    pid = os.fork()
    if pid == 0:
        try:
            task()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the child's edge: it must never run the tests on
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def refused(folder: Path) -> None:
    with pytest.raises(StorageError) as caught:
        manager(make_place(folder)).create("bob@acme.io", "+48600100201")
    assert caught.value.message
    assert caught.value.remedy


def left_behind(root: DataRoot) -> list[str]:
    """Half-written neighbours anywhere in the data root."""
    return [str(path) for path in root.path.rglob(".*.*") if not path.name.endswith(".lock")]


def test_a_full_disk_is_a_clear_error_and_nothing_half_written(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    manager(place).create("ana@acme.io", "+48600100200")
    registry = place.root.registry.read_text()
    place.store.close()
    size = place.root.store.stat().st_size

    def task() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        refused(tmp_path)

    assert run_in_child(task) == 0
    assert place.root.store.stat().st_size == size
    assert place.root.registry.read_text() == registry
    assert left_behind(place.root) == []
    assert [user.email for user in place.store.users.all()] == ["ana@acme.io"]
    assert len([path for path in place.root.path.iterdir() if path.is_dir()]) == 1


def test_when_only_the_views_cannot_be_written_the_user_is_taken_back(place: Place) -> None:
    place.root.registry.mkdir()
    (place.root.registry / "in the way").touch()

    with pytest.raises(StorageError):
        manager(place).create("ana@acme.io", "+48600100200")

    assert place.store.users.count() == 0
    assert [path.name for path in place.root.path.iterdir() if path.is_dir()] == ["registry.json"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_another_accounts_data_root_is_refused(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    os.chown(place.root.path, 12345, 12345)

    with pytest.raises(StorageError, match="another account"):
        manager(place).create("ana@acme.io", "+48600100200")


@pytest.mark.skipif(os.getuid() != 0, reason="a read-only mount needs root")
def test_a_read_only_data_root_is_a_clear_error(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    place.store.close()
    mounted = subprocess.run(
        ["unshare", "--mount", "true"], check=False, capture_output=True, timeout=10
    )
    if mounted.returncode != 0:
        pytest.skip("this computer allows no mounts")
    script = (
        "import sys, pytest\n"
        "from pathlib import Path\n"
        "from tests.unit.test_accounts_users import refused\n"
        "refused(Path(sys.argv[1]))\n"
    )
    command = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" -c "$3" "$4"'
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, "sh", str(place.root.path),
         sys.executable, script, str(tmp_path)],
        check=False, capture_output=True, text=True, timeout=60,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
