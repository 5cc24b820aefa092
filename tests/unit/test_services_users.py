from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from core.errors import InvalidEmailError, MissingProgramError, NotFoundError, UsageError
from core.models.states import ExecutionStatus
from core.models.user import HostProvider, SiteType
from tests.unit.services_place import Place, make_place

ANA = ("ana@acme.io", "+48600100200")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def test_a_new_user_gets_a_session_and_a_queued_run(place: Place) -> None:
    created = place.services.users.create(*ANA, host_provider="aws", prompt="A bakery site")

    assert created.is_new
    assert created.session is not None
    assert created.session.brief == "A bakery site"
    assert created.session.host_provider is HostProvider.AWS
    assert created.injected is not None
    assert "aws-s3-static" in created.injected.agents
    assert created.execution_id is not None
    execution = place.store.executions.require(created.execution_id)
    assert execution.status is ExecutionStatus.PENDING
    assert place.root.execution(created.execution_id).is_file()
    assert place.worker.knocks == 1


def test_the_same_person_again_starts_nothing_and_keeps_what_is_stored(place: Place) -> None:
    first = place.services.users.create(*ANA)
    again = place.services.users.create("ANA@acme.io", "+48 600-100-200", host_provider="aws")

    assert not again.is_new
    assert again.user == first.user
    assert again.session is not None
    assert first.session is not None
    assert again.session.key == first.session.key
    assert again.execution_id == first.execution_id
    assert [warning.code for warning in again.warnings] == ["stored_kept"]
    assert again.user.host_provider is HostProvider.LOCAL
    assert len(place.store.sessions.all()) == 1


def test_the_same_person_with_a_prompt_gets_a_new_session(place: Place) -> None:
    first = place.services.users.create(*ANA)
    again = place.services.users.create(*ANA, prompt="Another site")

    assert first.session is not None
    assert again.session is not None
    assert again.session.key != first.session.key
    assert again.session.brief == "Another site"
    assert again.execution_id != first.execution_id


def test_no_start_makes_the_user_only_and_wakes_nobody(place: Place) -> None:
    created = place.services.users.create(*ANA, start=False)

    assert (created.session, created.execution_id, created.injected) == (None, None, None)
    assert (place.worker.knocks, place.worker.starts) == (0, 0)
    assert place.services.users.create(*ANA).session is not None


@pytest.mark.parametrize(
    "bad",
    [
        {"host_provider": "gcp"}, {"site_type": "wiki"}, {"prompt": "  \n"}, {"name": "a\nb"},
        {"prompt": "x" * 1_000_001}, {"prompt": "\ud800"},
    ],
)  # fmt: skip
def test_bad_input_leaves_nothing(place: Place, bad: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        place.services.users.create(*ANA, **bad)  # type: ignore[arg-type]

    assert caught.value.remedy
    assert place.store.users.count() == 0
    assert [path for path in place.root.path.iterdir() if path.is_dir()] == []


def test_a_bad_provider_names_the_allowed_ones(place: Place) -> None:
    with pytest.raises(UsageError) as caught:
        place.services.users.create(*ANA, host_provider="gcp")

    assert caught.value.remedy == "Use one of: aws, azure, local."
    assert caught.value.code == "invalid_host_provider"


def test_where_no_worker_can_run_nothing_is_written(place: Place) -> None:
    def missing() -> int:
        raise MissingProgramError("tmux is not installed.", remedy="apt-get install tmux")

    place.worker.ensure_running = missing  # type: ignore[method-assign]
    with pytest.raises(MissingProgramError):
        place.services.users.create(*ANA)

    assert place.store.users.count() == 0


def test_preview_writes_nothing_and_knows_who_exists(place: Place) -> None:
    before = place.services.users.preview(*ANA)
    assert before.exists is None
    assert place.store.users.count() == 0
    user = place.services.users.create(*ANA, start=False).user

    after = place.services.users.preview("Ana@ACME.io", "+48 600 100 200")
    assert (after.user_id, after.exists) == (before.user_id, user)
    with pytest.raises(InvalidEmailError):
        place.services.users.preview("ana@", "123")


def test_the_list_filters_sorts_and_counts(place: Place) -> None:
    users = place.services.users
    users.create(*ANA, start=False, site_type="dynamic")
    users.create("zoe@acme.io", "+48600100200", start=False)
    users.create("bob@acme.io", "+48600100200", start=False, host_provider=HostProvider.AWS)
    key = place.session("zoe@acme.io")

    by_email = [row.user.email for row in users.list(sort="email").users]
    assert by_email == ["ana@acme.io", "bob@acme.io", "zoe@acme.io"]
    page = users.list(host_provider="local", limit=1)
    assert (page.total, page.shown, len(page.users)) == (2, 1, 1)
    assert users.list(site_type=SiteType.DYNAMIC).users[0].user.email == "ana@acme.io"
    assert users.list(sort="sessions").users[0].sessions == 1
    assert users.list(sort="updated").users[0].user.user_id == key.user_id
    with pytest.raises(UsageError):
        users.list(sort="colour")


def test_one_user_by_name_with_its_document(place: Place) -> None:
    key = place.session()
    row = place.services.users.get("ana@acme.io")

    document = place.services.status.user_document(row, sessions=True)
    assert {
        "user_id", "email", "phone", "name", "host_provider", "site_type", "sessions",
        "updated_at", "path",
    } <= set(document)  # fmt: skip
    sessions = document["sessions"]
    assert isinstance(sessions, list)
    assert isinstance(sessions[0], dict)
    assert sessions[0]["session_id"] == key.session_id
    with pytest.raises(NotFoundError):
        place.services.users.get("bob@acme.io")


def create_ana(folder: Path, start: Barrier) -> None:
    place = make_place(folder)
    start.wait()
    created = place.services.users.create(*ANA)
    assert created.session is not None
    place.store.close()


def test_two_at_once_for_one_new_person_start_one_session(place: Place, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    workers = [context.Process(target=create_ana, args=(tmp_path, start)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)

    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(place.store.sessions.all()) == 1
    assert len(place.store.executions.stamps()) == 1
