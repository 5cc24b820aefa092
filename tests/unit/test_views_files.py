from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from core import files
from core.errors import StorageError
from core.models.execution import LogLevel
from core.models.session import SessionKey
from core.models.states import ExecutionStatus
from core.paths import DataRoot
from core.store.views import LOGS_IN_VIEW, Views
from tests.unit.services_place import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def log_lines(place: Place, execution_id: str, count: int) -> None:
    with place.store.database.transaction(durable=False):
        for number in range(count):
            place.store.logs.append(execution_id, LogLevel.INFO, f"line {number}")


def run_log(place: Place, key: SessionKey, run: int = 1) -> Path:
    return place.root.session(key.user_id, key.session_id).run_log(run)


def test_the_execution_view_is_the_execution_document(place: Place) -> None:
    key = place.session()
    execution = place.store.executions.add(key)
    place.views.execution(execution.execution_id)

    view = json.loads(place.root.execution(execution.execution_id).read_text())
    assert view == place.services.status.document(execution.execution_id)


def test_each_log_line_is_written_once_and_line_n_is_entry_n(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    for count in (1, 3, 2):
        log_lines(place, execution_id, count)
        place.views.log(execution_id)

    lines = run_log(place, key).read_text().splitlines()
    stored = place.store.logs.tail(execution_id)
    assert [json.loads(line)["message"] for line in lines] == [one.message for one in stored]


def test_a_new_log_line_appends_and_does_not_read_the_old_ones(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    log_lines(place, execution_id, 10_000)
    place.views.log(execution_id)
    file = run_log(place, key)
    before = file.stat()
    log_lines(place, execution_id, 1)

    reads: list[int] = []
    original = os.pread
    os.pread = lambda handle, size, offset: reads.append(offset) or original(handle, size, offset)  # type: ignore[func-returns-value]
    try:
        place.views.log(execution_id)
    finally:
        os.pread = original

    assert file.stat().st_ino == before.st_ino
    assert reads == []
    assert len(file.read_text().splitlines()) == 10_001


def test_a_log_file_cut_in_the_middle_of_a_line_is_mended(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    log_lines(place, execution_id, 5)
    place.views.log(execution_id)
    file = run_log(place, key)
    file.write_bytes(file.read_bytes()[:-20])

    Views(place.store).log(execution_id)

    assert [json.loads(line)["message"] for line in file.read_text().splitlines()] == [
        f"line {number}" for number in range(5)
    ]


def test_a_log_file_that_knows_more_than_the_store_is_written_again(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    log_lines(place, execution_id, 2)
    run_log(place, key).write_text("{}\n" * 50)

    place.views.log(execution_id)

    assert len(run_log(place, key).read_text().splitlines()) == 2


def test_a_link_in_place_of_a_log_or_config_is_never_written_through(
    place: Place, tmp_path: Path
) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    log_lines(place, execution_id, 1)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    run_log(place, key).symlink_to(victim)
    paths = place.root.session(key.user_id, key.session_id)
    paths.config.unlink()
    paths.config.symlink_to(victim)

    with pytest.raises(StorageError):
        place.views.log(execution_id)
    place.views.session(key)

    assert victim.read_text() == "mine"
    assert not paths.config.is_symlink()


def test_a_linked_folder_is_refused(place: Place, tmp_path: Path) -> None:
    key = place.session()
    paths = place.root.session(key.user_id, key.session_id)
    outside = tmp_path / "outside"
    paths.deployment.rename(outside)
    paths.deployment.symlink_to(outside)
    (outside / "config.json").write_text("{}")

    with pytest.raises(StorageError):
        place.views.session(key)

    assert (outside / "config.json").read_text() == "{}"


def test_mend_writes_what_is_missing_or_stale_and_nothing_else(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    place.views.execution(execution_id)
    assert place.views.mend() == 0

    place.root.registry.write_text("{}")
    place.root.user_document(key.user_id).unlink()
    place.root.session(key.user_id, key.session_id).config.write_text('{"half')
    place.store.executions.set_status(execution_id, ExecutionStatus.RUNNING, current_step=1)
    os.utime(place.root.execution(execution_id), (1, 1))

    assert Views(place.store).mend() == 4
    assert json.loads(place.root.registry.read_text()) == place.store.users.registry()
    assert json.loads(place.root.execution(execution_id).read_text())["status"] == "running"
    assert place.views.mend() == 0


def test_mend_goes_on_past_a_session_whose_folder_is_gone(place: Place) -> None:
    key = place.session()
    paths = place.root.session(key.user_id, key.session_id)
    paths.root.rename(paths.root.with_name("moved away"))
    place.root.user_document(key.user_id).unlink()

    assert place.views.mend() == 1


def test_a_reader_never_sees_half_a_view(place: Place) -> None:
    key = place.session()
    execution_id = place.store.executions.add(key).execution_id
    log_lines(place, execution_id, LOGS_IN_VIEW)
    place.views.execution(execution_id)
    done = threading.Event()

    def write() -> None:
        for _ in range(8):
            place.views.execution(execution_id)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        json.loads(place.root.execution(execution_id).read_text())
    writer.join()


def test_config_follows_a_deploy_and_a_destroy(place: Place) -> None:
    key = place.session()
    place.deploy(key)
    place.store.sessions.set_port(key, 8123)
    place.views.session(key)
    config = json.loads(place.root.session(key.user_id, key.session_id).config.read_text())
    assert (config["deploy_count"], config["url"]) == (1, "http://127.0.0.1:8123")
    assert config["local"] == {"port": 8123}
    assert config["last_deployed"].endswith("Z")

    place.store.sessions.set_destroyed(key)
    place.views.session(key)
    config = json.loads(place.root.session(key.user_id, key.session_id).config.read_text())
    assert config["url"] is None


def test_a_fresh_checkouts_own_users_folder_is_closed_and_any_other_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "users"
    other = tmp_path / "elsewhere"
    for folder in (own, other):
        folder.mkdir()
        folder.chmod(0o755)
    monkeypatch.setattr(files, "CHECKOUT", tmp_path)
    files.make_private_root(DataRoot(own))
    assert own.stat().st_mode & 0o777 == 0o700
    with pytest.raises(StorageError, match="can be read by others"):
        files.make_private_root(DataRoot(other))
